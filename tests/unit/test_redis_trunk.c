#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "drivers/redis/trunk.h"

/* Stories about whose reply is whose. What comes is shown in pieces of `piece` bytes, and what was
 * not used is shown again, as drivers/stream.h does; each is told once for every size. */
enum { MOST = 512 };

static struct trunk trunk;
static char said[MOST * 8];
static char kept[MOST];
static size_t kept_length;
static char ana[] = "ana", bob[] = "bob";

static void owe_noted(char *whom, uint32_t count, uint8_t kind, bool is_patient, uint64_t now)
{
    struct trunk_note note = {.count = count, .kind = kind, .is_patient = is_patient};

    cr_assert_eq(trunk_owe(&trunk, whom, &note, now), ERR_OK);
}

static void owe(char *whom, uint32_t count)
{
    owe_noted(whom, count, 0, false, 0);
}

static void tell(const char *whom, const char *at, size_t length)
{
    size_t end = strlen(said);
    const char *before = strrchr(said, '{');
    size_t name = strlen(whom);

    /* one after the other for the same is one text, in whatever pieces it came */
    if (before != NULL && strncmp(before + 1, whom, name) == 0 && before[1 + name] == ' ')
        said[--end] = '\0';
    else
        end += (size_t)sprintf(said + end, "{%s ", whom);
    for (size_t i = 0; i < length; i++)
        end += (size_t)sprintf(said + end, at[i] == '\r' ? "" : at[i] == '\n' ? "|" : "%c", at[i]);
    strcat(said, "}");
}

/* What was left of it, with the piece behind it. */
static enum trunk_found show(const char *piece, size_t length)
{
    enum trunk_found found = TRUNK_MORE;
    struct trunk_run run;
    size_t used = 0;

    memcpy(kept + kept_length, piece, length);
    kept_length += length;
    for (;;) {
        struct slice rest = {(uint8_t *)kept + used, kept_length - used};

        found = trunk_next(&trunk, rest, &run);
        if (found != TRUNK_RUN)
            break;
        tell(run.is_push        ? "push"
             : run.whom != NULL ? run.whom
                                : "nobody",
             kept + used, run.length);
        used += run.length;
    }
    memmove(kept, kept + used, kept_length - used);
    kept_length -= used;
    return found;
}

static enum trunk_found redis_sends(const char *text, size_t piece)
{
    enum trunk_found found = TRUNK_MORE;
    size_t length = strlen(text);

    for (size_t at = 0; at < length && found != TRUNK_BROKEN; at += piece)
        found = show(text + at, length - at < piece ? length - at : piece);
    return found;
}

static void begin(void)
{
    trunk_init(&trunk);
    said[0] = '\0';
    kept_length = 0;
}

static void end(void)
{
    trunk_fini(&trunk);
}

static void assert_said(const char *what, size_t piece)
{
    cr_assert_str_eq(said, what, "in pieces of %zu: %s", piece, said);
}

#define IN_PIECES(piece) for (size_t piece = 1; piece < 40; begin(), piece++)

TestSuite(redis_trunk, .init = begin, .fini = end);

Test(redis_trunk, each_gets_his_own_in_the_order_that_was_asked)
{
    IN_PIECES(piece)
    {
        owe(ana, 2);
        owe(bob, 1);
        owe(ana, 1);
        cr_assert_neq(redis_sends("+OK\r\n$3\r\nabc\r\n:7\r\n*2\r\n:1\r\n$-1\r\n", piece),
                      TRUNK_BROKEN);
        assert_said("{ana +OK|$3|abc|}{bob :7|}{ana *2|:1|$-1|}", piece);
        cr_assert_eq(trunk.replies, 0);
        end();
    }
}

Test(redis_trunk, what_comes_for_somebody_who_has_gone_is_nobodys)
{
    IN_PIECES(piece)
    {
        owe(ana, 1);
        owe(bob, 2);
        owe(ana, 1);
        cr_assert_not(trunk_forget(&trunk, bob));
        redis_sends("+1\r\n+2\r\n+3\r\n+4\r\n", piece);
        assert_said("{ana +1|}{nobody +2|+3|}{ana +4|}", piece);
        end();
    }
}

Test(redis_trunk, who_goes_in_mid_reply_is_known_to_have_had_its_beginning)
{
    owe(ana, 1);
    owe(bob, 1);
    redis_sends("$10\r\n01234", 9);
    cr_assert(trunk_forget(&trunk, ana));
    redis_sends("56789\r\n+OK\r\n", 9);
    assert_said("{ana $10|01234}{nobody 56789|}{bob +OK|}", 9);
}

Test(redis_trunk, a_reply_that_nobody_is_owed_breaks_the_line)
{
    IN_PIECES(piece)
    {
        owe(ana, 1);
        cr_assert_eq(redis_sends("+OK\r\n+OK\r\n", piece), TRUNK_BROKEN);
        assert_said("{ana +OK|}", piece);
        end();
    }
}

Test(redis_trunk, what_is_no_reply_breaks_the_line)
{
    owe(ana, 2);
    cr_assert_eq(redis_sends("+OK\r\nHTTP/1.1 200", 99), TRUNK_BROKEN);
}

#define UNBLOCKED "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"

Test(redis_trunk, an_unblocking_of_what_does_not_block_is_one_reply_too_many)
{
    IN_PIECES(piece)
    {
        owe(ana, 1);
        owe(bob, 2);
        cr_assert_eq(redis_sends("-U\r\n+1\r\n" UNBLOCKED, piece), TRUNK_BROKEN);
        assert_said("{ana -U|}{bob +1|}", piece);
        end();
    }
    owe_noted(ana, 1, 0, true, 0);
    redis_sends(UNBLOCKED, 4);
    assert_said("{ana -UNBLOCKED client unblocked via CLIENT UNBLOCK|}", 4);
}

Test(redis_trunk, what_a_script_calls_unblocked_is_a_reply_like_any_other)
{
    IN_PIECES(piece)
    {
        owe(ana, 2);
        cr_assert_neq(redis_sends("-UNBLOCKED client of mine\r\n-UNBLOCKED\r\n", piece),
                      TRUNK_BROKEN);
        assert_said("{ana -UNBLOCKED client of mine|-UNBLOCKED|}", piece);
        end();
    }
}

Test(redis_trunk, a_push_where_nobody_asked_for_any_breaks_the_line)
{
    owe(ana, 1);
    cr_assert_eq(redis_sends(">2\r\n+invalidate\r\n*0\r\n", 99), TRUNK_BROKEN);
}

Test(redis_trunk, pushes_go_to_whom_they_are_for_and_are_no_replies)
{
    IN_PIECES(piece)
    {
        trunk.pushed_to = ana;
        owe(ana, 2);
        redis_sends(">1\r\n:1\r\n+OK\r\n>1\r\n:2\r\n+OK\r\n>1\r\n:3\r\n", piece);
        assert_said("{push >1|:1|}{ana +OK|}{push >1|:2|}{ana +OK|}{push >1|:3|}", piece);
        cr_assert_eq(trunk.replies, 0);
        end();
    }
}

Test(redis_trunk, who_has_had_a_part_of_a_push_cannot_be_told_anything_else)
{
    struct trunk_owed owed;
    bool mid;

    trunk.pushed_to = ana;
    owe(ana, 1);
    redis_sends("+OK\r\n>2\r\n+inval", 99);
    cr_assert(trunk.mid);
    redis_sends("idate\r\n*0\r\n", 99);
    cr_assert_not(trunk.mid);
    redis_sends(">2\r\n+invalidate\r\n", 99);
    owe(ana, 1);
    cr_assert(trunk.mid);
    cr_assert(trunk_take(&trunk, &owed, &mid));
    cr_assert(mid);
    owe(bob, 1);
    redis_sends("*0\r\n>1\r\n", 99);
    cr_assert_not(trunk_forget(&trunk, bob));
    cr_assert(trunk_forget(&trunk, ana));
}

Test(redis_trunk, of_a_reply_of_interest_the_beginning_is_known_when_it_ends)
{
    for (size_t piece = 1; piece < 20; begin(), piece++) {
        const char *text = "-EXECABORT Transaction discarded\r\n";
        struct trunk_run run = {0};
        size_t used = 0, shown = 0, length = strlen(text);

        owe_noted(ana, 1, 5, false, 0);
        while (run.whole == 0 && shown < length) {
            shown = shown + piece < length ? shown + piece : length;
            if (trunk_next(&trunk, (struct slice){(const uint8_t *)text + used, shown - used},
                           &run) == TRUNK_RUN)
                used += run.length;
        }
        cr_assert_eq(run.whole, 1);
        cr_assert_eq(run.note.kind, 5);
        cr_assert_eq(run.first.length, length);
        cr_assert_eq(memcmp(run.first.at, text, length), 0);
        end();
    }
}

Test(redis_trunk, those_who_have_waited_too_long_are_told_once_and_get_nothing_late)
{
    uint32_t count;
    void *whom;

    owe_noted(ana, 2, 0, false, 10);
    owe_noted(bob, 1, 0, false, 20);
    owe_noted(ana, 1, 0, false, 30);
    cr_assert_not(trunk_expire(&trunk, 10, &whom, &count));
    cr_assert(trunk_expire(&trunk, 25, &whom, &count));
    cr_assert_eq(whom, ana);
    cr_assert_eq(count, 2);
    cr_assert(trunk_expire(&trunk, 25, &whom, &count));
    cr_assert_eq(whom, bob);
    cr_assert_not(trunk_expire(&trunk, 25, &whom, &count));
    redis_sends("+1\r\n+2\r\n+3\r\n+4\r\n", 3);
    assert_said("{nobody +1|+2|+3|}{ana +4|}", 3);
}

Test(redis_trunk, a_reply_that_has_begun_is_not_given_up_those_of_others_behind_it_are)
{
    uint32_t count;
    void *whom;

    owe_noted(ana, 1, 0, false, 10);
    owe_noted(bob, 2, 0, false, 10);
    redis_sends("$4\r\nab", 6);
    cr_assert(trunk_expire(&trunk, 99, &whom, &count));
    cr_assert_eq(whom, bob);
    cr_assert_eq(count, 2);
    cr_assert_not(trunk_expire(&trunk, 99, &whom, &count));
    redis_sends("cd\r\n+2\r\n+3\r\n", 6);
    assert_said("{ana $4|abcd|}{nobody +2|+3|}", 6);
}

Test(redis_trunk, nobody_is_told_of_anything_in_the_middle_of_a_reply)
{
    uint32_t count;
    void *whom;

    owe_noted(ana, 2, 0, false, 10);
    owe_noted(bob, 1, 0, false, 10);
    owe_noted(ana, 1, 0, false, 20);
    redis_sends("$4\r\nab", 6);
    cr_assert(trunk_expire(&trunk, 99, &whom, &count));
    cr_assert_eq(whom, bob);
    cr_assert_not(trunk_expire(&trunk, 99, &whom, &count), "it would be read as bytes of the bulk");
    redis_sends("cd\r\n", 6);
    cr_assert(trunk_expire(&trunk, 99, &whom, &count));
    cr_assert_eq(whom, ana);
    cr_assert_eq(count, 1);
    cr_assert(trunk_expire(&trunk, 99, &whom, &count));
    cr_assert_eq(whom, ana);
    cr_assert_not(trunk_expire(&trunk, 99, &whom, &count));
    assert_said("{ana $4|abcd|}", 6);
}

Test(redis_trunk, who_has_had_the_beginning_of_a_push_has_had_the_beginning_of_something)
{
    struct trunk_run run;

    trunk.pushed_to = ana;
    cr_assert_eq(trunk_next(&trunk, SLICE(">2\r\n$10\r\ninval"), &run), TRUNK_RUN);
    cr_assert(run.is_push && run.is_mid);
    cr_assert(trunk_forget(&trunk, ana));
    cr_assert_eq(trunk_next(&trunk, SLICE("idate\r\n*0\r\n"), &run), TRUNK_BROKEN);
}

Test(redis_trunk, a_run_says_whether_it_ends_in_the_middle_of_a_reply)
{
    struct trunk_run run;

    owe(ana, 2);
    cr_assert_eq(trunk_next(&trunk, SLICE("+1\r\n$3\r\nab"), &run), TRUNK_RUN);
    cr_assert(run.is_mid);
    cr_assert_eq(trunk_next(&trunk, SLICE("c\r\n"), &run), TRUNK_RUN);
    cr_assert_not(run.is_mid);
}

Test(redis_trunk, the_patient_are_never_too_late)
{
    uint32_t count;
    void *whom;

    owe_noted(ana, 1, 0, true, 10);
    cr_assert_eq(trunk_oldest(&trunk), UINT64_MAX);
    owe_noted(bob, 1, 0, false, 20);
    cr_assert_eq(trunk_oldest(&trunk), 20);
    cr_assert(trunk_expire(&trunk, 99, &whom, &count));
    cr_assert_eq(whom, bob);
    cr_assert_not(trunk_expire(&trunk, 99, &whom, &count));
}

Test(redis_trunk, when_the_line_is_lost_all_that_was_owed_is_found_in_order)
{
    struct trunk_owed owed;
    bool mid;

    for (int i = 0; i < 100; i++) /* more than there is room for at first */
        owe(i % 2 == 0 ? ana : bob, 1);
    redis_sends("+1\r\n+2\r\n$5\r\nab", 99);
    cr_assert_eq(trunk.replies, 98);
    for (int i = 2; i < 100; i++) {
        cr_assert(trunk_take(&trunk, &owed, &mid));
        cr_assert_eq(owed.whom, i % 2 == 0 ? ana : bob);
        cr_assert_eq(mid, i == 2);
    }
    cr_assert_not(trunk_take(&trunk, &owed, &mid));
    cr_assert_eq(trunk.replies, 0);
}
