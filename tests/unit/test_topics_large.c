/* What is cut anywhere on its way, and what is longer than any buffer. */
#include "topics_story.h"

enum { LENGTH = 50 * 1024 };

TestSuite(topics_large, .init = begin, .fini = end);

#define CHANNEL "$5\r\nnews1\r\n"

/* What Redis says to the links that begin() and given_two_listen() make. */
static const char story[] = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" NOPERM
                            "*3\r\n$10\r\npsubscribe\r\n$4\r\nn\0*s\r\n:2\r\n"
                            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n"
                            "*4\r\n$8\r\npmessage\r\n$4\r\nn\0*s\r\n" CHANNEL "$4\r\n\r\n*3\r\n"
                            "*3\r\n$7\r\nmessage\r\n$1\r\nz\r\n$5\r\nhello\r\n"
                            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$0\r\n\r\n";

static const char of_ana[] = "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" NOPERM
                             "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n"
                             "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$0\r\n\r\n";

static const char of_bob[] = ">3\r\n$10\r\npsubscribe\r\n$4\r\nn\0*s\r\n:1\r\n"
                             ">4\r\n$8\r\npmessage\r\n$4\r\nn\0*s\r\n" CHANNEL "$4\r\n\r\n*3\r\n";

static void given_two_ask(void)
{
    struct slice pattern = SLICE("n\0*s");

    subscribes(&ana, "a");
    subscribes(&ana, "no");
    cr_assert_eq(topics_subscribe(&topics, &bob.subscriber, HEARD_PATTERN, &pattern, 1), ERR_OK);
    pump();
    opens();
}

static void got_exactly(struct guest *guest, const void *expected, size_t length)
{
    cr_assert_eq(guest->got.length, length, "%zu bytes, not %zu", guest->got.length, length);
    cr_assert_arr_eq(guest->got.at, expected, length);
    bytes_clear(&guest->got);
}

static void tell_in_pieces(size_t cut, size_t piece)
{
    given_two_ask();
    for (size_t at = 0, step; at < sizeof(story) - 1; at += step) {
        step = at < cut ? cut - at : piece;
        step = step < sizeof(story) - 1 - at ? step : sizeof(story) - 1 - at;
        shows(story + at, step);
    }
    got_exactly(&ana, of_ana, sizeof(of_ana) - 1);
    got_exactly(&bob, of_bob, sizeof(of_bob) - 1);
    cr_assert_eq(inbox.length, 0);
    end_story();
    begin();
}

Test(topics_large, a_story_may_be_cut_at_every_byte)
{
    for (size_t cut = 0; cut < sizeof(story); cut++)
        tell_in_pieces(cut, sizeof(story));
    tell_in_pieces(0, 1);
    tell_in_pieces(0, 7);
}

/* ---- large messages ---------------------------------------------------------------------- */

/* Gives it; "*3 message a" and so many bytes, each its own. */
static struct bytes large_message(const char *name, size_t length)
{
    struct bytes message = {0};

    bytes_print(&message, "*3\r\n$7\r\nmessage\r\n$1\r\n%s\r\n$%zu\r\n", name, length);
    for (size_t i = 0; i < length; i++)
        bytes_add(&message, &(uint8_t){(uint8_t)(i * 7 + i / 251)}, 1);
    bytes_add(&message, "\r\n", 2);
    return message;
}

static void show_in_pieces(const struct bytes *bytes, size_t first, size_t piece)
{
    for (size_t at = 0, step = first; at < bytes->length; at += step, step = piece) {
        step = step < bytes->length - at ? step : bytes->length - at;
        shows(bytes->at + at, step);
    }
}

Test(topics_large, a_large_message_is_gathered_and_waits_in_no_buffer)
{
    struct bytes message = large_message("a", LENGTH);

    given_all_hear_a();
    for (size_t first = 1; first < 60; first++) {
        show_in_pieces(&message, first, 4000);
        got_exactly(&ana, message.at, message.length);
        got_exactly(&eva, message.at, message.length);
        cr_assert_eq(bob.got.at[0], '>');
        bob.got.at[0] = '*';
        got_exactly(&bob, message.at, message.length);
        shows(message.at, 12 * 1024);
        cr_assert_eq(inbox.length, 0);
        shows(message.at + 12 * 1024, message.length - 12 * 1024);
        bytes_clear(&ana.got);
        bytes_clear(&bob.got);
        bytes_clear(&eva.got);
    }
    bytes_free(&message);
}

Test(topics_large, what_is_longer_than_allowed_is_missed_by_those_who_would_hear_it)
{
    struct bytes message = large_message("b", 2 * (size_t)LENGTH);

    given_all_hear_a();
    subscribes(&eva, "b");
    pump();
    redis_says(SUBSCRIBED_B);
    gets(&eva, SUBSCRIBED_B);
    for (size_t first = 1; first < 60; first++) {
        show_in_pieces(&message, first, 4000);
        gets(&eva, first == 1 ? "(too long)" : "");
        cr_assert_eq(inbox.length, 0);
        if (first == 1)
            redis_says("*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n");
        redis_says(HELLO);
        gets(&ana, HELLO);
        gets(&bob, PUSHED_HELLO);
    }
    cr_assert_not(ana.gone);
    orders_are("subscribe b, unsubscribe b");
    bytes_free(&message);
}

/* The channel's name stands between the pattern and the payload. */
Test(topics_large, a_channel_with_a_name_longer_than_allowed_is_gone_past)
{
    struct bytes message = {0};
    char *name = calloc(1, 2 * (size_t)LENGTH);

    given_ana_hears_a();
    asks(&eva, HEARD_PATTERN, true, "*");
    pump();
    redis_says("*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:2\r\n");
    bytes_clear(&eva.got);
    bytes_print(&message, "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$%d\r\n", 2 * LENGTH);
    bytes_add(&message, name, 2 * (size_t)LENGTH);
    bytes_print(&message, "\r\n$5\r\nhello\r\n");
    show_in_pieces(&message, message.length - 5, 1);
    gets(&eva, "(too long)");
    redis_says("*3\r\n$12\r\npunsubscribe\r\n$1\r\n*\r\n:1\r\n");
    for (size_t piece = 1000; piece < 20000; piece += 777)
        show_in_pieces(&message, 100, piece);
    redis_says(HELLO);
    gets(&ana, HELLO);
    free(name);
    bytes_free(&message);
}

/* The limit falls between a name and a payload, whose header comes in pieces. */
Test(topics_large, a_limit_anywhere_in_a_message_is_a_limit)
{
    struct bytes message = {0};
    char name[9000];

    memset(name, 'n', sizeof(name));
    bytes_print(&message, "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$9000\r\n");
    bytes_add(&message, name, sizeof(name));
    bytes_print(&message, "\r\n$15\r\nand the payload\r\n");
    given_ana_hears_a();
    for (size_t most = message.length - 60; most <= message.length; most++)
        for (size_t piece = 1; piece < 40; piece += 6) {
            topics.gather.most = most;
            join(&eva, false);
            asks(&eva, HEARD_PATTERN, true, "*");
            pump();
            redis_says("*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:2\r\n");
            bytes_clear(&eva.got);
            show_in_pieces(&message, 9000, piece);
            if (most < message.length)
                gets(&eva, "(too long)");
            else
                got_exactly(&eva, message.at, message.length);
            redis_says(HELLO);
            gets(&ana, HELLO);
            leaves(&eva);
            pump();
            redis_says("*3\r\n$12\r\npunsubscribe\r\n$1\r\n*\r\n:1\r\n");
            orders[0] = '\0';
        }
    bytes_free(&message);
}

/* ---- kept messages ----------------------------------------------------------------------- */

/* What ana and bob are given, is kept. */
static void keep(struct gather_message **to_ana, struct gather_message **of_eva,
                 struct gather_message **to_bob, const char *text)
{
    struct topics_subscriber *subscriber;
    struct slice bytes;
    size_t used;

    cr_assert_eq(
        topics_read(&topics, (struct slice){(const uint8_t *)text, strlen(text)}, &used, now),
        TOPICS_HEARD);
    while ((subscriber = topics_next_hearer(&topics, &bytes)) != NULL) {
        struct gather_message **kept = subscriber == &ana.subscriber   ? to_ana
                                       : subscriber == &eva.subscriber ? of_eva
                                                                       : to_bob;

        *kept = topics_keep(&topics, subscriber);
        cr_assert_eq((*kept)->length, bytes.length);
        cr_assert_arr_eq((*kept)->bytes, bytes.at, bytes.length);
    }
}

Test(topics_large, a_message_that_cannot_be_sent_is_kept_once_and_not_written_over)
{
    struct gather_message *first[3], *second[3];

    given_all_hear_a();
    keep(&first[0], &first[1], &first[2], HELLO);
    cr_assert_eq(first[0], first[1], "those in RESP2 share it");
    keep(&second[0], &second[1], &second[2], "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nother\r\n");
    cr_assert_neq(first[0], second[0]);
    cr_assert_eq(memcmp(first[0]->bytes, HELLO, first[0]->length), 0);
    cr_assert_eq(memcmp(first[2]->bytes, PUSHED_HELLO, first[2]->length), 0);
    leaves(&ana);
    for (size_t i = 0; i < 3; i++) {
        gather_release(first[i]);
        gather_release(second[i]);
    }
}

Test(topics_large, what_nobody_keeps_is_copied_into_the_block_that_is_there)
{
    const struct gather_message *block;

    given_all_hear_a();
    redis_says(HELLO);
    block = topics.gather.forms[1];
    cr_assert_not_null(block);
    for (unsigned i = 0; i < 100; i++)
        redis_says(HELLO);
    cr_assert_eq(topics.gather.forms[1], block);
    cr_assert_null(topics.gather.forms[0], "in RESP2 nothing is copied");
}

Test(topics_large, what_was_gathered_is_kept_as_it_is)
{
    struct bytes message = large_message("a", LENGTH);
    struct gather_message *kept;
    struct slice bytes;

    given_ana_hears_a();
    shows(message.at, message.length - 1);
    cr_assert_eq(topics_read(&topics, SLICE("\n"), &(size_t){0}, now), TOPICS_HEARD);
    cr_assert_eq(topics_next_hearer(&topics, &bytes), &ana.subscriber);
    kept = topics_keep(&topics, &ana.subscriber);
    cr_assert_eq(kept->bytes, bytes.at);
    cr_assert_eq(topics_keep(&topics, &ana.subscriber), kept);
    gather_release(kept);
    cr_assert_null(topics_next_hearer(&topics, &bytes));
    redis_says(HELLO);
    gets(&ana, HELLO);
    cr_assert_arr_eq(kept->bytes, message.at, message.length);
    gather_release(kept);
    bytes_free(&message);
}
