/*
 * Where the answers of queries end in what a server says, whatever the pieces it comes in.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "clean_end.h"
#include "proxy/fronts/http/reply.h"

TestSuite(reply, .fini = clean_end);

/* What was heard: a letter for each message that began, and how each answer ended. */
static void hear(const struct bytes *all, size_t piece, char *told, size_t size)
{
    static const char *const words[] = {"well", "error", "canceled"};
    struct reply reply = {0};
    struct reply_part part;
    size_t sum = 0;
    bool between = true;

    told[0] = '\0';
    for (size_t at = 0; at < all->length; at += piece) {
        struct slice in = {all->at + at, all->length - at < piece ? all->length - at : piece};

        while (reply_next(&reply, &in, &part)) {
            size_t length = strlen(told);

            sum += part.bytes.length;
            if (between)
                length += (size_t)snprintf(told + length, size - length, "%c", part.type);
            between = !reply_is_cut(&reply);
            if (part.ends)
                snprintf(told + length, size - length, " %s; ", words[part.outcome]);
        }
        cr_assert_eq(in.length, 0);
    }
    cr_assert_eq(sum, all->length);
}

static void is_heard_as(struct bytes *all, const char *expected)
{
    char told[256];

    for (size_t piece = 1; piece <= all->length; piece++) {
        hear(all, piece, told, sizeof(told));
        cr_assert_str_eq(told, expected, "in pieces of %zu: %s", piece, told);
    }
    bytes_free(all);
}

static void add_error(struct bytes *all, const char *code)
{
    wire_add_error(all,
                   &(struct wire_error){.severity = "ERROR", .code = code, .message = "C57014"});
}

Test(reply, each_ready_for_query_ends_an_answer)
{
    struct bytes all = {0};

    wire_add_bare(&all, WIRE_PARSE_COMPLETE);
    wire_add_data_row(&all, &SLICE("some value"), 1);
    wire_add_command_complete(&all, "SELECT 1");
    wire_add_ready_for_query(&all, 'I');
    wire_add_bare(&all, WIRE_PARSE_COMPLETE);
    wire_add_ready_for_query(&all, 'T');
    is_heard_as(&all, "1DCZ well; 1Z well; ");
}

Test(reply, an_error_is_of_the_answer_it_comes_in)
{
    struct bytes all = {0};

    wire_add_bare(&all, WIRE_PARSE_COMPLETE);
    add_error(&all, "22012");
    wire_add_ready_for_query(&all, 'I');
    wire_add_ready_for_query(&all, 'I');
    is_heard_as(&all, "1EZ error; Z well; ");
}

Test(reply, that_it_was_canceled_is_told_by_the_code_and_nothing_else)
{
    struct bytes all = {0};

    add_error(&all, "57014");
    wire_add_ready_for_query(&all, 'I');
    add_error(&all, "22000");
    wire_add_ready_for_query(&all, 'E');
    is_heard_as(&all, "EZ canceled; EZ error; ");
}

Test(reply, a_message_is_cut_until_its_last_byte)
{
    struct reply reply = {0};
    struct reply_part part;
    struct slice in = SLICE("D\0\0\0\10ab"), rest = SLICE("cd");

    cr_assert_not(reply_is_cut(&reply));
    cr_assert(reply_next(&reply, &in, &part));
    cr_assert(reply_is_cut(&reply));
    cr_assert(reply_next(&reply, &rest, &part));
    cr_assert_eq(part.type, 'D');
    cr_assert_not(reply_is_cut(&reply));
    cr_assert_not(reply_next(&reply, &rest, &part));
}
