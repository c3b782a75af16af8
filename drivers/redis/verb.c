#include "drivers/redis/verb.h"

#include <string.h>
#include <strings.h>

#include "drivers/redis/verb_table.h"

/* ---- words ------------------------------------------------------------------------------- */

enum word { WORD_PLAIN, WORD_LONG, WORD_ZERO };

/* A name as the table has it, in lower case. Redis reads on where a string of C's ends, if its
 * hash table leads it there: what has a zero byte may be the name before it. */
static enum word fold(struct slice name, struct verb_key *key)
{
    *key = (struct verb_key){0};
    if (name.length >= VERB_TABLE_NAME)
        return memchr(name.at, 0, name.length) != NULL ? WORD_ZERO : WORD_LONG;
    for (size_t i = 0; i < name.length; i++) {
        uint8_t letter = name.at[i];

        if (letter == 0)
            return WORD_ZERO;
        if (letter >= 'A' && letter <= 'Z')
            letter |= 'a' ^ 'A';
        key->words[i / 8] |= (uint64_t)letter << (56 - i % 8 * 8);
    }
    return WORD_PLAIN;
}

/* As strcasecmp() sees it, which Redis compares options with: a zero byte ends it. */
static bool is_word(struct slice word, const char *is)
{
    size_t length = strlen(is);

    return word.length >= length && strncasecmp((const char *)word.at, is, length) == 0 &&
           (word.length == length || word.at[length] == 0);
}

/* What string2ll() takes, from 0 to INT_MAX: no sign, no blank, no zero before it. */
static bool is_number(struct slice word)
{
    int64_t number = 0;

    if (word.length == 0 || word.length > 10 || (word.at[0] == '0' && word.length > 1))
        return false;
    for (size_t i = 0; i < word.length; i++) {
        if (word.at[i] < '0' || word.at[i] > '9')
            return false;
        number = number * 10 + (word.at[i] - '0');
    }
    return number <= INT32_MAX;
}

/* ---- what depends on arguments ----------------------------------------------------------- */

/* Whether XREAD and XREADGROUP may wait: they read their options up to STREAMS (t_stream.c:
 * xreadCommand), behind which are names. Where an option is not shown, or new, they may. */
static bool may_block(const struct request *request)
{
    for (uint32_t at = 1; at < request->shown; at++) {
        struct slice word = request->args[at];

        if (is_word(word, "streams"))
            return false;
        if (is_word(word, "count") || is_word(word, "claim"))
            at += 1;
        else if (is_word(word, "group"))
            at += 2;
        else if (!is_word(word, "noack"))
            return true;
    }
    return true;
}

/* Whether the last argument is a word that makes the command harmless. */
static bool ends_with(const struct request *request, const char *word)
{
    return request->shown == request->count && is_word(request->args[request->count - 1], word);
}

static bool is_harmless(const struct verb_row *row, const struct request *request)
{
    switch (row->catch) {
    case VERB_IF_BLOCK:
        return !may_block(request);
    case VERB_UNLESS_ON:
        return ends_with(request, "on");
    case VERB_UNLESS_NO:
        return ends_with(request, "no");
    default:
        return false;
    }
}

/* Whether Redis says no before it looks at anything else. */
static bool is_refused(const struct verb_row *row, const struct request *request)
{
    bool has_right_count = row->arity > 0 ? request->count == (uint32_t)row->arity
                                          : request->count >= (uint32_t)-row->arity;

    switch (row->catch) {
    case VERB_IF_NUMBER:
        return !has_right_count || request->shown < 2 || !is_number(request->args[1]);
    case VERB_AT_MOST_3:
        return !has_right_count || request->count > 3;
    default:
        return !has_right_count;
    }
}

/* ---- the answer -------------------------------------------------------------------------- */

static struct verb_use unclear(enum verb_need need)
{
    return (struct verb_use){.need = need, .leaves_doubt = true};
}

static struct verb_use use_of(const struct verb_row *row, const struct request *request)
{
    bool is_known = !is_refused(row, request);
    enum verb_need need = row->need;

    if (need != VERB_SHARED && !is_known)
        return unclear(VERB_SLOW);
    if (row->catch != VERB_NO_CATCH && is_harmless(row, request))
        need = VERB_SHARED;
    return (struct verb_use){
        .need = need,
        .subscription = row->traits & VERB_PATTERNS ? VERB_PATTERN
                        : row->traits & VERB_SHARDS ? VERB_SHARD
                                                    : VERB_CHANNEL,
        .is_known = is_known,
        .is_read_only = row->traits & VERB_READS,
        .leaves_doubt = row->traits & VERB_DOUBT,
        .outlives_reset = row->traits & VERB_OUTLIVES,
        .may_close = row->traits & VERB_CLOSES,
    };
}

/* Which command it is for Redis depends on its hash table, save for the two that are no commands.
 */
static struct verb_use ends_early(struct slice name, const struct verb_row *rows, size_t count)
{
    struct verb_key key;
    const struct verb_row *row;

    name.length = strnlen((const char *)name.at, name.length);
    row = fold(name, &key) == WORD_PLAIN ? verb_table_find(rows, count, &key) : NULL;
    return unclear(row != NULL && row->need == VERB_ATTACK ? VERB_ATTACK : VERB_BLIND);
}

struct verb_use verb_classify(const struct request *request)
{
    size_t count;
    const struct verb_row *rows = verb_table_commands(&count), *row;
    struct verb_key key;

    for (uint32_t at = 0;; at++) {
        enum word word;

        if (at >= request->shown)
            return unclear(VERB_BLIND); /* no name is so long, unless a zero byte ends it */
        word = fold(request->args[at], &key);
        if (word == WORD_ZERO)
            return ends_early(request->args[at], rows, count);
        row = word == WORD_PLAIN ? verb_table_find(rows, count, &key) : NULL;
        if (row == NULL)
            return unclear(VERB_SLOW);
        if (row->sub_count == 0 || request->count == 1)
            return use_of(row, request);
        rows = row->subs;
        count = row->sub_count;
    }
}

const char *verb_need_name(enum verb_need need)
{
    static const char *const names[] = {
        [VERB_SHARED] = "shared",
        [VERB_SLOW] = "slow",
        [VERB_BLOCKING] = "blocking",
        [VERB_WAIT] = "wait",
        [VERB_MULTI] = "multi",
        [VERB_EXEC] = "exec",
        [VERB_DISCARD] = "discard",
        [VERB_WATCH] = "watch",
        [VERB_UNWATCH] = "unwatch",
        [VERB_SUBSCRIBE] = "subscribe",
        [VERB_UNSUBSCRIBE] = "unsubscribe",
        [VERB_KEEPS] = "keeps",
        [VERB_BLIND] = "blind",
        [VERB_SELECT] = "select",
        [VERB_AUTH] = "auth",
        [VERB_HELLO] = "hello",
        [VERB_RESET] = "reset",
        [VERB_QUIT] = "quit",
        [VERB_CLIENT_SETNAME] = "client_setname",
        [VERB_CLIENT_GETNAME] = "client_getname",
        [VERB_CLIENT_ID] = "client_id",
        [VERB_CLIENT_SETINFO] = "client_setinfo",
        [VERB_ATTACK] = "attack",
    };

    return names[need];
}
