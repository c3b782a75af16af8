/* What each request to Redis needs, told as requests. A word with blanks in it is written 'so', and
 * \0 in it is a zero byte. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/redis/verb.h"
#include "drivers/redis/verb_table.h"

TestSuite(redis_command, .fini = clean_end);

/* ---- the words the stories are told in --------------------------------------------------- */

static char text[512];

/* The next word of a line, in text; ends what it returns with a quote or a blank left out. */
static const char *cut(const char *line, struct slice *word, char **room)
{
    char end = *line == '\'' ? '\'' : ' ';

    line += *line == '\'';
    word->at = (const uint8_t *)*room;
    while (*line != '\0' && *line != end) {
        bool is_zero = strncmp(line, "\\0", 2) == 0;

        *(*room)++ = is_zero ? '\0' : *line;
        line += is_zero ? 2 : 1;
    }
    word->length = (size_t)(*room - (const char *)word->at);
    line += *line == '\'';
    return line + strspn(line, " ");
}

/* hidden: so many of its arguments, from the last, are not shown. */
static struct verb_use classify(const char *line, uint32_t hidden)
{
    struct request request = {0};
    char *room = text;

    cr_assert_lt(strlen(line), sizeof(text));
    while (*line != '\0') {
        struct slice word;

        line = cut(line, &word, &room);
        if (request.count < REQUEST_MOST_ARGS)
            request.args[request.shown++] = word;
        request.count++;
    }
    if (request.count - hidden < request.shown)
        request.shown = request.count - hidden;
    return verb_classify(&request);
}

static void needs(const char *line, enum verb_need need)
{
    enum verb_need found = classify(line, 0).need;

    cr_assert_eq(found, need, "%s: %s", line, verb_need_name(found));
}

#define ALL_NEED(need, ...)                                                                        \
    do {                                                                                           \
        static const char *const lines[] = {__VA_ARGS__};                                          \
                                                                                                   \
        for (size_t i = 0; i < COUNT_OF(lines); i++)                                               \
            needs(lines[i], need);                                                                 \
    } while (0)

/* Redis refuses it, or we do not know it: a link of its own, which is not trusted afterwards. */
static void is_doubtful(const char *line)
{
    struct verb_use use = classify(line, 0);

    cr_assert_eq(use.need, VERB_SLOW, "%s: %s", line, verb_need_name(use.need));
    cr_assert(use.leaves_doubt && !use.is_known, "%s", line);
}

/* ---- the stories ------------------------------------------------------------------------- */

Test(redis_command, what_leaves_nothing_behind_is_shared)
{
    ALL_NEED(VERB_SHARED, "get k", "SET k v ex 10", "mget a b c d e f g h i j k", "PING", "dbsize",
             "sort l store d", "georadius g 1 1 1 m store d", "publish c m", "spublish c m",
             "object encoding k", "object help", "client list", "client info", "config get *",
             "info", "swapdb 0 1", "copy a b db 3", "georadiusbymember_ro g m 1 m",
             "georadiusbymember g m 1 m", "restore-asking k 0 v", "script load x",
             "function load x", "pubsub channels", "hpexpire k 1 fields 1 f", "cluster info",
             "acl whoami", "command count", "memory usage k", "xgroup help");
}

Test(redis_command, a_script_runs_where_nobody_waits_behind_it)
{
    ALL_NEED(VERB_SLOW, "eval 'return 1' 0", "EVALSHA x 0", "eval_ro x 0", "evalsha_ro x 0",
             "Fcall f 0", "fcall_ro f 0");
    cr_assert_not(classify("eval 'return 1' 0", 0).leaves_doubt);
}

Test(redis_command, what_only_reads_is_said_as_redis_says_it)
{
    cr_assert(classify("get k", 0).is_read_only);
    cr_assert(classify("EVAL_RO 'return 1' 0", 0).is_read_only);
    cr_assert(classify("object freq k", 0).is_read_only);
    cr_assert_not(classify("getdel k", 0).is_read_only);
    cr_assert_not(classify("eval 'return 1' 0", 0).is_read_only);
    cr_assert_not(classify("xgroup destroy s g", 0).is_read_only);
}

Test(redis_command, names_are_read_in_letters_of_any_size_and_never_by_their_beginning)
{
    ALL_NEED(VERB_SUBSCRIBE, "subscribe c", "SUBSCRIBE c", "SuBsCrIbE c");
    ALL_NEED(VERB_CLIENT_ID, "CLIENT ID", "client id", "Client iD");
    is_doubtful("subscrib c");
    is_doubtful("subscribed c");
    is_doubtful("ge k");
    is_doubtful("gets k");
    is_doubtful("georadiusbymember_rox g m 1 m");
    is_doubtful("'get ' k");
    is_doubtful("client|reply off");
    is_doubtful("[et k"); /* '[' is behind 'Z' */
}

Test(redis_command, what_no_row_names_gets_a_link_that_is_not_trusted_afterwards)
{
    is_doubtful("ft.search i q");
    is_doubtful("''");
    is_doubtful("a-name-of-more-than-twenty-three-letters x");
    is_doubtful("client a-name-of-more-than-twenty-three-letters");
    is_doubtful("client tomorrow on");
    is_doubtful("object tomorrow k");
    is_doubtful("xinfo ''");
}

Test(redis_command, a_command_with_a_wrong_number_of_arguments_is_one_error)
{
    is_doubtful("exec foo");
    is_doubtful("multi x");
    is_doubtful("discard x");
    is_doubtful("unwatch k");
    is_doubtful("watch");
    is_doubtful("subscribe");
    is_doubtful("psubscribe");
    is_doubtful("ssubscribe");
    is_doubtful("monitor x");
    is_doubtful("sync x");
    is_doubtful("psync x");
    is_doubtful("reset x");
    is_doubtful("auth");
    is_doubtful("auth a b c");
    is_doubtful("select");
    is_doubtful("select 1 2");
    is_doubtful("client setname");
    is_doubtful("client setinfo lib-name");
    is_doubtful("client getname x");
    is_doubtful("client id x");
    is_doubtful("client reply");
    is_doubtful("client reply off now");
    is_doubtful("script debug");
    is_doubtful("wait 1");
    is_doubtful("blpop k");
    is_doubtful("xread block 0");
    ALL_NEED(VERB_SHARED, "get", "get a b", "client", "object", "object freq", "cluster");
    cr_assert_not(classify("get", 0).is_known);
    cr_assert_not(classify("client", 0).is_known);
}

Test(redis_command, what_takes_long_or_must_pass_others_has_a_link_of_its_own)
{
    ALL_NEED(VERB_SLOW, "keys *", "save", "flushall", "FLUSHDB ASYNC", "migrate h 1 k 0 1",
             "shutdown", "failover", "replicaof no one", "debug sleep 1", "script kill",
             "function kill", "function stats", "client pause 10", "client unpause",
             "client unblock 1", "client kill 1.2.3.4:5", "acl deluser a", "config set a b",
             "module load m", "command", "command docs", "cluster failover");
    cr_assert_not(classify("keys *", 0).leaves_doubt);
    cr_assert(classify("debug sleep 1", 0).leaves_doubt);
}

Test(redis_command, a_link_may_be_closed_by_what_it_was_asked)
{
    cr_assert(classify("shutdown nosave", 0).may_close);
    cr_assert(classify("client kill id 1", 0).may_close);
    cr_assert(classify("acl deluser me", 0).may_close);
    cr_assert(classify("debug segfault", 0).may_close);
    cr_assert_not(classify("client list", 0).may_close);
}

Test(redis_command, what_may_wait_for_ever_has_no_timeout)
{
    ALL_NEED(VERB_BLOCKING, "blpop k 0", "BRPOP k 0", "blmove a b left right 0",
             "blmpop 0 1 k left", "brpoplpush a b 0", "bzpopmin z 0", "bzpopmax z 0",
             "bzmpop 0 1 z min");
    ALL_NEED(VERB_WAIT, "wait 1 0", "waitaof 1 0 0");
}

Test(redis_command, a_stream_is_waited_for_only_with_the_option_block)
{
    ALL_NEED(VERB_BLOCKING, "xread block 0 streams s $", "XREAD COUNT 2 BLOCK 0 STREAMS s $",
             "xread BLOCK nonsense streams s $", "xreadgroup group g c block 0 streams s >",
             "xreadgroup group g c noack count 1 block 0 streams s >",
             "xreadgroup noack block 0 group g c streams s >", "xread block\\0x 0 streams s $");
    ALL_NEED(VERB_SHARED, "xread streams s $", "xread count 2 streams s $",
             "xreadgroup group g c count 1 streams s >", "XREADGROUP GROUP g c NOACK STREAMS s >",
             "xreadgroup group g c claim 10 streams s >");
    cr_assert(classify("xread streams s 0", 0).is_read_only);
    cr_assert_not(classify("xreadgroup group g c streams s >", 0).is_read_only);
}

Test(redis_command, block_is_a_name_where_a_name_is_due)
{
    ALL_NEED(VERB_SHARED, "xread streams block 0", "xread count 1 streams block $",
             "xreadgroup group block block streams s >", "xreadgroup group streams c streams s >",
             "xread streams a b block 0 0 0");
    ALL_NEED(VERB_BLOCKING, "xread count streams block 0 streams s $",
             "xreadgroup group streams streams block 0 streams s >");
}

Test(redis_command, options_that_are_not_shown_or_not_known_may_be_block)
{
    needs("xread tomorrow 1 streams s $", VERB_BLOCKING);
    needs("xreadgroup group g c count 1 count 1 count 1 block 0 streams s >", VERB_BLOCKING);
    cr_assert_eq(classify("xread count 1 streams s $", 3).need, VERB_BLOCKING);
    cr_assert_eq(classify("xread count 1 streams s $", 2).need, VERB_SHARED);
}

Test(redis_command, transactions_are_told_apart)
{
    needs("multi", VERB_MULTI);
    needs("EXEC", VERB_EXEC);
    needs("Discard", VERB_DISCARD);
    needs("watch a b", VERB_WATCH);
    needs("unwatch", VERB_UNWATCH);
}

Test(redis_command, subscriptions_are_of_three_kinds)
{
    ALL_NEED(VERB_SUBSCRIBE, "subscribe a b", "psubscribe a*", "ssubscribe a");
    ALL_NEED(VERB_UNSUBSCRIBE, "unsubscribe", "unsubscribe a b", "punsubscribe", "sunsubscribe a");
    cr_assert_eq(classify("subscribe a", 0).subscription, VERB_CHANNEL);
    cr_assert_eq(classify("psubscribe a", 0).subscription, VERB_PATTERN);
    cr_assert_eq(classify("ssubscribe a", 0).subscription, VERB_SHARD);
    cr_assert_eq(classify("unsubscribe", 0).subscription, VERB_CHANNEL);
    cr_assert_eq(classify("punsubscribe", 0).subscription, VERB_PATTERN);
    cr_assert_eq(classify("sunsubscribe", 0).subscription, VERB_SHARD);
}

Test(redis_command, what_stays_in_a_connection_keeps_it)
{
    ALL_NEED(VERB_KEEPS, "client tracking on", "client tracking on redirect 1 bcast prefix a",
             "client caching yes", "client no-evict on", "client no-touch on", "readonly",
             "readwrite", "asking", "client capa redirect", "client import-source on");
    cr_assert_not(classify("client tracking on", 0).outlives_reset);
    cr_assert(classify("client no-evict on", 0).outlives_reset);
}

Test(redis_command, where_replies_cannot_be_counted_the_link_is_not_used_again)
{
    ALL_NEED(VERB_BLIND, "monitor", "sync", "psync ? -1", "replconf ack 1", "client reply off",
             "client reply SKIP", "client reply of", "script debug yes", "script debug SYNC",
             "cluster syncslots finish");
    ALL_NEED(VERB_SHARED, "client reply on", "CLIENT REPLY ON", "script debug no");
    cr_assert_eq(classify("client reply on", 1).need, VERB_BLIND);
}

Test(redis_command, a_name_with_a_zero_byte_may_be_the_name_before_it)
{
    ALL_NEED(VERB_BLIND, "monitor\\0x", "get\\017 k", "\\0", "client reply\\0x off", "client id\\0",
             "subscribe\\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa c",
             "client reply\\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa off");
    ALL_NEED(VERB_ATTACK, "post\\0x", "HOST:\\0", "post\\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    needs("get k\\0", VERB_SHARED);
    cr_assert_eq(classify("client", 1).need, VERB_BLIND, "a name too long to be shown");
    cr_assert_eq(classify("client reply off", 2).need, VERB_BLIND);
}

Test(redis_command, http_is_an_attack)
{
    ALL_NEED(VERB_ATTACK, "POST / HTTP/1.1", "post", "Host: localhost", "HOST:");
    is_doubtful("Host localhost");
    needs("get / HTTP/1.1", VERB_SHARED); /* one error */
}

Test(redis_command, a_database_is_selected_by_its_number_alone)
{
    ALL_NEED(VERB_SELECT, "select 0", "SELECT 15", "select 2147483647");
    is_doubtful("select x");
    is_doubtful("select ''");
    is_doubtful("select 01");
    is_doubtful("select -1");
    is_doubtful("select +1");
    is_doubtful("select ' 1'");
    is_doubtful("select 1\\0");
    is_doubtful("select 2147483648");
    is_doubtful("select 99999999999999999999");
    cr_assert_eq(classify("select 1", 1).need, VERB_SLOW);
}

Test(redis_command, what_is_followed_for_its_client_is_told_apart)
{
    ALL_NEED(VERB_AUTH, "auth p", "auth u p");
    ALL_NEED(VERB_HELLO, "hello", "hello 3", "hello 3 auth u p setname n", "hello x y z");
    needs("reset", VERB_RESET);
    ALL_NEED(VERB_QUIT, "quit", "QUIT now please");
    needs("client setname n", VERB_CLIENT_SETNAME);
    needs("client getname", VERB_CLIENT_GETNAME);
    needs("client id", VERB_CLIENT_ID);
    needs("client setinfo lib-name x", VERB_CLIENT_SETINFO);
}

/* ---- the table --------------------------------------------------------------------------- */

static void is_in_order(const struct verb_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(rows[i].name[VERB_TABLE_NAME - 1], '\0', "%.24s", rows[i].name);
        cr_assert(i == 0 || strcmp(rows[i - 1].name, rows[i].name) < 0, "%s", rows[i].name);
        cr_assert_neq(rows[i].arity, 0, "%s", rows[i].name);
        for (const char *letter = rows[i].name; *letter != '\0'; letter++)
            cr_assert(*letter < 'A' || *letter > 'Z', "%s", rows[i].name);
        is_in_order(rows[i].subs, rows[i].sub_count);
    }
}

Test(redis_command, rows_are_in_order_and_each_is_found_by_its_name)
{
    size_t count;
    const struct verb_row *rows = verb_table_commands(&count);

    is_in_order(rows, count);
    for (size_t i = 0; i < count; i++) {
        struct request request = {.count = 1, .shown = 1};

        request.args[0] = (struct slice){(const uint8_t *)rows[i].name, strlen(rows[i].name)};
        request.count = rows[i].arity > 0 ? (uint32_t)rows[i].arity : (uint32_t)-rows[i].arity;
        if (rows[i].sub_count == 0 && rows[i].catch == VERB_NO_CATCH)
            cr_assert_eq(verb_classify(&request).need, rows[i].need, "%s", rows[i].name);
    }
}
