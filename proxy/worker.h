/*
 * proxy/worker.h - one thread, one loop, and all that belongs to it.
 *
 *      worker_init(&worker, config, &log);
 *      worker_listen(&worker, why);
 *      worker_run(&worker);                returns when the last connection is closed
 *      worker_fini(&worker);
 *
 *      RUNNING --> EMPTYING --> DRAINING --> STOPPING --> the loop ends
 *         `------------^------------^-----------^
 *
 * No new clients from now on. EMPTYING (SHUTDOWN WAIT_FOR_CLIENTS): the others go when they
 * like. DRAINING (SIGTERM): those between transactions are told to go, the others when theirs
 * ends, all of them after shutdown_timeout. STOPPING (SIGINT, or a second signal): at once.
 * Who is at the console may watch the end of the others, and goes last.
 *
 * Everything a worker has is reached from here and touched by its thread alone.
 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include <uv.h>

#include "base/log.h"
#include "drivers/offload.h"
#include "drivers/stream.h"
#include "proxy/alarm.h"
#include "proxy/broker.h"
#include "proxy/config.h"
#include "proxy/fronts/http/errand.h"
#include "proxy/fronts/http/gate.h"
#include "proxy/fronts/http/http.h"
#include "proxy/fronts/http/rest.h"
#include "proxy/fronts/http/who.h"
#include "proxy/fronts/postgres/front.h"
#include "proxy/fronts/redis/door.h"
#include "proxy/hub.h"
#include "proxy/listener.h"
#include "proxy/metrics.h"
#include "proxy/routes.h"
#include "proxy/terms.h"

enum worker_phase { WORKER_RUNNING, WORKER_EMPTYING, WORKER_DRAINING, WORKER_STOPPING };
enum { WORKER_SIGNALS = 4 };

struct worker {
    uv_loop_t loop;
    const struct config *config;
    struct log *log;
    struct stream_home streams;
    struct offload cancels, hashing;
    struct alarm alarm;
    struct broker broker;
    struct hub hub;
    struct terms terms;
    struct front front;
    struct door door;
    struct listeners listeners;
    struct errand_home errands;
    struct who who;
    struct gate gate;
    struct rest_home rest;
    struct exchange_handler routes[ROUTES_MOST];
    struct http http;
    struct metrics_process metrics;
    uint64_t started_us;
    uint64_t period_before, period_began; /* the stats_period before this one; in ms of the loop */
    enum worker_phase phase;
    uint64_t phase_ends; /* when the next phase begins by itself; UINT64_MAX: never */
    bool http_is_open, closed;
    bool stuck; /* something did not end in time: nothing can be taken down in order */
    uv_signal_t signals[WORKER_SIGNALS];
    uv_prepare_t between; /* once a turn of the loop */
};

enum err worker_init(struct worker *worker, const struct config *config,
                     struct log *log) MUST_CHECK;
enum err worker_listen(struct worker *worker, char why[256]) MUST_CHECK;
void worker_run(struct worker *worker);

/* As by a signal: SIGHUP, and those that end it. Nothing happens if it has come further. */
#define WORKER_RELOADED "the log was reopened; a new configuration needs a restart for now"
enum err worker_reload(struct worker *worker) MUST_CHECK;
void worker_shut_down(struct worker *worker, enum worker_phase how);

/* Not of one that is stuck: that ends with its process. */
void worker_fini(struct worker *worker);

#endif
