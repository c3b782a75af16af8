#include "proxy/fronts/http/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "drivers/redis/verb.h"
#include "proxy/fronts/http/ask.h"
#include "proxy/fronts/http/json_out.h"
#include "proxy/fronts/http/reply_json.h"
#include "proxy/fronts/redis/door.h"

enum { LONGEST_SHOWN = 64, BUFFER_ENOUGH = 16 * 1024 };

static const char *const json_content = "application/json";

enum way { WAY_PATH, WAY_ONE, WAY_PIPELINE, WAY_MULTI_EXEC };

/* Why a command is not sent. */
enum refusal { REFUSAL_NONE, REFUSAL_NOT_HERE, REFUSAL_READ_ONLY };

struct rest {
    struct exchange *exchange;
    struct rest_home *home;
    struct teller *teller; /* NULL: not yet, or no more */
    struct link link;      /* in home->requests, once it was let in */
    uint64_t deadline;     /* of uv_now; UINT64_MAX: none */
    enum way way;
    struct ask ask;
    uint8_t *refusals; /* enum refusal, of each command */
    struct bytes requests, out;
    size_t next;     /* the command whose reply comes */
    size_t skip;     /* replies to come that nobody is shown: of MULTI and what it queues */
    uint64_t shown;  /* bytes of the answer */
    bool is_begun;   /* MULTI was answered, and the rest is sent */
    bool is_clean;   /* nothing is left behind by any of it */
    bool is_partial; /* of the answer to next something is written */
    bool was_lost;
    struct resp skipped;
    struct reply_json json;
};

static void let_in(struct exchange *exchange, const struct who_answer *answer);
static void refused(struct exchange *exchange, const struct who_answer *answer);

static const struct gate_events gate_events = {let_in, refused};

/* ---- its life ---------------------------------------------------------------------------- */

void rest_home_init(struct rest_home *home, struct gate *gate, struct door *door,
                    struct alarm *alarm)
{
    *home = (struct rest_home){.gate = gate, .alarm = alarm};
    teller_home_init(&home->tellers, door);
    list_init(&home->requests);
}

void rest_home_stop(struct rest_home *home)
{
    teller_home_stop(&home->tellers);
}

static void destroy(struct rest *rest, bool is_clean)
{
    if (rest->teller != NULL)
        teller_give(rest->teller, is_clean);
    if (link_is_linked(&rest->link))
        list_remove(&rest->home->requests, &rest->link);
    ask_free(&rest->ask);
    bytes_free(&rest->requests);
    bytes_free(&rest->out);
    free(rest);
}

/* Ends it with an error, or breaks off what was begun. */
static void fail(struct rest *rest, int status, const char *why)
{
    struct exchange *exchange = rest->exchange;

    destroy(rest, false);
    exchange_error(exchange, status, "%s", why);
}

static void fail_with(struct rest *rest, const struct ask_error *error)
{
    struct exchange *exchange = rest->exchange;
    struct bytes out = {0};

    ask_say(error, ASK_SAYS_ERROR, &out);
    destroy(rest, false);
    if (out.failed)
        exchange_error(exchange, 503, "out of memory");
    else
        exchange_answer(exchange, error->status, json_content, (struct slice){out.at, out.length});
    bytes_free(&out);
}

/* ---- what is answered -------------------------------------------------------------------- */

/* Sends what was gathered, if it is worth it. False: that was too much, or there is no memory, and
 * the request has ended. */
static bool flush(struct rest *rest, int status, bool at_once)
{
    char why[96];

    if (rest->out.failed) {
        fail(rest, 503, "ERR out of memory");
        return false;
    }
    if (rest->ask.max_bytes > 0 && rest->shown + rest->out.length > rest->ask.max_bytes) {
        snprintf(why, sizeof(why), "ERR the response is too large (max_response is %llu bytes)",
                 (unsigned long long)rest->ask.max_bytes);
        fail(rest, 507, why);
        return false;
    }
    if (rest->out.length == 0 || (!at_once && rest->out.length < BUFFER_ENOUGH))
        return true;
    if (!exchange_is_started(rest->exchange))
        exchange_start(rest->exchange, status, json_content);
    rest->shown += rest->out.length;
    exchange_write(rest->exchange, (struct slice){rest->out.at, rest->out.length});
    bytes_clear(&rest->out);
    return true;
}

static void finish(struct rest *rest, int status)
{
    struct exchange *exchange = rest->exchange;

    if (!flush(rest, status, true))
        return;
    destroy(rest, rest->is_clean && !rest->was_lost);
    exchange_end(exchange);
}

static void say(struct rest *rest, const char *text)
{
    bytes_add(&rest->out, text, strlen(text));
}

static void name_refusal(const struct rest *rest, size_t which, struct bytes *why)
{
    struct slice name = rest->ask.queries[which].arguments[0];
    int length = name.length < LONGEST_SHOWN ? (int)name.length : LONGEST_SHOWN;

    if (rest->refusals[which] == REFUSAL_READ_ONLY)
        bytes_print(why, "NOPERM this user has no permissions to run the '%.*s' command", length,
                    (const char *)name.at);
    else
        bytes_print(why, "ERR Command is not available over HTTP: '%.*s'", length,
                    (const char *)name.at);
}

static void say_refusal(struct rest *rest, size_t which)
{
    struct bytes why = {0};

    name_refusal(rest, which, &why);
    say(rest, "{\"error\":");
    json_out_string(&rest->out, (struct slice){why.at, why.length});
    say(rest, "}");
    rest->out.failed = rest->out.failed || why.failed;
    bytes_free(&why);
}

/* What stands between two answers, or before the first. */
static void say_between(struct rest *rest)
{
    if (rest->way == WAY_PIPELINE)
        say(rest, rest->next == 0 ? "[" : ",");
}

/* Those that come next and were not sent. */
static void say_refused(struct rest *rest)
{
    for (; rest->next < rest->ask.queries_length; rest->next++) {
        if (rest->refusals[rest->next] == REFUSAL_NONE)
            return;
        say_between(rest);
        say_refusal(rest, rest->next);
    }
}

static void finish_many(struct rest *rest)
{
    if (rest->way == WAY_PIPELINE)
        say(rest, "]");
    finish(rest, 200);
}

/* ---- what Redis says --------------------------------------------------------------------- */

static enum resp_found skip(struct rest *rest, struct slice in, size_t *used)
{
    enum resp_found found = resp_read(&rest->skipped, in, used);

    if (found == RESP_WHOLE)
        rest->skip--;
    return found;
}

/* Nothing of a single reply is written before it is known which status it has. */
static int status_of(const struct rest *rest)
{
    if (rest->way == WAY_PIPELINE)
        return 200;
    if (rest->way == WAY_MULTI_EXEC)
        return rest->json.is_list ? 200 : 400;
    return rest->json.is_error ? 400 : 200;
}

static unsigned form_of(const struct rest *rest)
{
    struct slice encoding = exchange_header(rest->exchange, "Upstash-Encoding");
    unsigned form = rest->way == WAY_MULTI_EXEC ? REPLY_JSON_EACH : 0;

    if (encoding.length == 6 && strncasecmp((const char *)encoding.at, "base64", 6) == 0)
        form |= REPLY_JSON_BASE64;
    return form;
}

static enum resp_found on_reply(void *owner, struct slice in, size_t *used)
{
    struct rest *rest = owner;
    enum resp_found found;

    if (rest->skip > 0)
        return skip(rest, in, used);
    if (!rest->is_partial) {
        say_refused(rest);
        say_between(rest);
        reply_json_begin(&rest->json, form_of(rest));
        rest->is_partial = true;
    }
    found = reply_json_read(&rest->json, in, used, &rest->out);
    if (found == RESP_BROKEN)
        return found;
    if (found == RESP_WHOLE) {
        rest->is_partial = false;
        rest->next++;
    }
    if (!flush(rest, status_of(rest), false))
        return found;
    if (exchange_queued(rest->exchange) >= EXCHANGE_ENOUGH)
        teller_pause(rest->teller);
    return found;
}

/* "+OK" to MULTI: now the others. Whatever else it said, nothing was begun. */
static void go_on_in_multi(struct rest *rest)
{
    rest->is_begun = true;
    rest->skip = rest->ask.queries_length;
    rest->skipped = (struct resp){0};
    teller_ask(rest->teller, (struct slice){rest->requests.at, rest->requests.length},
               rest->ask.queries_length + 1);
}

static void on_answered(void *owner)
{
    struct rest *rest = owner;

    if (rest->way == WAY_MULTI_EXEC) {
        if (rest->is_begun)
            finish(rest, status_of(rest));
        else if (rest->json.is_error)
            finish(rest, 400);
        else {
            rest->next = 0;
            bytes_clear(&rest->out);
            go_on_in_multi(rest);
        }
        return;
    }
    if (rest->way != WAY_PIPELINE) {
        finish(rest, status_of(rest));
        return;
    }
    say_refused(rest);
    finish_many(rest);
}

/* What was answered stands, and the others are told so, unless one has been answered in part. */
static void on_lost(void *owner)
{
    static const char *const why = "ERR the connection to Redis was lost";
    struct rest *rest = owner;

    rest->teller = NULL;
    rest->was_lost = true;
    if (rest->way != WAY_PIPELINE || rest->is_partial) {
        fail(rest, 502, why);
        return;
    }
    for (; rest->next < rest->ask.queries_length; rest->next++) {
        say_between(rest);
        if (rest->refusals[rest->next] != REFUSAL_NONE) {
            say_refusal(rest, rest->next);
            continue;
        }
        bytes_print(&rest->out, "{\"error\":\"%s\"}", why);
    }
    finish_many(rest);
}

static const struct teller_events teller_events = {on_reply, on_answered, on_lost};

/* ---- what is asked ----------------------------------------------------------------------- */

static struct verb_use use_of(const struct ask_query *query)
{
    struct request request = {.count = (uint32_t)query->arguments_length};

    for (; request.shown < REQUEST_MOST_ARGS && request.shown < request.count; request.shown++) {
        request.args[request.shown] = query->arguments[request.shown];
        if (request.args[request.shown].at == NULL)
            request.args[request.shown] = SLICE("");
    }
    return verb_classify(&request);
}

/* One reply for sure, and no state that later requests would miss. */
static bool is_for_http(const struct verb_use *use)
{
    switch ((int)use->need) {
    case VERB_SHARED:
    case VERB_SLOW:
    case VERB_BLOCKING:
    case VERB_WAIT:
        return true;
    default:
        return false;
    }
}

static void add_request(struct rest *rest, const struct ask_query *query)
{
    resp_add_array(&rest->requests, (uint32_t)query->arguments_length);
    for (size_t i = 0; i < query->arguments_length; i++)
        resp_add_bulk(&rest->requests, query->arguments[i]);
}

/* Gives how many are to be sent. */
static size_t look_through(struct rest *rest, bool read_only)
{
    size_t count = 0;

    for (size_t i = 0; i < rest->ask.queries_length; i++) {
        const struct ask_query *query = &rest->ask.queries[i];
        struct verb_use use = use_of(query);

        if (!is_for_http(&use))
            rest->refusals[i] = REFUSAL_NOT_HERE;
        if (read_only && !use.is_read_only)
            rest->refusals[i] = REFUSAL_READ_ONLY;
        if (rest->refusals[i] != REFUSAL_NONE)
            continue;
        if (use.need != VERB_SHARED)
            rest->is_clean = false;
        add_request(rest, query);
        count++;
    }
    return count;
}

static void refuse_first(struct rest *rest)
{
    size_t which = 0;
    struct exchange *exchange = rest->exchange;
    struct bytes why = {0};

    while (rest->refusals[which] == REFUSAL_NONE)
        which++;
    name_refusal(rest, which, &why);
    bytes_add(&why, "", 1);
    destroy(rest, false);
    exchange_error(exchange, 400, "%s", why.failed ? "ERR out of memory" : (char *)why.at);
    bytes_free(&why);
}

static void ask_redis(struct rest *rest, const struct config_redis_upstream *redis, size_t count)
{
    static const char *const multi = "*1\r\n$5\r\nMULTI\r\n";

    if (rest->requests.failed) {
        fail(rest, 503, "ERR out of memory");
        return;
    }
    rest->teller = teller_take(&rest->home->tellers, redis, &teller_events, rest);
    if (rest->teller == NULL) {
        fail(rest, 503, "ERR Redis cannot be reached now");
        return;
    }
    if (rest->way == WAY_MULTI_EXEC)
        teller_ask(rest->teller, (struct slice){(const uint8_t *)multi, strlen(multi)}, 1);
    else
        teller_ask(rest->teller, (struct slice){rest->requests.at, rest->requests.length}, count);
}

static void execute(struct rest *rest, const struct who_answer *answer)
{
    size_t length = rest->ask.queries_length, count;

    rest->refusals = document_room(&rest->ask.document, length);
    if (rest->refusals == NULL) {
        fail(rest, 503, "ERR out of memory");
        return;
    }
    rest->is_clean = rest->way != WAY_MULTI_EXEC;
    count = look_through(rest, answer->redis_read_only);
    if (rest->way != WAY_PIPELINE && count < length) {
        refuse_first(rest);
    } else if (count == 0) {
        say_refused(rest);
        finish_many(rest);
    } else {
        if (rest->way == WAY_MULTI_EXEC)
            bytes_print(&rest->requests, "*1\r\n$4\r\nEXEC\r\n");
        ask_redis(rest, answer->redis, count);
    }
}

/* ---- who asks, and how ------------------------------------------------------------------- */

static enum err read_body(struct rest *rest, struct ask_error *error)
{
    const struct exchange_request *request = exchange_request(rest->exchange);
    const struct config_http *config = &rest->home->gate->config->http;
    struct ask_limits limits = {
        .queries = config->max_queries,
        .rows = config->max_rows,
        .bytes = config->max_response,
        .timeout_ms = config->request_timeout_ms,
    };
    struct ask_rest_parts parts = {request->path, request->query, request->body};

    switch (rest->way) {
    case WAY_PATH:
        return ask_rest_path(&rest->ask, &parts, &limits, error);
    case WAY_ONE:
        return ask_rest(&rest->ask, ASK_REST_ONE, request->body, &limits, error);
    case WAY_PIPELINE:
        return ask_rest(&rest->ask, ASK_REST_PIPELINE, request->body, &limits, error);
    case WAY_MULTI_EXEC:
        return ask_rest(&rest->ask, ASK_REST_MULTI_EXEC, request->body, &limits, error);
    }
    return ERR_PROTOCOL;
}

static void watch(struct rest *rest)
{
    uint64_t now = door_now(rest->home->tellers.door);

    rest->deadline = rest->ask.timeout_ms > 0 ? now + rest->ask.timeout_ms : UINT64_MAX;
    list_push_back(&rest->home->requests, &rest->link);
    if (rest->deadline < UINT64_MAX)
        alarm_due_at(rest->home->alarm, rest->deadline);
}

static void let_in(struct exchange *exchange, const struct who_answer *answer)
{
    struct rest *rest = exchange_owner(exchange);
    struct ask_error error;

    ask_free(&rest->ask);
    if (answer->redis == NULL) {
        fail(rest, 403, "ERR this token is for no Redis");
        return;
    }
    if (read_body(rest, &error) != ERR_OK) {
        fail_with(rest, &error);
        return;
    }
    watch(rest);
    execute(rest, answer);
}

static void refused(struct exchange *exchange, const struct who_answer *answer)
{
    struct rest *rest = exchange_owner(exchange);

    if (rest != NULL) /* the body is here */
        destroy(rest, false);
    gate_add_headers(exchange, answer);
    exchange_error(exchange, answer->status, "%s", answer->why);
}

static bool is_path(struct slice path, const char *is)
{
    return path.length == strlen(is) && memcmp(path.at, is, path.length) == 0;
}

/* Pages that are there for another method are no commands. */
static bool is_a_page(struct slice path)
{
    static const char *const pages[] = {"/pipeline", "/multi-exec", "/db",      "/sql",
                                        "/v2",       "/metrics",    "/healthz", "/readyz"};

    for (size_t i = 0; i < COUNT_OF(pages); i++)
        if (is_path(path, pages[i]))
            return true;
    return false;
}

static bool way_of(const struct exchange_request *request, enum way *way)
{
    *way = WAY_PATH;
    if (request->method == EXCHANGE_POST && is_path(request->path, "/"))
        *way = WAY_ONE;
    else if (request->method == EXCHANGE_POST && is_path(request->path, "/pipeline"))
        *way = WAY_PIPELINE;
    else if (request->method == EXCHANGE_POST && is_path(request->path, "/multi-exec"))
        *way = WAY_MULTI_EXEC;
    else
        return !is_a_page(request->path);
    return true;
}

void rest_refuse(struct rest_home *home, struct exchange *exchange)
{
    struct who_asks asks = gate_ask(exchange, WHO_REDIS);
    struct ask ask = {0};
    struct ask_error error;

    if (ask_rest_token(&ask, exchange_request(exchange)->query, &error) != ERR_OK) {
        exchange_error(exchange, error.status, "%s", error.why);
    } else {
        asks.token = ask.token;
        gate_refuse(home->gate, exchange, &asks, &gate_events);
    }
    ask_free(&ask);
}

void rest_begin(struct rest_home *home, struct exchange *exchange)
{
    struct who_asks asks = gate_ask(exchange, WHO_REDIS);
    struct rest *rest = calloc(1, sizeof(*rest));
    struct ask_error error;

    if (rest == NULL) {
        exchange_error(exchange, 503, "ERR out of memory");
        return;
    }
    rest->home = home;
    rest->exchange = exchange;
    exchange_set_owner(exchange, rest);
    if (!way_of(exchange_request(exchange), &rest->way)) {
        fail(rest, 405, "ERR this page takes another method");
        return;
    }
    if (ask_rest_token(&rest->ask, exchange_request(exchange)->query, &error) != ERR_OK) {
        fail_with(rest, &error);
        return;
    }
    asks.token = rest->ask.token;
    gate_open(home->gate, exchange, &asks, &gate_events);
}

void rest_drained(struct exchange *exchange)
{
    struct rest *rest = exchange_owner(exchange);

    if (rest->teller != NULL)
        teller_resume(rest->teller);
}

void rest_gone(struct exchange *exchange)
{
    struct rest *rest = exchange_owner(exchange);

    gate_forget(rest->home->gate, exchange);
    destroy(rest, false);
}

/* All have the same time. */
void rest_tick(struct rest_home *home, uint64_t now)
{
    struct rest *rest;

    while ((rest = LIST_FRONT(&home->requests, struct rest, link)) != NULL) {
        if (rest->deadline > now) {
            if (rest->deadline < UINT64_MAX)
                alarm_due_at(home->alarm, rest->deadline);
            return;
        }
        fail(rest, 504, "ERR the request took too long (request_timeout)");
    }
}
