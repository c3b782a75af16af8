/*
 * tests/unit/topics_story.h - the words in which stories of topics.h are told.
 *
 *      subscribes(&ana, "a");
 *      orders_are("open");
 *      opens();                                  the link
 *      redis_says(SUBSCRIBED_A HELLO);
 *      gets(&ana, SUBSCRIBED_A HELLO);
 *
 * Bob speaks RESP3, the others RESP2. Who has missed something gets the reason in brackets.
 */
#ifndef TESTS_UNIT_TOPICS_STORY_H
#define TESTS_UNIT_TOPICS_STORY_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/redis/topics.h"

struct guest {
    struct topics_subscriber subscriber;
    struct bytes got;
    bool gone, leaves_when_it_hears;
};

static struct topics topics;
static struct guest ana, bob, eva;
static struct bytes inbox, out;
static char orders[2000];
static uint64_t now;

static const struct topics_limits usual = {.answer_ms = 100,
                                           .idle_ms = 1000,
                                           .retry_ms = 500,
                                           .most_names = 6,
                                           .most_names_each = 4,
                                           .longest_name = 20,
                                           .longest_message = 100 * 1024};

static inline struct guest *guest_of(struct topics_subscriber *subscriber)
{
    return CONTAINER_OF(subscriber, struct guest, subscriber);
}

static inline void join(struct guest *guest, bool is_resp3)
{
    topics_join(&guest->subscriber);
    guest->subscriber.is_resp3 = is_resp3;
    guest->gone = guest->leaves_when_it_hears = false;
}

static inline void begin(void)
{
    now = 10000;
    orders[0] = '\0';
    topics_init(&topics, &usual);
    join(&ana, false);
    join(&bob, true);
    join(&eva, false);
}

static inline void leaves(struct guest *guest)
{
    topics_leave(&topics, &guest->subscriber);
    guest->gone = true;
}

static inline void end_story(void)
{
    leaves(&ana);
    leaves(&bob);
    leaves(&eva);
    topics_fini(&topics);
    bytes_free(&ana.got);
    bytes_free(&bob.got);
    bytes_free(&eva.got);
    bytes_free(&inbox);
    bytes_free(&out);
}

static inline void end(void)
{
    end_story();
    clean_end();
}

static inline void note(const char *text, size_t length)
{
    size_t at = strlen(orders);

    cr_assert_lt(at + length + 2, sizeof(orders));
    snprintf(orders + at, sizeof(orders) - at, "%s%.*s", at > 0 ? ", " : "", (int)length, text);
}

/* "*2\r\n$9\r\nsubscribe\r\n$1\r\na\r\n" is "subscribe a". */
static inline void note_question(void)
{
    const char *at = (const char *)out.at, *stop = at + out.length;

    while (at < stop) {
        char words[200] = "";
        int items = atoi(at + 1);

        for (at = strstr(at, "\r\n") + 2; items > 0; items--) {
            int length = atoi(at + 1);

            at = strstr(at, "\r\n") + 2;
            snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%.*s",
                     words[0] ? " " : "", length, at);
            at += length + 2;
        }
        note(words, strlen(words));
    }
}

static inline void pump(void)
{
    static const char *const names[] = {"", "open", "", "close", "give up"};
    struct topics_subscriber *subscriber;
    enum topics_order order;
    enum topics_miss why;

    do {
        while ((subscriber = topics_next_missed(&topics, &why)) != NULL) {
            static const char *const reasons[] = {"(lost)", "(refused)", "(too long)",
                                                  "(no memory)"};

            bytes_add(&guest_of(subscriber)->got, reasons[why], strlen(reasons[why]));
            leaves(guest_of(subscriber));
        }
        while ((subscriber = topics_next_told(&topics, &out)) != NULL) {
            cr_assert_not(out.failed);
            cr_assert_not(guest_of(subscriber)->gone);
            bytes_add(&guest_of(subscriber)->got, out.at, out.length);
        }
        order = topics_next_order(&topics, now, &out);
        if (order == TOPICS_ASK)
            note_question();
        else if (order != TOPICS_NOTHING)
            note(names[order], strlen(names[order]));
    } while (order != TOPICS_NOTHING || topics.told.length + topics.missed.length > 0);
}

static inline void orders_are(const char *expected)
{
    pump();
    cr_assert_str_eq(orders, expected);
    orders[0] = '\0';
}

static inline void opens(void)
{
    topics_opened(&topics, now);
    pump();
}

static inline void is_lost(void)
{
    bytes_clear(&inbox);
    topics_lost(&topics, now);
    pump();
}

static inline void hand_out(void)
{
    struct topics_subscriber *subscriber;
    struct slice bytes;

    while ((subscriber = topics_next_hearer(&topics, &bytes)) != NULL) {
        struct guest *guest = guest_of(subscriber);

        cr_assert_not(guest->gone);
        bytes_add(&guest->got, bytes.at, bytes.length);
        if (guest->leaves_when_it_hears) {
            leaves(&ana);
            leaves(&bob);
        }
    }
}

static inline void shows(const void *text, size_t length)
{
    enum topics_found found;
    size_t used, at = 0;

    bytes_add(&inbox, text, length);
    do {
        found = topics_read(&topics, (struct slice){inbox.at + at, inbox.length - at}, &used, now);
        at += used;
        if (found == TOPICS_HEARD)
            hand_out();
        if (found == TOPICS_PUMP)
            pump();
    } while (found == TOPICS_HEARD || found == TOPICS_PUMP);
    memmove(inbox.at, inbox.at + at, inbox.length - at);
    inbox.length -= at;
    if (found == TOPICS_BROKEN) {
        note("broken", 6);
        is_lost();
    }
    pump();
}

static inline void redis_says(const char *text)
{
    shows(text, strlen(text));
}

static inline void asks(struct guest *guest, enum heard_kind kind, bool subscribes,
                        const char *words)
{
    struct slice names[8];
    size_t count = 0;

    for (size_t length; *words != '\0'; words += length + (words[length] == ' ')) {
        length = strcspn(words, " ");
        names[count++] = (struct slice){(const uint8_t *)words, length};
    }
    if (subscribes)
        cr_assert_eq(topics_subscribe(&topics, &guest->subscriber, kind, names, count), ERR_OK);
    else
        cr_assert_eq(topics_unsubscribe(&topics, &guest->subscriber, kind, names, count), ERR_OK);
}

static inline void subscribes(struct guest *guest, const char *names)
{
    asks(guest, HEARD_CHANNEL, true, names);
}

static inline void unsubscribes(struct guest *guest, const char *names)
{
    asks(guest, HEARD_CHANNEL, false, names);
}

static inline void gets(struct guest *guest, const char *expected)
{
    bytes_add(&guest->got, "", 1);
    cr_assert_str_eq((const char *)guest->got.at, expected);
    bytes_clear(&guest->got);
}

#define SUBSCRIBED_A "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
#define SUBSCRIBED_B "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
#define LEFT_A       "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n"
#define HELLO        "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n"
#define HELLO_B      "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$5\r\nhello\r\n"
#define PUSHED_HELLO ">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$5\r\nhello\r\n"
#define PUSHED_A     ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
#define NOPERM                                                                                     \
    "-NOPERM this user has no permissions to access one of the channels used as arguments\r\n"
#define DOWN "-ERR the server cannot be reached\r\n"

static inline void given_ana_hears_a(void)
{
    subscribes(&ana, "a");
    pump();
    opens();
    redis_says(SUBSCRIBED_A);
    gets(&ana, SUBSCRIBED_A);
    orders_are("open, subscribe a");
}

static inline void given_all_hear_a(void)
{
    given_ana_hears_a();
    subscribes(&bob, "a");
    subscribes(&eva, "a");
    pump();
    redis_says("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    gets(&bob, PUSHED_A);
    gets(&eva, SUBSCRIBED_A);
    orders_are("ping");
}

#endif
