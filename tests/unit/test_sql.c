#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/postgres/sql.h"

TestSuite(sql, .fini = clean_end);

/* A text, what it is said to be, and what else is said of it. */
struct row {
    const char *text, *verdict;
};

static const char *const kinds[] = {
    [SQL_EMPTY] = "empty",
    [SQL_OTHER] = "other",
    [SQL_BEGIN] = "begin",
    [SQL_COMMIT] = "commit",
    [SQL_ROLLBACK] = "rollback",
    [SQL_ROLLBACK_TO] = "rollback to",
    [SQL_SAVEPOINT] = "savepoint",
    [SQL_RELEASE] = "release",
    [SQL_TWO_PHASE] = "two-phase",
    [SQL_SET] = "set",
    [SQL_RESET] = "reset",
    [SQL_LISTEN] = "listen",
    [SQL_UNLISTEN] = "unlisten",
    [SQL_NOTIFY] = "notify",
    [SQL_PREPARE] = "prepare",
    [SQL_EXECUTE] = "execute",
    [SQL_DEALLOCATE] = "deallocate",
    [SQL_DISCARD_ALL] = "discard all",
    [SQL_DISCARD_TEMP] = "discard temp",
    [SQL_DISCARD] = "discard",
    [SQL_DECLARE] = "declare",
    [SQL_CLOSE] = "close",
    [SQL_DO] = "do",
    [SQL_CALL] = "call",
    [SQL_LOAD] = "load",
    [SQL_SELECT] = "select",
    [SQL_CREATE] = "create",
    [SQL_DROP] = "drop",
};

static const char *const hints[] = {"locks",   "temp",   "hold",      "prepares", "executes",
                                    "listens", "sets",   "opaque",    "loads",    "savepoints",
                                    "ends",    "blocks", "backslash", "encoding", "lost"};

static const char *const changes[] = {
    [SQL_CHANGE_NOTHING] = "nothing", [SQL_CHANGE_SET] = "set",
    [SQL_CHANGE_RESET] = "reset",     [SQL_CHANGE_RESET_ALL] = "reset all",
    [SQL_CHANGE_DISCARD] = "discard", [SQL_CHANGE_ASK] = "ask",
    [SQL_CHANGE_CALL] = "call",       [SQL_CHANGE_CALLED] = "called",
};

static void read_in_pieces(struct sql *sql, struct slice text, size_t piece)
{
    sql_begin(sql);
    for (size_t at = 0; at < text.length; at += piece) {
        size_t rest = text.length - at;

        sql_feed(sql, (struct slice){text.at + at, rest < piece ? rest : piece});
    }
    sql_end(sql);
}

static void write_verdict(char *to, size_t size, const struct sql *sql)
{
    struct sql_change change;
    size_t n = (size_t)snprintf(to, size, "%u %s%s", sql->statements, kinds[sql->kind],
                                sql->clear ? "" : "?");

    if (sql->all || sql->name[0] != '\0')
        n += (size_t)snprintf(to + n, size - n, " %s", sql->all ? "*" : sql->name);
    for (size_t i = 0; i < COUNT_OF(hints); i++)
        if (sql->hints & 1u << i)
            n += (size_t)snprintf(to + n, size - n, " +%s", hints[i]);
    for (size_t at = 0; sql_next_change(sql, &at, &change);)
        n += (size_t)snprintf(to + n, size - n, "; %s %.*s=%.*s", changes[change.kind],
                              (int)change.name.length, (const char *)change.name.at,
                              (int)change.value.length, (const char *)change.value.at);
}

static void is_read_as(struct slice text, const char *expected)
{
    static struct sql sql;
    char verdict[4096];

    for (size_t piece = 1; piece <= 20; piece++) {
        read_in_pieces(&sql, text, piece == 20 ? text.length + 1 : piece);
        write_verdict(verdict, sizeof(verdict), &sql);
        cr_assert_str_eq(verdict, expected, "in pieces of %zu \"%.*s\" is \"%s\", not \"%s\"",
                         piece, (int)text.length, (const char *)text.at, verdict, expected);
    }
}

static void all_are(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        is_read_as((struct slice){(const uint8_t *)rows[i].text, strlen(rows[i].text)},
                   rows[i].verdict);
}

#define ROWS(...)                                                                                  \
    do {                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                            \
        all_are(rows, COUNT_OF(rows));                                                             \
    } while (0)

Test(sql, statements_are_counted)
{
    ROWS({"", "0 empty?"}, {" ; ;-- x\n", "0 empty?"}, {"select 1", "1 select?"},
         {"select 1;", "1 select?"}, {"select 1; select 2 ;", "2 select?"},
         {"(select 1)", "1 select?"}, {"update t set a = ';'", "1 other?"},
         {"create rule r as on insert to t do also (select 1; select 2)", "1 create?"},
         {"values (1)", "1 other?"});
}

Test(sql, a_begin_is_nothing_but_a_begin_with_options)
{
    ROWS({"begin", "1 begin +blocks"}, {"BEGIN;", "1 begin +blocks"},
         {"/* a */ Begin -- b\n work ;", "1 begin +blocks"},
         {"begin transaction isolation level repeatable read, read only not deferrable",
          "1 begin +blocks"},
         {"begin read write", "1 begin +blocks"}, {"begin deferrable", "1 begin +blocks"},
         {"start transaction isolation level read committed", "1 begin +blocks"},
         {"start transaction", "1 begin +blocks"}, {"start", "1 begin? +blocks"},
         {"begin work read", "1 begin? +blocks"}, {"begin,read only", "1 begin? +blocks"},
         {"begin read only,", "1 begin? +blocks"}, {"begin x", "1 begin? +blocks"},
         {"begin work work", "1 begin? +blocks"}, {"begin; select 1", "2 begin +blocks"},
         {"begin 'x'", "1 begin? +blocks"}, {"\"begin\"", "1 other?"});
}

Test(sql, how_transactions_end)
{
    ROWS({"commit", "1 commit +blocks"}, {"END WORK", "1 commit +blocks"},
         {"commit and chain", "1 commit? +blocks"}, {"commit prepared 'x'", "1 two-phase? +blocks"},
         {"rollback", "1 rollback +blocks"}, {"abort transaction", "1 rollback +blocks"},
         {"rollback and no chain", "1 rollback? +blocks"},
         {"rollback to A", "1 rollback to a +savepoints +blocks"},
         {"rollback work to savepoint \"A b\"", "1 rollback to A b +savepoints +blocks"},
         {"savepoint s", "1 savepoint s"}, {"release savepoint s", "1 release s"},
         {"release s", "1 release s"},
         {"prepare transaction 'x'", "1 two-phase transaction +blocks"});
}

Test(sql, names_are_folded_and_cut_as_postgresql_does)
{
    ROWS({"listen Foo", "1 listen foo +listens"},
         {"listen \"Foo\"\"x\"", "1 listen Foo\"x +listens"},
         {"listen foo.bar", "1 listen? foo +listens"}, {"listen a b", "1 listen? a +listens"},
         {"LISTEN \xc3\x84", "1 listen \xc3\x84 +listens"},
         {"listen a123456789b123456789c123456789d123456789e123456789f123456789g123456789",
          "1 listen a123456789b123456789c123456789d123456789e123456789f123456789g12 +listens"},
         {"listen a123456789b123456789c123456789d123456789e123456789f123456789g1\xc3\xa4",
          "1 listen a123456789b123456789c123456789d123456789e123456789f123456789g1 +listens"},
         {"unlisten *", "1 unlisten * +ends"}, {"unlisten x", "1 unlisten x +ends"},
         {"notify x, 'y'", "1 notify x"});
}

Test(sql, prepared_statements)
{
    ROWS({"prepare P (int) as select $1", "1 prepare p +prepares"},
         {"prepare transaction as select 1", "1 prepare transaction +prepares"},
         {"execute p(1)", "1 execute p +executes"}, {"deallocate p", "1 deallocate p +ends"},
         {"deallocate prepare p", "1 deallocate p +ends"},
         {"deallocate all", "1 deallocate * +ends"},
         {"deallocate \"all\"", "1 deallocate all +ends"},
         {"explain analyze execute p", "1 other? +executes"});
}

Test(sql, what_is_quoted_hides_nothing_and_shows_nothing)
{
    ROWS({"select 'a;b', 'it''s; set x = 1'", "1 select?"},
         {"select E'a\\';b'; commit", "2 select? +blocks"},
         {"select 'a\\'; commit", "2 select? +blocks +backslash"},
         {"select 'a\\\\'; commit", "2 select? +blocks"},
         {"select 'a\\''; commit'", "1 select? +backslash"},
         {"select e'a'\n  'b\\';c'; commit", "2 select? +blocks"},
         {"select e'a' -- x\n 'b\\';c'; commit", "2 select? +blocks"},
         {"select $$a;b$$, $x$a;$$;$y$;$x$; commit", "2 select? +blocks"},
         {"select $1$a$;$a$", "1 select?"}, {"select a$b$; commit; $b$", "2 select? +blocks"},
         {"select \"a;\"\"b\"; commit", "2 select? +blocks"},
         {"select 1 /* ; /* ; */ ; */ ; commit", "2 select? +blocks"},
         {"select 1 -- ;\n; commit", "2 select? +blocks"}, {"select 1 +-- ;\n 2", "1 select?"},
         {"select 4/2; commit", "2 select? +blocks"}, {"select 1 - 1; commit", "2 select? +blocks"},
         {"select b'1;', x'a;', n';', u&';', U&\";\"", "1 select? +opaque"},
         {"select u & 1; commit", "2 select? +blocks"},
         {"select e'\xe4\\n'", "1 select? +encoding"},
         {"select 'pg_advisory_lock(1)' /* pg_advisory_lock */", "1 select?"});
    is_read_as(SLICE("select 1\0; commit"), "1 select?");
    is_read_as(SLICE("listen a\0b"), "1 listen a +listens");
}

Test(sql, a_clear_set_is_a_change)
{
    ROWS({"set work_mem = 1000", "1 set; set work_mem=1000"},
         {"SET SESSION Work_Mem TO '64MB';", "1 set; set work_mem=64MB"},
         {"set x.Y = -1.5", "1 set; set x.y=-1.5"},
         {"set \"App\".\"User\" to 'J'", "1 set; set app.user=J"},
         {"set a = on", "1 set; set a=on"}, {"set a = 'it''s'", "1 set; set a=it's"},
         {"set a = $$v$$", "1 set; set a=v"}, {"set a = $x$v$y$x$", "1 set; set a=v$y"},
         {"set datestyle = iso, dmy", "1 set; set datestyle=iso, dmy"},
         {"set a = ''", "1 set; set a="}, {"set role X", "1 set; set role=x"},
         {"set role none", "1 set; set role=none"}, {"set role \"X\"", "1 set; set role=X"},
         {"set role to 'a'", "1 set; set role=a"},
         {"set a = 1; set b = 2", "2 set; set a=1; set b=2"},
         {"select 1; set a = 1", "2 select?; set a=1"},
         {"set session.x = 1", "1 set; set session.x=1"},
         {"set local.x = 1", "1 set; set local.x=1"});
}

Test(sql, a_list_of_names_is_kept_with_each_name_quoted)
{
    ROWS({"set search_path = a, B, \"C d\", 'e,f', \"g\"\"h\", '$user'",
          "1 set; set search_path=a, b, \"C d\", \"e,f\", \"g\"\"h\", \"$user\""},
         {"set search_path = ''", "1 set; set search_path=\"\""},
         {"set search_path to 'public'", "1 set; set search_path=public"},
         {"set search_path = pg_temp", "1 set +temp; set search_path=pg_temp"});
}

Test(sql, what_is_not_clear_is_to_be_asked)
{
    ROWS({"set a = e'\\n'", "1 set +sets; ask a="}, {"set a = 'x\\y'", "1 set +sets; ask a="},
         {"set a = 0x10", "1 set +sets; ask a="}, {"set a = 007", "1 set +sets; ask a="},
         {"set a from current", "1 set +sets; ask a="}, {"set a = 'a'\n'b'", "1 set +sets; ask a="},
         {"set a = u&'x'", "1 set +sets; ask a="}, {"set a = +1", "1 set +sets; ask a="},
         {"set role 'x'", "1 set +sets; ask role="},
         {"set schema 'x'", "1 set +sets; ask search_path="},
         {"set time zone 'UTC'", "1 set +sets; ask timezone="},
         {"set names 'utf8'", "1 set +sets; ask client_encoding="},
         {"set xml option content", "1 set +sets; ask xmloption="},
         {"set session authorization bob", "1 set +sets; ask session_authorization="},
         {"set session characteristics as transaction read only",
          "1 set +sets; ask default_transaction_isolation="},
         {"set", "1 set +sets; ask ="});
}

Test(sql, a_local_set_leaves_nothing)
{
    ROWS({"set local a = 1", "1 set; nothing ="}, {"set local time zone 'UTC'", "1 set; nothing ="},
         {"set transaction isolation level serializable", "1 set; nothing ="},
         {"set constraints all deferred", "1 set"},
         {"select set_config('a', $1, true)", "1 select"},
         {"select x, set_config('a', y, true) from t", "1 select?"});
}

Test(sql, a_reset_is_a_change)
{
    ROWS({"reset a.B", "1 reset +ends; reset a.b="}, {"reset all", "1 reset +ends; reset all ="},
         {"set a to default", "1 set; reset a="}, {"set time zone local", "1 set; reset timezone="},
         {"reset time zone", "1 reset +ends; reset timezone="},
         {"reset role", "1 reset +ends; reset role="},
         {"reset session authorization", "1 reset +ends; reset session_authorization="},
         {"discard all", "1 discard all +ends; discard ="},
         {"discard temp", "1 discard temp +ends"}, {"discard plans", "1 discard +ends"},
         {"reset \"all\"", "1 reset +ends; reset all="});
}

Test(sql, a_call_of_set_config_is_a_change_if_there_is_nothing_else)
{
    ROWS({"select set_config('a', 'b', false)", "1 select; call a=b"},
         {"SELECT pg_catalog.set_config('search_path', '', false);", "1 select; call search_path="},
         {"select set_config('A','b',false) as x, set_config('c', 'd', false)",
          "1 select; call a=b; call c=d"},
         {"select set_config('a', 'b', false), set_config('c', 'd', true)", "1 select; call a=b"},
         {"select set_config('a', 'b', false) from t", "1 select? +sets; called a=b"},
         {"select 1; select set_config('a', 'b', false)", "2 select? +sets; called a=b"},
         {"select set_config('a', 'b', false), 1", "1 select? +sets; called a=b"},
         {"select set_config('a', $1, false)", "1 select +sets; called a="},
         {"select set_config($1, 'b', false)", "1 select +sets; called ="},
         {"select set_config('a' || 'b', 'b', false)", "1 select +sets; called ="},
         {"select set_config('a', 'b', $1)", "1 select +sets; called a="},
         {"select set_config('a', array[false,true,false][1]::text, false)",
          "1 select +sets; called a="},
         {"select f(set_config('a', concat('x', 'y'), false))", "1 select? +sets; called a="},
         {"select set_config('a', set_config('b', 'c', false), true)", "1 select +sets +opaque"},
         {"select set_config('a', pg_advisory_lock(1)::text, true)", "1 select +locks"},
         {"select set_config('a', 'b", "1 select? +sets +opaque"},
         {"select set_config", "1 select? +sets +opaque"},
         {"select set_config from t", "1 select?"},
         {"set set_config = 1", "1 set; set set_config=1"});
}

Test(sql, hints_are_found_wherever_they_stand)
{
    ROWS({"select pg_advisory_lock(1)", "1 select? +locks"},
         {"select pg_advisory_xact_lock(1)", "1 select?"},
         {"select 1 where PG_CATALOG.pg_try_advisory_lock_shared ( 1 )", "1 select? +locks"},
         {"select \"pg_advisory_lock\"(1)", "1 select? +locks"},
         {"select pg_advisory_unlock_all()", "1 select? +ends"},
         {"create temp table t (a int)", "1 create? +temp"},
         {"create or replace local temporary view v as select 1", "1 create? +temp"},
         {"select 1 into temporary t", "1 select? +temp"}, {"select temp from t", "1 select?"},
         {"create table pg_temp.t (a int)", "1 create? +temp"},
         {"create table t (temp int)", "1 create?"},
         {"declare c cursor with hold for select 1", "1 declare c +hold"},
         {"declare c cursor for select 1", "1 declare c"},
         {"declare c cursor without hold for select 1", "1 declare c"},
         {"close all", "1 close * +ends"}, {"drop table t", "1 drop? +ends"},
         {"call p()", "1 call? +opaque"}, {"load 'x'", "1 load? +loads"});
}

Test(sql, the_body_of_a_do_is_searched_for_names)
{
    ROWS({"do $$ begin perform set_config('App.x', 'y', false); end $$",
          "1 do? +sets +opaque; called app.x="},
         {"do $x$ begin set app.y = '$x'; end $x$ language plpgsql",
          "1 do? +sets +opaque; called app.y="},
         {"do 'begin set session a.b = 1; update t set c = 1; set role x; end'",
          "1 do? +sets +opaque; called a.b=; called role="},
         {"do $$ begin set local a.b = 1; set work_mem = 1; end $$", "1 do? +opaque"});
}

Test(sql, what_is_too_much_is_lost_and_said_so)
{
    static char text[8000];
    static struct sql sql;
    size_t n = 0;

    while (n < sizeof(text) - 40)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "set a.b%zu = 'some value';", n);
    read_in_pieces(&sql, (struct slice){(const uint8_t *)text, n}, 7);
    cr_assert(sql.hints & SQL_LOST);
    memset(text, 'a', sizeof(text));
    memcpy(text, "set a = '", 9);
    read_in_pieces(&sql, (struct slice){(const uint8_t *)text, sizeof(text)}, 7);
    cr_assert(sql.hints & SQL_LOST);
}
