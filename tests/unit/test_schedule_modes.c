/*
 * What runs when of the queries of a request that have one connection: a pipeline, a transaction.
 */
#include "schedule_words.h"

/* ---- in a pipeline -------------------------------------------------------------------------- */

Test(schedule, a_pipeline_is_sent_at_once_and_to_one_connection)
{
    options.mode = SCHEDULE_PIPELINE;
    given_queries("a a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    cr_assert_eq(lanes[0].flight.length, 3);
    says(0, SCHEDULE_ANSWERED_WELL);
    says(0, SCHEDULE_ANSWERED_ERROR);
    answers(0);
    it_says("q0 well; q1 error; q2 well; leave 0");
    it_is_finished();
}

Test(schedule, who_is_alone_waits_and_is_waited_for)
{
    options.mode = SCHEDULE_PIPELINE;
    given_queries("a a a! a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    cr_assert_eq(lanes[0].flight.length, 2);
    says(0, SCHEDULE_ANSWERED_WELL);
    answers(0);
    it_says("q0 well; q1 well; send 0");
    cr_assert_eq(lanes[0].flight.length, 1);
    schedule_rested(&schedule, &lanes[0], false, now); /* it has not ended yet */
    it_says("");
    says(0, SCHEDULE_ANSWERED_WELL);
    schedule_rested(&schedule, &lanes[0], false, now); /* it is one session */
    it_says("q2 well; send 0");
}

Test(schedule, a_time_limit_makes_a_query_of_a_pipeline_stand_alone)
{
    options.mode = SCHEDULE_PIPELINE;
    given_queries("a a:50 a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    at(10);
    answers(0);
    it_says("q0 well; send 0");
    at(60);
    it_says("cancel 0");
    says_canceled(0);
    it_says("q1 stopped 57014; send 0");
}

Test(schedule, so_does_an_error_that_is_to_stop_the_others)
{
    options.mode = SCHEDULE_PIPELINE;
    options.on_error = SCHEDULE_STOP;
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    errs(0);
    it_says("q0 error; q1 skipped; leave 0");
    it_is_finished();
}

Test(schedule, what_is_canceled_of_a_pipeline_is_canceled_one_by_one)
{
    options.mode = SCHEDULE_PIPELINE;
    options.timeout_ms = 50;
    given_queries("a a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    at(50);
    it_says("cancel 0");
    says_canceled(0);
    it_says("q0 stopped 57014; cancel 0");
    says_canceled(0);
    it_says("q1 stopped 57014; cancel 0");
    at(150);
    it_says("q2 lost 57014; leave 0");
    it_is_finished();
}

Test(schedule, what_has_ended_meanwhile_is_not_canceled)
{
    options.mode = SCHEDULE_PIPELINE;
    options.timeout_ms = 50;
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    at(50);
    it_says("cancel 0");
    says(0, SCHEDULE_ANSWERED_CANCELED);
    says_canceled(0);
    it_says("q0 stopped 57014; q1 stopped 57014; leave 0");
    it_is_finished();
}

Test(schedule, one_of_several_that_were_sent_is_not_canceled_alone)
{
    options.mode = SCHEDULE_PIPELINE;
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    schedule_stop(&schedule, &queries[0], ERR_NOT_SUPPORTED, now);
    it_says("");
    says(0, SCHEDULE_ANSWERED_WELL);
    answers(0);
    it_says("q0 stopped 0A000; q1 well; leave 0");
}

Test(schedule, a_pipeline_does_not_go_on_elsewhere)
{
    options.mode = SCHEDULE_PIPELINE;
    given_queries("a a a! a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    says(0, SCHEDULE_ANSWERED_WELL);
    schedule_lost(&schedule, &lanes[0], now);
    it_says("q0 well; q1 lost 08006; q2 skipped 08006; q3 skipped 08006");
    it_is_finished();
}

Test(schedule, nor_when_it_had_to_leave_its_connection)
{
    options.mode = SCHEDULE_PIPELINE;
    given_queries("a a! a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    schedule_broken(&schedule, &lanes[0], ERR_PROTOCOL, now);
    it_says("q0 error 08P01; q1 skipped; q2 skipped; leave 0");
    it_is_finished();
}

/* ---- in a transaction ----------------------------------------------------------------------- */

/* Of pool a: BEGIN, so many queries, COMMIT. */
static void given_a_transaction_of(const char *words)
{
    char all[100];

    options.mode = SCHEDULE_TRANSACTION;
    snprintf(all, sizeof(all), "a! %s a!", words);
    given_queries(all);
}

Test(schedule, a_transaction_is_committed_when_all_was_answered_well)
{
    given_a_transaction_of("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    cr_assert_eq(lanes[0].flight.length, 1); /* the BEGIN */
    answers(0);
    it_says("q0 well; send 0");
    cr_assert_eq(lanes[0].flight.length, 2);
    says(0, SCHEDULE_ANSWERED_WELL);
    answers(0);
    it_says("q1 well; q2 well; send 0");
    schedule_answered(&schedule, &lanes[0], SCHEDULE_ANSWERED_WELL, false, now);
    rests(0);
    it_says("q3 well; leave 0");
    it_is_finished();
}

Test(schedule, the_first_error_ends_it)
{
    given_a_transaction_of("a a a! a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    answers(0);
    it_says("q0 well; send 0");
    says(0, SCHEDULE_ANSWERED_ERROR);
    errs(0); /* was sent ahead */
    it_says("q1 error; q3 skipped; q4 skipped; q5 skipped; q2 skipped; leave 0");
    it_is_finished();
}

Test(schedule, without_its_begin_nothing_of_it_is_done)
{
    given_a_transaction_of("a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    schedule_answered(&schedule, &lanes[0], SCHEDULE_ANSWERED_ERROR, false, now);
    rests(0);
    it_says("q0 error; q1 skipped; q2 skipped; leave 0");
    it_is_finished();
}

Test(schedule, nor_when_it_has_no_connection)
{
    given_a_transaction_of("a");
    it_says("ask 0");
    refused(0, ERR_WAIT_TOO_LONG);
    it_says("q0 refused 53300; q1 refused 53300; q2 refused 53300");
    it_is_finished();
}

Test(schedule, what_one_of_its_queries_has_ended_does_not_go_on)
{
    given_a_transaction_of("a! a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    answers(0);
    it_says("q0 well; send 0");
    schedule_answered(&schedule, &lanes[0], SCHEDULE_ANSWERED_WELL, false, now);
    rests(0);
    it_says("q1 well; q2 skipped; q3 error 25P01; leave 0");
    it_is_finished();
}

Test(schedule, a_transaction_whose_time_is_over_is_not_committed)
{
    options.timeout_ms = 50;
    given_a_transaction_of("a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    answers(0);
    it_says("q0 well; send 0");
    at(50);
    it_says("q2 stopped 57014; cancel 0");
    answers(0); /* it was quicker than the cancel */
    it_says("q1 well; leave 0");
    it_is_finished();
}

Test(schedule, nor_one_of_which_somebody_does_not_want_a_part)
{
    given_a_transaction_of("a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    answers(0);
    it_says("q0 well; send 0");
    schedule_stop(&schedule, &queries[1], ERR_NOT_SUPPORTED, now);
    it_says("cancel 0");
    answers(0);
    it_says("q1 stopped 0A000; q2 skipped; leave 0");
    it_is_finished();
}

Test(schedule, of_a_commit_that_is_not_answered_nobody_knows)
{
    options.timeout_ms = 50;
    given_a_transaction_of("a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    answers(0);
    it_says("q0 well; send 0");
    answers(0);
    it_says("q1 well; send 0");
    at(50);
    it_says("cancel 0");
    at(150);
    it_says("q2 lost 57014; leave 0");
    it_is_finished();
}
