/*
 * What runs when, and where, of the queries of a request.
 */
#include "schedule_words.h"

/* ---- in parallel ---------------------------------------------------------------------------- */

Test(schedule, connections_are_taken_one_at_a_time)
{
    given_queries("a a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    granted(1);
    it_says("send 1; ask 2");
    granted(2);
    it_says("send 2");
    answers(1);
    it_says("q1 well; leave 1");
    answers(0);
    answers(2);
    it_says("q0 well; q2 well; leave 0; leave 2");
    it_is_finished();
}

Test(schedule, or_as_many_at_a_time_as_are_allowed_and_of_use)
{
    options.most_asking = 3;
    given_queries("a a b a");
    it_says("ask 0; ask 1");
    granted(1);
    granted(0);
    it_says("send 1; send 0; ask 2");
}

Test(schedule, who_has_a_connection_runs_the_next_query_on_it)
{
    most_lanes = 2;
    given_queries("a a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    answers(0);
    it_says("q0 well; send 0");
    answers(0);
    it_says("q1 well; send 0; give up 1");
    answers(0);
    it_says("q2 well; leave 0");
    it_is_finished();
}

Test(schedule, no_more_are_taken_than_allowed)
{
    most_lanes = 2;
    given_queries("a a a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    granted(1);
    it_says("send 1");
    answers(1);
    it_says("q1 well; send 1");
}

Test(schedule, a_connection_that_tells_of_the_query_before_is_left)
{
    most_lanes = 1;
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    says(0, SCHEDULE_ANSWERED_WELL);
    schedule_rested(&schedule, &lanes[0], false, now);
    it_says("q0 well; leave 0; ask 0");
    granted(0);
    it_says("send 0");
}

Test(schedule, queries_are_started_in_order_whatever_pools_they_are_for)
{
    given_queries("a b a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    answers(0); /* could run the third, if the second did not come first */
    it_says("q0 well; leave 0");
    granted(1);
    it_says("send 1; ask 0");
}

Test(schedule, who_waits_for_the_wrong_pool_waits_for_the_right_one)
{
    most_lanes = 1;
    given_queries("a b");
    it_says("ask 0");
    schedule_stop(&schedule, &queries[0], ERR_CANCELED, now);
    it_says("q0 stopped 57014; give up 0; ask 0");
    cr_assert_eq(lanes[0].place, queries[1].place);
}

Test(schedule, what_is_granted_to_one_who_is_giving_up_is_given_back)
{
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    answers(0);
    granted(1); /* before the order to give up was taken */
    it_says("q0 well; send 0; leave 1");
    answers(0);
    it_says("q1 well; leave 0");
    it_is_finished();
}

/* ---- refusals ------------------------------------------------------------------------------- */

Test(schedule, without_a_connection_all_are_refused)
{
    given_queries("a a b");
    it_says("ask 0");
    refused(0, ERR_WAIT_TOO_LONG);
    it_says("q0 refused 53300; q1 refused 53300; ask 0");
    granted(0);
    it_says("send 0");
    answers(0);
    it_says("q2 well; leave 0");
    it_is_finished();
}

Test(schedule, who_has_one_goes_on_with_that)
{
    given_queries("a a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    refused(1, ERR_QUEUE_FULL);
    it_says("");
    answers(0);
    it_says("q0 well; send 0");
    says(0, SCHEDULE_ANSWERED_WELL);
    schedule_rested(&schedule, &lanes[0], false, now);
    it_says("q1 well; leave 0; ask 1");
    refused(1, ERR_QUEUE_FULL);
    it_says("q2 refused 53300");
    it_is_finished();
}

Test(schedule, of_several_that_wait_the_last_refused_speaks_for_all)
{
    options.most_asking = 2;
    given_queries("a a a");
    it_says("ask 0; ask 1");
    refused(0, ERR_BACKEND_DOWN);
    it_says("");
    refused(1, ERR_BACKEND_DOWN);
    it_says("q0 refused 08006; q1 refused 08006; q2 refused 08006");
    it_is_finished();
}

/* ---- errors --------------------------------------------------------------------------------- */

Test(schedule, an_error_is_nobody_elses_business)
{
    most_lanes = 1;
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    errs(0);
    it_says("q0 error; send 0");
}

Test(schedule, it_may_stop_what_is_not_started)
{
    options.on_error = SCHEDULE_STOP;
    given_queries("a a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    granted(1);
    it_says("send 1; ask 2");
    errs(0);
    it_says("q0 error; q2 skipped; give up 2; leave 0");
    answers(1);
    it_says("q1 well; leave 1");
    it_is_finished();
}

Test(schedule, or_cancel_what_runs_as_well)
{
    options.on_error = SCHEDULE_CANCEL;
    most_lanes = 3;
    given_queries("a a a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    granted(1);
    it_says("send 1; ask 2");
    granted(2);
    it_says("send 2");
    errs(1);
    it_says("q1 error; q3 skipped; cancel 0; cancel 2; leave 1");
    says_canceled(0);
    it_says("q0 stopped 57014; leave 0");
    answers(2); /* it was quicker */
    it_says("q2 well; leave 2");
    it_is_finished();
}

Test(schedule, a_connection_that_is_lost_takes_its_query_along)
{
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    granted(1);
    it_says("send 1");
    schedule_lost(&schedule, &lanes[0], now);
    it_says("q0 lost 08006");
    answers(1);
    it_says("q1 well; leave 1");
    it_is_finished();
}

Test(schedule, a_connection_that_is_lost_before_it_was_granted_is_none)
{
    given_queries("a a");
    it_says("ask 0");
    schedule_lost(&schedule, &lanes[0], now);
    it_says("q0 refused 08006; q1 refused 08006");
    it_is_finished();
}

Test(schedule, a_connection_that_is_lost_at_rest_is_replaced)
{
    most_lanes = 1;
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    says(0, SCHEDULE_ANSWERED_WELL);
    schedule_lost(&schedule, &lanes[0], now);
    it_says("q0 well; ask 0");
}

Test(schedule, what_cannot_go_on_is_an_error_of_its_own)
{
    most_lanes = 1;
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    schedule_broken(&schedule, &lanes[0], ERR_PROTOCOL, now);
    it_says("q0 error 08P01; leave 0; ask 0");
}

/* ---- time ----------------------------------------------------------------------------------- */

Test(schedule, a_query_has_its_time_from_when_it_is_sent)
{
    given_queries("a:50");
    it_says("ask 0");
    cr_assert_eq(schedule_due(&schedule), SCHEDULE_NEVER);
    at(1000);
    granted(0);
    it_says("send 0");
    cr_assert_eq(schedule_due(&schedule), 1050);
    at(1049);
    it_says("");
    at(1050);
    it_says("cancel 0");
    cr_assert_eq(schedule_due(&schedule), 1150);
    says_canceled(0);
    it_says("q0 stopped 57014; leave 0");
    it_is_finished();
}

Test(schedule, what_does_not_end_when_it_is_canceled_is_left)
{
    most_lanes = 1;
    given_queries("a:50 a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    at(50);
    it_says("cancel 0");
    at(150);
    it_says("q0 lost 57014; leave 0; ask 0");
}

Test(schedule, what_was_not_sent_has_nothing_to_cancel)
{
    nothing_is_sent = true;
    given_queries("a:50");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    at(50);
    cr_assert_null(schedule_unsent(&lanes[0])); /* nor will it be sent */
    it_says("cancel 0");
    schedule_abandon(&schedule, &lanes[0], now);
    it_says("q0 stopped 57014; leave 0");
    it_is_finished();
}

Test(schedule, a_request_has_its_time_waiting_included)
{
    options.timeout_ms = 200;
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    cr_assert_eq(schedule_due(&schedule), 200);
    at(200);
    it_says("q1 stopped 57014; cancel 0; give up 1");
    cr_assert_eq(schedule_due(&schedule), 300); /* it is over but once */
    says_canceled(0);
    it_says("q0 stopped 57014; leave 0");
    it_is_finished();
}

Test(schedule, an_error_of_its_own_is_told_though_it_was_canceled)
{
    given_queries("a:50");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    at(50);
    errs(0);
    it_says("q0 error; leave 0");
}

Test(schedule, that_a_server_cancels_by_itself_is_an_error)
{
    given_queries("a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    says_canceled(0);
    it_says("q0 error; leave 0");
}

/* ---- stops ---------------------------------------------------------------------------------- */

Test(schedule, one_that_nobody_wants_is_canceled)
{
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    schedule_stop(&schedule, &queries[0], ERR_NOT_SUPPORTED, now);
    schedule_stop(&schedule, &queries[1], ERR_NOT_SUPPORTED, now);
    it_says("q1 stopped 0A000; cancel 0; give up 1");
    says_canceled(0);
    it_says("q0 stopped 0A000; leave 0");
    it_is_finished();
}

Test(schedule, a_cancel_does_not_hit_what_comes_next)
{
    most_lanes = 1;
    given_queries("a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0");
    schedule_stop(&schedule, &queries[0], ERR_NOT_SUPPORTED, now);
    answers(0); /* before the order to cancel was taken */
    it_says("q0 stopped 0A000; send 0");
}

Test(schedule, everything_may_be_stopped_at_once)
{
    given_queries("a a a");
    it_says("ask 0");
    granted(0);
    it_says("send 0; ask 1");
    schedule_stop_all(&schedule, ERR_SHUTTING_DOWN, now);
    it_says("q1 stopped 57P01; q2 stopped 57P01; q0 lost 57P01; leave 0; give up 1");
    it_is_finished();
}
