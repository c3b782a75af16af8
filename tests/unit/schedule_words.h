/*
 * tests/unit/schedule_words.h - the words in which stories about a request's queries are told.
 *
 *      given_queries("a a! b:100");        for pools a, a and b; one alone, one with a time limit
 *      it_says("ask 0");                   lane 0
 *      granted(0);
 *      it_says("send 0");
 *      answers(0);
 *      it_says("q0 well");
 *
 * There is no server and no clock; at() is the time. What is to be sent is sent at once.
 */
#ifndef TESTS_UNIT_SCHEDULE_WORDS_H
#define TESTS_UNIT_SCHEDULE_WORDS_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/http/schedule.h"

enum { MOST = 32 };

static struct schedule_options options;
static size_t most_lanes;
static struct schedule schedule;
static struct schedule_query queries[MOST];
static struct schedule_lane lanes[MOST];
static uint64_t now;
static bool nothing_is_sent; /* for want of a server that takes it */
static char pools[26];       /* their addresses are the pools */

static void set_out(void)
{
    options = (struct schedule_options){.cancel_ms = 100, .most_asking = 1};
    most_lanes = 4;
    now = 0;
    nothing_is_sent = false;
    memset(queries, 0, sizeof(queries));
    memset(lanes, 0, sizeof(lanes));
}

TestSuite(schedule, .init = set_out, .fini = clean_end);

static void given_queries(const char *words)
{
    size_t count = 0;

    while (*words != '\0') {
        struct schedule_query *query = &queries[count++];

        query->place = &pools[*words++ - 'a'];
        if (*words == '!')
            query->alone = true, words++;
        if (*words == ':')
            query->timeout_ms = strtoul(words + 1, (char **)&words, 10);
        words += *words == ' ';
    }
    options.queries = queries;
    options.queries_length = count;
    options.lanes = lanes;
    options.lanes_length = most_lanes;
    schedule_begin(&schedule, &options, now);
}

static void tell_overs(char *told, size_t size)
{
    static const char *const hows[] = {"well", "error", "skipped", "stopped", "refused", "lost"};
    struct schedule_query *query;

    while ((query = schedule_next_over(&schedule)) != NULL) {
        size_t length = strlen(told);

        snprintf(told + length, size - length, "q%zu %s%s%s; ", (size_t)(query - queries),
                 hows[query->how], query->why != ERR_OK ? " " : "",
                 query->why != ERR_OK ? err_sqlstate(query->why) : "");
    }
}

static void it_says(const char *expected)
{
    static const char *const verbs[] = {"ask", "give up", "send", "cancel", "leave"};
    char told[1024] = "";
    struct schedule_order order;

    tell_overs(told, sizeof(told));
    while (schedule_next_order(&schedule, &order)) {
        size_t length = strlen(told);

        snprintf(told + length, sizeof(told) - length, "%s %zu; ", verbs[order.kind],
                 (size_t)(order.lane - lanes));
        while (order.kind == SCHEDULE_ORDER_SEND && !nothing_is_sent &&
               schedule_unsent(order.lane) != NULL)
            schedule_sent(order.lane);
        tell_overs(told, sizeof(told));
    }
    if (told[0] != '\0')
        told[strlen(told) - 2] = '\0';
    cr_assert_str_eq(told, expected, "at %llu ms: \"%s\", not \"%s\"", (unsigned long long)now,
                     told, expected);
}

static void granted(size_t lane)
{
    schedule_granted(&schedule, &lanes[lane], now);
}

static void refused(size_t lane, enum err why)
{
    schedule_refused(&schedule, &lanes[lane], why, now);
}

static void says(size_t lane, enum schedule_answer answer)
{
    schedule_answered(&schedule, &lanes[lane], answer, options.mode == SCHEDULE_TRANSACTION, now);
}

static void rests(size_t lane)
{
    schedule_rested(&schedule, &lanes[lane], true, now);
}

/* And the connection is as it was. */
static void answers(size_t lane)
{
    says(lane, SCHEDULE_ANSWERED_WELL);
    rests(lane);
}

static void errs(size_t lane)
{
    says(lane, SCHEDULE_ANSWERED_ERROR);
    rests(lane);
}

static void says_canceled(size_t lane)
{
    says(lane, SCHEDULE_ANSWERED_CANCELED);
    rests(lane);
}

static void at(uint64_t ms)
{
    now = ms;
    schedule_tick(&schedule, now);
}

static void it_is_finished(void)
{
    cr_assert(schedule_is_finished(&schedule));
}

#endif
