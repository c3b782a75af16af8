#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/channels.h"

/* ---- the words in which stories are told ------------------------------------------------- */

static struct channels channels;
static struct channels_subscriber ana, bob, eva;
static struct bytes sql;
static uint64_t now;
static unsigned ended;

static void count_end(struct channels_subscriber *subscriber,
                      struct channels_subscription *subscription)
{
    cr_assert_eq(subscription->subscriber, subscriber);
    ended++;
}

static const char *name_of(const struct channels_subscriber *subscriber)
{
    return subscriber == &ana ? "ana" : subscriber == &bob ? "bob" : "eva";
}

static void begin(void)
{
    struct channels_limits limits = {.answer_ms = 100, .idle_ms = 1000, .retry_ms = 500};

    now = 10000;
    channels_init(&channels, &limits);
    channels_join(&ana, count_end);
    channels_join(&bob, count_end);
    channels_join(&eva, count_end);
}

static void end(void)
{
    channels_forget(&channels, &ana, CHANNELS_CONFIRMED);
    channels_forget(&channels, &bob, CHANNELS_CONFIRMED);
    channels_forget(&channels, &eva, CHANNELS_CONFIRMED);
    channels_fini(&channels);
    bytes_free(&sql);
}

static void wants(struct channels_subscriber *subscriber, const char *name)
{
    cr_assert_eq(channels_want(&channels, subscriber, name), ERR_OK);
}

static void orders_are(const char *expected)
{
    char words[1000] = "";
    enum channels_order order;

    while ((order = channels_next_order(&channels, now, &sql)) != CHANNELS_NOTHING) {
        const char *names[] = {"", "open", "ask ", "close", "give up"};

        snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s%s",
                 words[0] ? ", " : "", names[order], order == CHANNELS_ASK ? (char *)sql.at : "");
    }
    cr_assert_str_eq(words, expected);
}

static void told_are(const char *expected)
{
    struct channels_subscriber *subscriber;
    char words[1000] = "";
    bool listening;

    while ((subscriber = channels_next_told(&channels, &listening)) != NULL)
        snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s%s",
                 words[0] ? ", " : "", listening ? "" : "not ", name_of(subscriber));
    cr_assert_str_eq(words, expected);
}

static void is_answered(bool well)
{
    channels_answered(&channels, well, now);
}

/* Opened, asked and answered. */
static void given_that_listens(struct channels_subscriber *subscriber, const char *name)
{
    wants(subscriber, name);
    if (channels.connection == CHANNELS_CLOSED) {
        orders_are("open");
        channels_opened(&channels, now);
    }
    while (channels_next_order(&channels, now, &sql) == CHANNELS_ASK)
        is_answered(true);
    while (channels_next_told(&channels, &(bool){false}) != NULL)
        ;
    cr_assert(channels_confirm(subscriber, name));
}

static void hearers_of(const char *name, const char *expected)
{
    struct channels_channel *channel = channels_find(&channels, name);
    struct channels_subscription *s = channel ? channels_next_hearing(channel, true) : NULL;
    char words[1000] = "";

    for (; s != NULL; s = channels_next_hearing(channel, false))
        snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%s", words[0] ? " " : "",
                 name_of(s->subscriber));
    cr_assert_str_eq(words, expected);
}

TestSuite(channels, .init = begin, .fini = end);

/* ---- stories ----------------------------------------------------------------------------- */

Test(channels, the_first_listener_opens_the_connection_and_waits_until_it_listens)
{
    orders_are("");
    wants(&ana, "news");
    orders_are("open");
    told_are("");
    channels_opened(&channels, now);
    orders_are("ask LISTEN \"news\";");
    told_are("");
    hearers_of("news", "");
    is_answered(true);
    told_are("ana");
    hearers_of("news", "ana");
    orders_are("");
}

Test(channels, all_who_come_at_once_are_asked_for_at_once)
{
    wants(&ana, "a");
    wants(&bob, "a");
    wants(&bob, "b");
    orders_are("open");
    wants(&eva, "c");
    channels_opened(&channels, now);
    orders_are("ask LISTEN \"a\";LISTEN \"b\";LISTEN \"c\";");
    is_answered(true);
    told_are("ana, bob, eva");
}

Test(channels, who_comes_during_a_question_waits_for_the_next)
{
    wants(&ana, "a");
    orders_are("open");
    channels_opened(&channels, now);
    orders_are("ask LISTEN \"a\";");
    wants(&bob, "b");
    wants(&ana, "c");
    orders_are("");
    is_answered(true);
    told_are("");
    orders_are("ask LISTEN \"b\";LISTEN \"c\";");
    is_answered(true);
    told_are("bob, ana");
}

/* The answer divides what was notified before from what comes after. */
Test(channels, even_a_channel_that_is_heard_costs_a_question)
{
    given_that_listens(&ana, "news");
    wants(&bob, "news");
    hearers_of("news", "ana");
    orders_are("ask ");
    told_are("");
    is_answered(true);
    told_are("bob");
    hearers_of("news", "ana bob");
}

Test(channels, names_are_quoted)
{
    wants(&ana, "a\"; drop table x; --");
    wants(&ana, "\xc3\xa4 B");
    orders_are("open");
    channels_opened(&channels, now);
    orders_are("ask LISTEN \"a\"\"; drop table x; --\";LISTEN \"\xc3\xa4 B\";");
}

Test(channels, what_was_not_committed_is_forgotten)
{
    given_that_listens(&ana, "kept");
    wants(&ana, "dropped");
    wants(&ana, "kept");
    orders_are("ask LISTEN \"dropped\";");
    is_answered(true);
    told_are("ana");
    channels_forget(&channels, &ana, CHANNELS_TENTATIVE);
    cr_assert_eq(ended, 1);
    hearers_of("kept", "ana");
    hearers_of("dropped", "");
    orders_are("ask UNLISTEN \"dropped\";");
    is_answered(true);
    cr_assert_null(channels_find(&channels, "dropped"));
}

Test(channels, only_what_was_wanted_can_be_confirmed)
{
    given_that_listens(&ana, "a");
    cr_assert_not(channels_confirm(&ana, "b"));
    cr_assert_not(channels_confirm(&bob, "a"));
    wants(&bob, "a");
    cr_assert_not(channels_confirm(&bob, "a"), "it is not listened to yet");
}

Test(channels, an_unlisten_may_be_followed_by_a_listen)
{
    given_that_listens(&ana, "a");
    given_that_listens(&ana, "b");
    channels_doubt(&ana, NULL);
    cr_assert(channels_confirm(&ana, "b"));
    channels_forget(&channels, &ana, CHANNELS_TENTATIVE);
    hearers_of("a", "");
    hearers_of("b", "ana");
}

Test(channels, who_wants_what_is_just_being_left_gets_it)
{
    given_that_listens(&ana, "a");
    channels_drop(&channels, &ana, "a");
    orders_are("ask UNLISTEN \"a\";");
    wants(&bob, "a");
    orders_are("");
    is_answered(true);
    orders_are("ask LISTEN \"a\";");
    is_answered(true);
    told_are("bob");
}

Test(channels, who_wants_what_nobody_wanted_any_more_gets_it_as_it_is)
{
    given_that_listens(&ana, "a");
    channels_drop(&channels, &ana, "a");
    wants(&bob, "a");
    orders_are("ask ");
    is_answered(true);
    hearers_of("a", "bob");
}

Test(channels, who_goes_while_it_waits_is_not_told)
{
    wants(&ana, "a");
    wants(&bob, "b");
    orders_are("open");
    channels_opened(&channels, now);
    orders_are("ask LISTEN \"a\";LISTEN \"b\";");
    channels_forget(&channels, &ana, CHANNELS_CONFIRMED);
    is_answered(true);
    told_are("bob");
    orders_are("ask UNLISTEN \"a\";");
}

Test(channels, one_of_many_may_leave_while_they_hear)
{
    struct channels_subscription *s;

    given_that_listens(&ana, "a");
    given_that_listens(&bob, "a");
    given_that_listens(&eva, "a");
    s = channels_next_hearing(channels_find(&channels, "a"), true);
    cr_assert_eq(s->subscriber, &ana);
    channels_forget(&channels, &ana, CHANNELS_CONFIRMED);
    channels_forget(&channels, &bob, CHANNELS_CONFIRMED);
    s = channels_next_hearing(channels_find(&channels, "a"), false);
    cr_assert_eq(s->subscriber, &eva);
    cr_assert_null(channels_next_hearing(channels_find(&channels, "a"), false));
}

/* ---- what goes wrong --------------------------------------------------------------------- */

Test(channels, who_asks_for_what_is_refused_is_told_and_no_one_else_suffers)
{
    given_that_listens(&ana, "a");
    wants(&bob, "b");
    orders_are("ask LISTEN \"b\";");
    is_answered(false);
    told_are("not bob");
    cr_assert_null(channels_find(&channels, "b"));
    hearers_of("a", "ana");
    orders_are("");
}

Test(channels, a_connection_that_worked_is_opened_again_at_once_and_asked_for_everything)
{
    given_that_listens(&ana, "a");
    given_that_listens(&bob, "b");
    wants(&eva, "c");
    orders_are("ask LISTEN \"c\";");
    channels_lost(&channels, now);
    orders_are("open");
    told_are("");
    channels_opened(&channels, now);
    cr_assert_not(channels_take_gap(&channels));
    orders_are("ask LISTEN \"c\";LISTEN \"a\";LISTEN \"b\";");
    is_answered(true);
    told_are("eva");
    cr_assert(channels_take_gap(&channels), "ana and bob may have missed something");
    cr_assert_not(channels_take_gap(&channels), "and are told once");
    cr_assert_eq(channels_next_member(&channels, true), &ana);
    hearers_of("a", "ana");
}

Test(channels, after_a_login_that_failed_nobody_waits_for_the_next)
{
    wants(&ana, "a");
    orders_are("open");
    channels_lost(&channels, now);
    orders_are("");
    told_are("not ana");
    wants(&bob, "b");
    orders_are("");
    told_are("not bob");
    cr_assert_eq(named_count(&channels.names), 0);
    now += 500;
    wants(&bob, "b");
    orders_are("open");
}

Test(channels, those_that_listened_are_listened_for_again_after_a_pause)
{
    given_that_listens(&ana, "a");
    channels_lost(&channels, now);
    orders_are("open");
    channels_lost(&channels, now);
    orders_are("");
    cr_assert_eq(channels_deadline(&channels), now + 500);
    now += 500;
    orders_are("open");
    channels_opened(&channels, now);
    orders_are("ask LISTEN \"a\";");
}

Test(channels, a_server_that_takes_the_connection_and_not_the_question_is_left_alone_for_a_while)
{
    given_that_listens(&ana, "a");
    channels_lost(&channels, now);
    orders_are("open");
    channels_opened(&channels, now);
    orders_are("ask LISTEN \"a\";");
    is_answered(false);
    orders_are("give up");
    cr_assert_eq(channels_deadline(&channels), now + 500);
    now += 500;
    orders_are("open");
}

Test(channels, nobody_waits_for_ever)
{
    wants(&ana, "a");
    orders_are("open");
    cr_assert_eq(channels_deadline(&channels), now + 100);
    now += 100;
    orders_are("give up");
    told_are("not ana");
}

Test(channels, a_question_that_is_not_answered_is_the_end_of_a_connection)
{
    given_that_listens(&ana, "a");
    wants(&bob, "b");
    orders_are("ask LISTEN \"b\";");
    now += 99;
    orders_are("");
    now += 1;
    orders_are("give up, open");
    now += 100;
    orders_are("give up");
    told_are("not bob");
}

Test(channels, what_nobody_needs_is_closed_after_a_while)
{
    given_that_listens(&ana, "a");
    cr_assert_eq(channels_deadline(&channels), UINT64_MAX);
    channels_forget(&channels, &ana, CHANNELS_CONFIRMED);
    orders_are("ask UNLISTEN \"a\";");
    is_answered(true);
    orders_are("");
    cr_assert_eq(channels_deadline(&channels), now + 1000);
    now += 1000;
    orders_are("close");
    cr_assert_eq(channels_deadline(&channels), UINT64_MAX);
    wants(&bob, "b");
    orders_are("open");
}
