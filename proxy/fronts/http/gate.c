#include "proxy/fronts/http/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A password that is checked. Outlives its exchange, where that is gone sooner than the thread. */
struct gate_check {
    struct offload_job job;
    struct gate *gate;
    struct who_check *check;
    struct exchange *exchange; /* NULL: gone */
    const struct gate_events *events;
    struct link link; /* in gate->waiting, while exchange is there */
};

void gate_init(struct gate *gate)
{
    list_init(&gate->waiting);
}

static uint64_t now_of(const struct gate *gate)
{
    return uv_now(gate->hashing->loop);
}

struct who_asks gate_ask(const struct exchange *exchange, enum who_door door)
{
    return (struct who_asks){
        .door = door,
        .authorization = exchange_header(exchange, "Authorization"),
        .host = exchange_header(exchange, "Host"),
        .origin = exchange_header(exchange, "Origin"),
        .peer = throttle_peer(exchange_peer(exchange)),
    };
}

/* ---- refusing ---------------------------------------------------------------------------- */

void gate_add_headers(struct exchange *exchange, const struct who_answer *answer)
{
    char seconds[16];

    if (answer->status == 401)
        exchange_header_add(exchange, "WWW-Authenticate", "Bearer, Basic realm=\"weir\"");
    if (answer->retry_after_s == 0)
        return;
    snprintf(seconds, sizeof(seconds), "%u", answer->retry_after_s);
    exchange_header_add(exchange, "Retry-After", seconds);
}

static void say_refused(struct exchange *exchange, const struct who_answer *answer,
                        const struct gate_events *events)
{
    if (events != NULL && events->refused != NULL) {
        events->refused(exchange, answer);
        return;
    }
    gate_add_headers(exchange, answer);
    exchange_error(exchange, answer->status, "%s", answer->why);
}

bool gate_refuse(struct gate *gate, struct exchange *exchange, const struct who_asks *asks,
                 const struct gate_events *events)
{
    struct who_answer answer;

    if (!who_refuses(gate->who, asks, now_of(gate), &answer))
        return false;
    say_refused(exchange, &answer, events);
    return true;
}

/* ---- letting in -------------------------------------------------------------------------- */

static void decided(struct exchange *exchange, enum who_verdict verdict,
                    const struct who_answer *answer, const struct gate_events *events)
{
    REQUIRE(verdict != WHO_CHECK);
    if (verdict == WHO_LET_IN)
        events->let_in(exchange, answer);
    else
        say_refused(exchange, answer, events);
}

static struct gate_check *check_of(struct offload_job *job)
{
    return CONTAINER_OF(job, struct gate_check, job);
}

static void on_thread(struct offload_job *job)
{
    who_check_run(check_of(job)->check);
}

/* Who is gone is counted all the same: who hangs up could guess for nothing else. */
static void on_checked(struct offload_job *job)
{
    struct gate_check *check = check_of(job);
    struct who_answer answer;
    enum who_verdict verdict =
        who_checked(check->gate->who, check->check, now_of(check->gate), &answer);

    if (check->exchange != NULL) {
        list_remove(&check->gate->waiting, &check->link);
        decided(check->exchange, verdict, &answer, check->events);
    }
    free(check);
}

static void say_busy(struct exchange *exchange, const struct gate_events *events)
{
    struct who_answer answer = {
        .status = 503, .retry_after_s = 1, .why = "too many passwords are being checked"};

    say_refused(exchange, &answer, events);
}

static void wait_for_check(struct gate *gate, struct exchange *exchange,
                           struct who_check *who_check, const struct gate_events *events)
{
    struct gate_check *check = calloc(1, sizeof(*check));

    if (check != NULL) {
        *check = (struct gate_check){
            .gate = gate, .check = who_check, .exchange = exchange, .events = events};
        if (offload_run(gate->hashing, &check->job, on_thread, on_checked) == ERR_OK) {
            list_push_back(&gate->waiting, &check->link);
            return;
        }
    }
    free(check);
    who_check_free(who_check);
    say_busy(exchange, events);
}

void gate_open(struct gate *gate, struct exchange *exchange, const struct who_asks *asks,
               const struct gate_events *events)
{
    struct who_answer answer;
    enum who_verdict verdict = who_decide(gate->who, asks, now_of(gate), &answer);

    if (verdict == WHO_CHECK)
        wait_for_check(gate, exchange, answer.check, events);
    else
        decided(exchange, verdict, &answer, events);
}

void gate_forget(struct gate *gate, struct exchange *exchange)
{
    struct link *next = list_front(&gate->waiting);

    while (next != NULL) {
        struct gate_check *check = CONTAINER_OF(next, struct gate_check, link);

        next = list_after(&gate->waiting, next);
        if (check->exchange != exchange)
            continue;
        list_remove(&gate->waiting, &check->link);
        check->exchange = NULL;
    }
}

/* A configured token is a proof, be it in the address; a header is what no link can send. */
bool gate_is_anyones_link(const struct exchange *exchange, const struct who_answer *answer)
{
    enum exchange_method method = exchange_request(exchange)->method;

    return answer->token == NULL && (method == EXCHANGE_GET || method == EXCHANGE_HEAD) &&
           exchange_header(exchange, "Authorization").length == 0;
}

/* ---- what it may use --------------------------------------------------------------------- */

enum err gate_find_place(struct gate *gate, const struct who_answer *answer, struct slice database,
                         struct broker_place **place)
{
    struct terms_wanted wanted;
    char name[CONFIG_LONGEST_DATABASE + 1];

    if (database.length >= sizeof(name))
        return ERR_NO_DATABASE;
    snprintf(name, sizeof(name), "%s", answer->database);
    if (database.length > 0)
        snprintf(name, sizeof(name), "%.*s", (int)database.length, (const char *)database.at);
    if (name[0] == '\0')
        return ERR_NO_DATABASE;
    if (!who_may_use(answer, name))
        return ERR_NO_ENTRY;
    terms_look_up(gate->terms, answer->user, name, &wanted);
    return terms_find_place(gate->terms, &wanted, place);
}
