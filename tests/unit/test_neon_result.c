/* What /sql answers: all results, or the first thing that went wrong and nothing else. */
#include "http_rows_story.h"
#include "proxy/fronts/http/neon_result.h"

#define FIELD_N                                                                                    \
    "\"fields\":[{\"name\":\"n\",\"dataTypeID\":23,\"tableID\":16384,\"columnID\":1,"              \
    "\"dataTypeSize\":-1,"                                                                         \
    "\"dataTypeModifier\":-1,\"format\":\"text\"}]"
#define ONE(value)                                                                                 \
    "{\"rowAsArray\":false," FIELD_N ",\"rows\":[{\"n\":" value                                    \
    "}],\"command\":\"SELECT\",\"rowCount\":1}"

static struct ask ask;
static struct ask_query queries[3];
static struct neon_result result;

static const struct errand_end well = {.how = SCHEDULE_WELL, .text = ""},
                               skipped = {.how = SCHEDULE_SKIPPED, .text = ""},
                               error = {.how = SCHEDULE_ERROR, .text = "", .told = true};

static void end(void)
{
    neon_result_fini(&result);
    forget();
}

TestSuite(neon_result, .fini = end);

static void begins(size_t length, bool is_batch)
{
    ask = (struct ask){.queries = queries, .queries_length = length, .is_batch = is_batch};
    neon_result_begin(&result, &ask);
}

static void says_one(const char *value)
{
    bytes_clear(&said);
    is_bound();
    describes("n:23");
    says_row(value);
    completes("SELECT 1");
}

static void says_error(const char *code, const char *text)
{
    struct bytes body = {0};

    bytes_print(&body, "SERROR%cC%s%cM%s%c%c", 0, code, 0, text, 0, 0);
    message('E', (struct slice){body.at, body.length});
    bytes_free(&body);
}

/* In two pieces. */
static bool takes(size_t index)
{
    size_t half = said.length / 2;

    return neon_result_take(&result, index, (struct slice){said.at, half}) &&
           neon_result_take(&result, index, (struct slice){said.at + half, said.length - half});
}

static void is_answered(int status, const char *text)
{
    neon_result_finish(&result);
    bytes_add(&result.out, "", 1);
    cr_assert_eq(result.status, status, "%d: %s", result.status, (char *)result.out.at);
    if (status == 200)
        cr_assert_str_eq((char *)result.out.at, text);
    else
        cr_assert_eq(strstr((char *)result.out.at, "results"), NULL);
    cr_assert_not_null(strstr((char *)result.out.at, text), "%s", (char *)result.out.at);
}

Test(neon_result, one_query_is_an_object)
{
    begins(1, false);
    says_one("1");
    cr_assert(takes(0));
    neon_result_over(&result, 0, &well);
    is_answered(200, ONE("1"));
}

Test(neon_result, a_batch_is_a_list_once_it_is_committed)
{
    begins(2, true);
    says_one("1");
    cr_assert(takes(0));
    neon_result_over(&result, 0, &well);
    says_one("2");
    cr_assert(takes(1));
    neon_result_over(&result, 1, &well);
    neon_result_over(&result, ERRAND_TRANSACTION, &well);
    is_answered(200, "{\"results\":[" ONE("1") "," ONE("2") "]}");
}

Test(neon_result, nothing_is_an_empty_list)
{
    begins(0, true);
    neon_result_over(&result, ERRAND_TRANSACTION, &well);
    is_answered(200, "{\"results\":[]}");
}

Test(neon_result, an_error_stands_in_place_of_all)
{
    begins(3, true);
    says_one("1");
    cr_assert(takes(0));
    neon_result_over(&result, 0, &well);
    bytes_clear(&said);
    says_error("22012", "division by zero");
    cr_assert(takes(1));
    neon_result_over(&result, 1, &error);
    neon_result_over(&result, 2, &skipped);
    neon_result_over(&result, ERRAND_TRANSACTION, &skipped);
    is_answered(400, "\"code\":\"22012\"");
}

Test(neon_result, a_commit_that_fails_fails_the_batch)
{
    begins(1, true);
    says_one("1");
    cr_assert(takes(0));
    neon_result_over(&result, 0, &well);
    bytes_clear(&said);
    says_error("23505", "duplicate");
    cr_assert(takes(ERRAND_TRANSACTION));
    neon_result_over(&result, ERRAND_TRANSACTION, &error);
    is_answered(400, "\"code\":\"23505\"");
}

Test(neon_result, a_batch_nobody_has_committed_is_no_success)
{
    begins(1, true);
    says_one("1");
    cr_assert(takes(0));
    neon_result_over(&result, 0, &well);
    is_answered(500, "\"code\":\"08006\"");
}

Test(neon_result, half_a_result_is_no_success)
{
    struct errand_end lost = {
        .how = SCHEDULE_LOST, .why = ERR_BACKEND_LOST, .text = "", .cut = true};

    begins(1, false);
    says_one("1");
    cr_assert(neon_result_take(&result, 0, (struct slice){said.at, said.length - 1}));
    neon_result_over(&result, 0, &lost);
    is_answered(500, "server closed the connection unexpectedly");
}

Test(neon_result, half_an_error_is_told_as_what_it_was)
{
    struct errand_end lost = {
        .how = SCHEDULE_LOST, .why = ERR_BACKEND_LOST, .text = "", .cut = true};

    begins(1, false);
    says_error("22012", "division by zero");
    cr_assert(neon_result_take(&result, 0, (struct slice){said.at, said.length - 4}));
    neon_result_over(&result, 0, &lost);
    is_answered(500, "server closed the connection unexpectedly");
}

Test(neon_result, the_last_words_of_a_server_are_told)
{
    struct errand_end lost = {
        .how = SCHEDULE_LOST, .why = ERR_BACKEND_LOST, .text = "", .told = true};

    begins(1, false);
    says_error("57P01", "terminating connection due to administrator command");
    cr_assert(takes(0));
    neon_result_over(&result, 0, &lost);
    is_answered(400, "\"code\":\"57P01\"");
}

Test(neon_result, a_timeout_is_told_as_one_whatever_the_server_says)
{
    struct errand_end late = {
        .how = SCHEDULE_STOPPED, .why = ERR_QUERY_TOO_LONG, .text = "", .told = true};

    begins(1, false);
    says_error("57014", "canceling statement due to user request");
    cr_assert(takes(0));
    neon_result_over(&result, 0, &late);
    is_answered(400, "canceling statement due to request_timeout");
}

Test(neon_result, all_results_together_are_limited)
{
    begins(2, true);
    ask.max_bytes = 300;
    says_one("1");
    cr_assert(takes(0));
    neon_result_over(&result, 0, &well);
    says_one("2");
    cr_assert_not(takes(1));
    neon_result_over(&result, 1, &error);
    is_answered(507, "response is too large (max is 300 bytes)");
}

Test(neon_result, copy_ends_what_it_is_in)
{
    begins(1, false);
    bytes_clear(&said);
    is_bound();
    message('G', (struct slice){(const uint8_t *)"\0\0\1\0\0", 5});
    cr_assert_not(takes(0));
    is_answered(400, "COPY FROM STDIN is not possible over HTTP");
}

Test(neon_result, what_is_not_the_protocol_is_500)
{
    begins(1, false);
    bytes_clear(&said);
    message('?', SLICE("what"));
    cr_assert_not(takes(0));
    is_answered(500, "\"code\":\"08P01\"");
}

Test(neon_result, what_weir_cannot_do_is_500_and_what_is_wrong_400)
{
    cr_assert_eq(neon_result_status_of(ERR_BACKEND_DOWN), 500);
    cr_assert_eq(neon_result_status_of(ERR_QUEUE_FULL), 500);
    cr_assert_eq(neon_result_status_of(ERR_SHUTTING_DOWN), 500);
    cr_assert_eq(neon_result_status_of(ERR_NO_DATABASE), 400);
    cr_assert_eq(neon_result_status_of(ERR_IN_BLOCK), 400);
    cr_assert_eq(neon_result_status_of(ERR_QUERY_TOO_LONG), 400);
}
