/* What a server has, what its client wants, and what the server says when it is asked. */
#include <criterion/criterion.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/postgres/question.h"

static struct parameters_set all;
static struct following f;

static struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static void begin(void)
{
    cr_assert(following_init(&f, &all));
}

static void end(void)
{
    following_fini(&f);
    cr_assert_null(all.all);
    clean_end();
}

TestSuite(following, .init = begin, .fini = end);

static const struct parameters *with(const char *name, const char *value)
{
    return parameters_set_extra(&all, parameters_empty(&all), slice_of(name), slice_of(value));
}

static void lease(const struct parameters *own)
{
    following_lease(&f, own, own);
    parameters_release(&all, own);
}

static bool change(enum sql_change_kind kind, const char *name, const char *value)
{
    return following_change(&f, &(struct sql_change){kind, slice_of(name), slice_of(value)});
}

static void writes(const char *expected)
{
    struct bytes sql = {0};
    bool any = following_write(&f, &sql);

    cr_assert_eq(any, expected[0] != '\0');
    if (any)
        cr_assert_str_eq((char *)sql.at, expected);
    bytes_free(&sql);
}

static const char *has(const char *name)
{
    return parameters_extra(f.has, slice_of(name));
}

static void leave(void)
{
    parameters_release(&all, following_leave(&f));
}

Test(following, a_server_has_what_it_was_sent_when_it_has_said_so)
{
    lease(with("a", "1"));
    writes("SET \"a\" TO E'1'");
    cr_assert_null(has("a"));
    following_arrived(&f);
    cr_assert_str_eq(has("a"), "1");
    writes("");
    leave();
}

Test(following, what_the_server_refused_it_has_not)
{
    lease(with("a", "1"));
    writes("SET \"a\" TO E'1'");
    following_failed(&f);
    following_arrived(&f);
    cr_assert_null(has("a"));
    leave();
}

Test(following, what_a_client_sets_is_set_and_wanted)
{
    lease(parameters_empty(&all));
    cr_assert(change(SQL_CHANGE_SET, "a", "2"));
    cr_assert_str_eq(has("a"), "2");
    writes("");
    leave();
    lease(parameters_empty(&all));
    writes("RESET \"a\"");
    following_arrived(&f);
    cr_assert_null(has("a"));
    leave();
}

Test(following, a_reset_goes_back_to_what_the_client_brought_along)
{
    lease(with("a", "1"));
    writes("SET \"a\" TO E'1'");
    following_arrived(&f);
    cr_assert(change(SQL_CHANGE_RESET, "a", ""));
    writes("SET \"a\" TO E'1'");
    following_arrived(&f);
    cr_assert(change(SQL_CHANGE_SET, "role", "x"));
    cr_assert(change(SQL_CHANGE_SET, "b", "x"));
    cr_assert(change(SQL_CHANGE_RESET_ALL, "", ""));
    cr_assert_str_eq(has("role"), "x");
    cr_assert_null(has("b"));
    writes("RESET ROLE;SET \"a\" TO E'1';SET \"role\" TO E'x'");
    following_arrived(&f);
    cr_assert(change(SQL_CHANGE_DISCARD, "", ""));
    cr_assert_null(has("role"));
    leave();
}

Test(following, what_is_more_than_a_value_is_not_kept)
{
    lease(parameters_empty(&all));
    cr_assert(!change(SQL_CHANGE_SET, "session_authorization", "bob"));
    cr_assert(!change(SQL_CHANGE_SET, "a", "\xff"));
    cr_assert(change(SQL_CHANGE_SET, "transaction_isolation", "serializable"));
    cr_assert_null(has("transaction_isolation"));
    leave();
}

/* ---- the server's own word --------------------------------------------------------------- */

static struct question question;

static void ask(unsigned kinds)
{
    static struct state state;
    struct bytes sql = {0};

    state_init(&state);
    question_write(&question, kinds, &state, &sql);
    bytes_free(&sql);
}

static void add_cell(struct bytes *row, const char *text)
{
    uint8_t length[4];

    bytes_put_u32(length, text != NULL ? (uint32_t)strlen(text) : UINT32_MAX);
    bytes_add(row, length, 4);
    if (text != NULL)
        bytes_add(row, text, strlen(text));
}

static void row(const char *letter, const char *name, const char *value)
{
    struct bytes row = {0};

    bytes_add(&row, "\0\3", 2);
    add_cell(&row, letter);
    add_cell(&row, name);
    add_cell(&row, value);
    question_row(&question, (struct slice){row.at, row.length});
    bytes_free(&row);
}

Test(following, the_answer_is_the_truth)
{
    lease(parameters_empty(&all));
    cr_assert(change(SQL_CHANGE_SET, "work_mem", "1MB"));
    cr_assert(change(SQL_CHANGE_SET, "jit", "off"));
    cr_assert(change(SQL_CHANGE_SET, "app.kept", "1"));
    cr_assert(change(SQL_CHANGE_SET, "app.gone", "1"));
    cr_assert(change(SQL_CHANGE_SET, "role", "x"));
    ask(STATE_SETTINGS | STATE_LOCKS);
    row("s", "work_mem", "2MB");
    row("s", "TimeZone", "UTC");
    row("s", "session_authorization", "ana");
    row("s", "app.gone", "");
    row("s", "role", "none");
    row("l", NULL, NULL);
    cr_assert(question_settle(&question, &f, "ana"));
    cr_assert_eq(question.found, STATE_LOCKS);
    cr_assert_str_eq(has("work_mem"), "2MB");
    cr_assert_str_eq(has("app.kept"), "1");
    cr_assert_null(has("jit"));
    cr_assert_null(has("app.gone"));
    cr_assert_null(has("role"));
    cr_assert_null(has("timezone"));
    writes("");
    leave();
}

Test(following, what_the_server_has_and_nobody_can_keep_is_said_so)
{
    lease(parameters_empty(&all));
    ask(STATE_SETTINGS);
    row("s", "session_authorization", "bob");
    cr_assert(!question_settle(&question, &f, "ana"));
    ask(STATE_SETTINGS);
    question_row(&question, SLICE("\0\3\0\0\0"));
    cr_assert(!question_settle(&question, &f, "ana"));
    leave();
}
