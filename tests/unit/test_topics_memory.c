/* Each allocation fails once: somebody is told, or closed; nobody is told what is not so. */
#include "no_memory.h"
#include "topics_story.h"

TestSuite(topics_memory, .init = begin, .fini = end);

Test(topics_memory, a_command_is_taken_or_not)
{
    struct slice names[] = {SLICE("a"), SLICE("b"), SLICE("a")};
    enum err e = ERR_NO_MEMORY;

    for (long n = 0; e != ERR_OK; n++) {
        no_memory_after(n);
        e = topics_subscribe(&topics, &ana.subscriber, HEARD_CHANNEL, names, COUNT_OF(names));
        no_memory_after(NO_MEMORY_NEVER);
        cr_assert(e == ERR_OK || n < 20);
        cr_assert_eq(topics_is_owed(&ana.subscriber), e == ERR_OK);
        cr_assert_eq(topics_count_names(&topics), e == ERR_OK ? 2 : 0);
    }
}

/* Told in part, a client is closed; what it has been told is so until then. */
Test(topics_memory, who_cannot_be_told_is_known_by_it)
{
    for (long n = 0;; n++) {
        bool failed;

        begin();
        subscribes(&ana, "a b");
        pump();
        opens();
        bytes_add(&inbox, SUBSCRIBED_A SUBSCRIBED_B, strlen(SUBSCRIBED_A SUBSCRIBED_B));
        cr_assert_eq(
            topics_read(&topics, (struct slice){inbox.at, inbox.length}, &(size_t){0}, now),
            TOPICS_PUMP);
        bytes_free(&out);
        no_memory_after(n);
        cr_assert_eq(topics_next_told(&topics, &out), &ana.subscriber);
        no_memory_after(NO_MEMORY_NEVER);
        failed = out.failed;
        cr_assert(failed || topics_count_subscriptions(&topics) == 2);
        cr_assert(n < 20);
        end_story();
        if (!failed)
            break;
    }
    begin();
}

Test(topics_memory, who_cannot_be_given_a_message_is_closed_and_others_hear_it)
{
    given_all_hear_a();
    bytes_add(&inbox, HELLO, strlen(HELLO));
    cr_assert_eq(topics_read(&topics, (struct slice){inbox.at, inbox.length}, &(size_t){0}, now),
                 TOPICS_HEARD);
    bytes_clear(&inbox);
    no_memory_after(0); /* there is room for what ana and eva get */
    hand_out();
    no_memory_after(NO_MEMORY_NEVER);
    pump();
    gets(&ana, HELLO);
    gets(&eva, HELLO);
    gets(&bob, "(no memory)");
}

Test(topics_memory, a_message_that_cannot_be_gathered_is_gone_past)
{
    static char payload[20001];

    memset(payload, 'x', 20000);
    given_ana_hears_a();
    subscribes(&eva, "b");
    pump();
    redis_says(SUBSCRIBED_B);
    bytes_clear(&eva.got);
    bytes_add(&inbox, payload, 20000); /* there is room for it, then */
    bytes_clear(&inbox);
    no_memory_after(0);
    redis_says("*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$20000\r\n");
    no_memory_after(NO_MEMORY_NEVER);
    gets(&eva, "(too long)");
    redis_says(payload);
    redis_says("\r\n" HELLO);
    gets(&ana, HELLO);
    cr_assert_eq(inbox.length, 0);
}
