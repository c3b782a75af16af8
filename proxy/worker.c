#include "proxy/worker.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "proxy/address.h"
#include "proxy/admin.h"
#include "proxy/fronts/postgres/subscriptions.h"
#include "proxy/routes.h"

enum {
    MOST_CANCELS = 2, /* at a time, of the four threads libuv has */
    MOST_HASHINGS = 2,
    MOST_QUEUED = 1024,    /* of each */
    LAST_WORDS_MS = 2000,  /* how long a client may take to hear them */
    LEAST_RETRY_MS = 1000, /* of a listening connection; nobody waits for that */
    STOP_MS = 5000,        /* a thread that hangs longer than that does not keep us */
};

static const int signal_numbers[WORKER_SIGNALS] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};

static struct worker *worker_of_signal(uv_signal_t *signal)
{
    return signal->data;
}

/* ---- the phases -------------------------------------------------------------------------- */

static void on_http_closed(struct http *http)
{
    (void)http;
}

static void stop_http(struct worker *worker)
{
    if (worker->http_is_open)
        http_close(&worker->http, on_http_closed);
    worker->http_is_open = false;
}

static void close_everything(struct worker *worker)
{
    if (worker->closed)
        return;
    worker->closed = true;
    alarm_release(&worker->alarm); /* threads may still be at work, and not for ever */
    for (size_t i = 0; i < WORKER_SIGNALS; i++) {
        uv_close((uv_handle_t *)&worker->signals[i], NULL);
        signal(signal_numbers[i], SIG_IGN); /* who is impatient now would only spoil the end */
    }
    uv_close((uv_handle_t *)&worker->between, NULL);
}

static void enter(struct worker *worker, enum worker_phase phase, uint64_t limit_ms)
{
    worker->phase = phase;
    worker->phase_ends = limit_ms > 0 ? uv_now(&worker->loop) + limit_ms : UINT64_MAX;
    alarm_due_at(&worker->alarm, worker->phase_ends);
}

static void stop(struct worker *worker)
{
    if (worker->phase == WORKER_STOPPING)
        return;
    enter(worker, WORKER_STOPPING, STOP_MS);
    listener_close_all(&worker->listeners);
    front_stop(&worker->front);
    rest_home_stop(&worker->rest);
    door_stop(&worker->door);
    stop_http(worker);
    errand_home_stop(&worker->errands);
    hub_stop(&worker->hub);
    broker_retire(&worker->broker);
}

static void empty(struct worker *worker)
{
    enter(worker, WORKER_EMPTYING, 0);
    listener_close_all(&worker->listeners);
    door_close(&worker->door);
}

static void drain(struct worker *worker)
{
    if (worker->phase >= WORKER_DRAINING) {
        stop(worker);
        return;
    }
    enter(worker, WORKER_DRAINING, worker->config->settings.shutdown_timeout_ms);
    listener_close_all(&worker->listeners);
    front_drain(&worker->front);
    door_drain(&worker->door);
    if (worker->http_is_open)
        http_drain(&worker->http);
}

/* Once a turn of the loop. While the end is near: is it here? */
static void on_between(uv_prepare_t *between)
{
    struct worker *worker = between->data;

    worker->metrics.loop_turns++;
    door_turn(&worker->door);
    if (worker->phase == WORKER_RUNNING || !front_is_drained(&worker->front) ||
        !door_is_empty(&worker->door) || http_working(&worker->http) > 0 ||
        worker->errands.errands.length > 0)
        return;
    if (worker->phase != WORKER_STOPPING)
        stop(worker);
    if (front_is_empty(&worker->front) && broker_is_vacant(&worker->broker) &&
        door_is_vacant(&worker->door))
        close_everything(worker);
}

static void end_phase(struct worker *worker)
{
    if (worker->phase == WORKER_DRAINING) {
        log_write(worker->log, LOG_LEVEL_WARNING, NULL,
                  "shutdown_timeout is over, closing what is left");
        stop(worker);
    } else {
        log_write(worker->log, LOG_LEVEL_WARNING, NULL, "not all connections could be closed");
        worker->stuck = true;
        uv_stop(&worker->loop);
    }
}

void worker_shut_down(struct worker *worker, enum worker_phase how)
{
    if (worker->phase >= how)
        return;
    if (how == WORKER_EMPTYING)
        empty(worker);
    else if (how == WORKER_DRAINING)
        drain(worker);
    else
        stop(worker);
}

enum err worker_reload(struct worker *worker)
{
    enum err e = log_reopen(worker->log);

    if (e != ERR_OK)
        log_write(worker->log, LOG_LEVEL_ERROR, NULL, "the log cannot be opened anew");
    return e;
}

/* ---- events ------------------------------------------------------------------------------ */

static void on_signal(uv_signal_t *signal, int number)
{
    struct worker *worker = worker_of_signal(signal);

    switch (number) {
    case SIGHUP:
        if (worker_reload(worker) == ERR_OK)
            log_write(worker->log, LOG_LEVEL_WARNING, NULL, "got SIGHUP: " WORKER_RELOADED);
        break;
    case SIGTERM:
        log_write(worker->log, LOG_LEVEL_INFO, NULL,
                  "got SIGTERM, shutting down, waiting for clients");
        drain(worker);
        break;
    default:
        log_write(worker->log, LOG_LEVEL_INFO, NULL, "got %s, fast exit",
                  number == SIGINT ? "SIGINT" : "SIGQUIT");
        stop(worker);
        break;
    }
}

/* For averages: proxy/stats.h. */
static void end_period(struct worker *worker, uint64_t now)
{
    uint64_t period_ms = worker->config->settings.stats_period * 1000;

    if (now - worker->period_began >= period_ms) {
        worker->period_before = worker->period_began;
        worker->period_began = now;
        broker_end_period(&worker->broker);
    }
    alarm_due_at(&worker->alarm, worker->period_began + period_ms);
}

static void on_tick(void *owner, uint64_t now)
{
    struct worker *worker = owner;

    end_period(worker, now);

    broker_tick(&worker->broker, now);
    hub_tick(&worker->hub, now);
    front_tick(&worker->front, now);
    door_tick(&worker->door, now);
    rest_tick(&worker->rest, now);
    errand_home_tick(&worker->errands, now);
    if (now >= worker->phase_ends)
        end_phase(worker);
    else
        alarm_due_at(&worker->alarm, worker->phase_ends);
}

static void on_connection(void *owner, uv_stream_t *listener)
{
    struct worker *worker = owner;

    front_connection(&worker->front, listener);
}

static void on_canceled(void *owner, const struct backend *backend)
{
    struct worker *worker = owner;

    front_canceled(&worker->front, backend);
}

/* ---- setting up -------------------------------------------------------------------------- */

static void set_up_hub(struct worker *worker)
{
    const struct settings *settings = &worker->config->settings;
    struct hub_options options = {
        .loop = &worker->loop,
        .log = worker->log,
        .alarm = &worker->alarm,
        .metrics = &worker->metrics,
        .events = &subscriptions_events,
        .limits =
            {
                .answer_ms = settings->server_connect_timeout_ms,
                .idle_ms = settings->server_idle_timeout_ms,
                .retry_ms = settings->server_login_retry_ms > 0 ? settings->server_login_retry_ms
                                                                : LEAST_RETRY_MS,
            },
        .most_channels = settings->max_listen_channels,
        .most_queued = settings->max_queued_notifications,
    };

    hub_init(&worker->hub, &options);
}

static struct peer_keepalive keepalive_of(const struct settings *settings)
{
    return (struct peer_keepalive){
        .on = settings->tcp_keepalive,
        .idle_s = (int)settings->tcp_keepidle,
        .interval_s = (int)settings->tcp_keepintvl,
        .count = (int)settings->tcp_keepcnt,
    };
}

static enum err set_up_front(struct worker *worker)
{
    const struct settings *settings = &worker->config->settings;
    struct front_options options = {
        .streams = &worker->streams,
        .broker = &worker->broker,
        .hub = &worker->hub,
        .alarm = &worker->alarm,
        .log = worker->log,
        .metrics = &worker->metrics,
        .hashing = &worker->hashing,
        .terms = &worker->terms,
        .console = &admin_events,
        .console_owner = worker,
        .limits_ms =
            {
                [SESSION_GREETING] = settings->client_login_timeout_ms,
                [SESSION_WELCOMING] = settings->client_login_timeout_ms,
                [SESSION_RESTING] = settings->client_idle_timeout_ms,
                [SESSION_BEGUN] = settings->idle_transaction_timeout_ms,
                [SESSION_SENDING] = settings->client_message_timeout_ms,
                [SESSION_WORKING] = settings->query_timeout_ms,
                [SESSION_HOLDING] = settings->idle_transaction_timeout_ms,
                [SESSION_PINNED] = settings->client_idle_timeout_ms,
                [SESSION_CANCELING] = settings->cancel_wait_timeout_ms,
                [SESSION_LEAVING] = LAST_WORDS_MS,
            },
        .keepalive = keepalive_of(settings),
        .max_clients = settings->max_client_conn,
        .max_statements = settings->max_client_prepared_statements,
        .log_connections = settings->log_connections,
        .log_disconnections = settings->log_disconnections,
        .log_pooler_errors = settings->log_pooler_errors,
    };

    return front_init(&worker->front, &options);
}

static enum err set_up_door(struct worker *worker)
{
    const struct settings *settings = &worker->config->settings;
    struct door_options options = {
        .loop = &worker->loop,
        .streams = &worker->streams,
        .alarm = &worker->alarm,
        .log = worker->log,
        .hashing = &worker->hashing,
        .config = &worker->config->redis,
        .keepalive = keepalive_of(settings),
        .backlog = (int)settings->listen_backlog,
        .log_connections = settings->log_connections,
        .log_disconnections = settings->log_disconnections,
    };

    return door_init(&worker->door, &options);
}

static enum err set_up_gate(struct worker *worker)
{
    uint8_t key[WHO_KEY_SIZE];

    if (RAND_bytes(key, sizeof(key)) != 1)
        return ERR_IO;
    who_init(&worker->who, worker->config, key);
    OPENSSL_cleanse(key, sizeof(key));
    worker->gate = (struct gate){
        .config = worker->config,
        .who = &worker->who,
        .hashing = &worker->hashing,
        .terms = &worker->terms,
        .errands = &worker->errands,
    };
    gate_init(&worker->gate);
    rest_home_init(&worker->rest, &worker->gate, &worker->door, &worker->alarm);
    return ERR_OK;
}

static void set_up_signals(struct worker *worker)
{
    for (size_t i = 0; i < WORKER_SIGNALS; i++) {
        uv_signal_init(&worker->loop, &worker->signals[i]);
        worker->signals[i].data = worker;
        uv_signal_start(&worker->signals[i], on_signal, signal_numbers[i]);
    }
    uv_prepare_init(&worker->loop, &worker->between);
    worker->between.data = worker;
    uv_prepare_start(&worker->between, on_between);
}

enum err worker_init(struct worker *worker, const struct config *config, struct log *log)
{
    struct timespec now;
    enum err e;

    *worker = (struct worker){.config = config, .log = log, .phase_ends = UINT64_MAX};
    if (uv_loop_init(&worker->loop) != 0)
        return ERR_IO;
    if ((e = stream_home_init(&worker->streams, &worker->loop)) != ERR_OK)
        return e;
    clock_gettime(CLOCK_REALTIME, &now);
    worker->started_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    offload_init(&worker->cancels, &worker->loop, MOST_CANCELS, MOST_QUEUED);
    offload_init(&worker->hashing, &worker->loop, MOST_HASHINGS, MOST_QUEUED);
    alarm_init(&worker->alarm, &worker->loop, worker, on_tick);
    broker_init(&worker->broker,
                (struct backend_home){.streams = &worker->streams, .cancels = &worker->cancels},
                &worker->alarm, log);
    worker->broker.owner = worker;
    worker->broker.canceled = on_canceled;
    terms_init(&worker->terms, config, &worker->broker);
    errand_home_init(&worker->errands, &worker->broker);
    if ((e = set_up_gate(worker)) != ERR_OK)
        return e;
    set_up_hub(worker);
    set_up_signals(worker);
    if ((e = set_up_front(worker)) != ERR_OK)
        return e;
    return set_up_door(worker);
}

/* A comma list of addresses; empty is none. */
static enum err listen_tcp(struct worker *worker, char why[256])
{
    const struct settings *settings = &worker->config->settings;
    char address[ADDRESS_HOST_SIZE];
    enum err e;

    for (const char *list = settings->listen_addr; address_next(&list, address);) {
        e = listener_open_tcp(&worker->listeners, address, (unsigned)settings->listen_port, why);
        if (e != ERR_OK)
            return e;
        log_write(worker->log, LOG_LEVEL_INFO, NULL, "listening on %s:%u", address,
                  (unsigned)settings->listen_port);
    }
    return ERR_OK;
}

static enum err listen_unix(struct worker *worker, char why[256])
{
    const struct settings *settings = &worker->config->settings;
    char path[512];
    enum err e;

    if (settings->unix_socket_dir == NULL || settings->unix_socket_dir[0] == '\0')
        return ERR_OK;
    snprintf(path, sizeof(path), "%s/.s.PGSQL.%u", settings->unix_socket_dir,
             (unsigned)settings->listen_port);
    e = listener_open_unix(&worker->listeners, path, why);
    if (e == ERR_OK)
        log_write(worker->log, LOG_LEVEL_INFO, NULL, "listening on unix:%s", path);
    return e;
}

/* A timeout of 0 is none. */
static uint64_t or_ever(uint64_t timeout_ms)
{
    return timeout_ms > 0 ? timeout_ms : HTTP_FOR_EVER;
}

static enum err listen_http(struct worker *worker, char why[256])
{
    const struct config_http *http = &worker->config->http;
    struct http_options options = {
        .home = &worker->streams,
        .log = worker->log,
        .context = worker,
        .origins = http->cors_origins,
        .max_connections = (unsigned)http->max_connections,
        .head_most = http->max_header_size,
        .most_gathered = http->max_buffered,
        .gzip_least = http->gzip_min_size,
        .timeout_ms =
            {
                [HTTP_RESTING] = or_ever(http->idle_timeout_ms),
                [HTTP_ASKING] = or_ever(http->header_timeout_ms),
                [HTTP_GATHERING] = or_ever(http->body_timeout_ms),
                [HTTP_SENDING] = or_ever(http->send_timeout_ms),
                [HTTP_ANSWERING] = or_ever(http->send_timeout_ms),
                [HTTP_FINISHING] = or_ever(http->send_timeout_ms),
            },
    };
    enum err e;

    if (http->listen_port == 0)
        return ERR_OK;
    options.routes = worker->routes;
    options.routes_length = routes_make(worker->routes, worker->config);
    worker->http_is_open = true; /* to be closed, whatever comes of it */
    e = http_open(&worker->http, &options, http->listen_addr, (uint16_t)http->listen_port);
    if (e != ERR_OK) {
        snprintf(why, 256, "cannot listen on %.100s port %u for HTTP", http->listen_addr,
                 (unsigned)http->listen_port);
        return e;
    }
    log_write(worker->log, LOG_LEVEL_INFO, NULL, "serving metrics on http://%s:%u/metrics",
              http->listen_addr, (unsigned)http->listen_port);
    return ERR_OK;
}

static enum err listen_postgres(struct worker *worker, char why[256])
{
    enum err e;

    if (!config_serves_postgres(worker->config)) {
        log_write(worker->log, LOG_LEVEL_INFO, NULL,
                  "PostgreSQL is not served: there is no database");
        return ERR_OK;
    }
    e = listen_tcp(worker, why);
    return e == ERR_OK ? listen_unix(worker, why) : e;
}

enum err worker_listen(struct worker *worker, char why[256])
{
    const struct settings *settings = &worker->config->settings;
    struct listener_options options = {.backlog = (int)settings->listen_backlog,
                                       .unix_mode = (unsigned)settings->unix_socket_mode};
    enum err e;

    listener_init(&worker->listeners, &worker->loop, &options, worker, on_connection);
    if ((e = listen_postgres(worker, why)) != ERR_OK ||
        (e = door_listen(&worker->door, why)) != ERR_OK || (e = listen_http(worker, why)) != ERR_OK)
        return e;
    if (worker->listeners.open.length > 0 || config_redis_is_served(&worker->config->redis))
        return ERR_OK;
    snprintf(why, 256, "nowhere to listen: set listen_addr or unix_socket_dir");
    return ERR_CONFIG;
}

void worker_run(struct worker *worker)
{
    uv_update_time(&worker->loop);
    worker->period_before = worker->period_began = uv_now(&worker->loop);
    end_period(worker, worker->period_began);
    terms_warm(&worker->terms);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
}

/* Also after a failed start: whatever is open is closed by a loop that has nothing else. */
void worker_fini(struct worker *worker)
{
    stop(worker);
    close_everything(worker);
    alarm_close(&worker->alarm);
    uv_run(&worker->loop, UV_RUN_DEFAULT);
    front_fini(&worker->front);
    door_fini(&worker->door);
    who_fini(&worker->who);
    hub_fini(&worker->hub);
    broker_fini(&worker->broker);
    terms_fini(&worker->terms);
    stream_home_fini(&worker->streams);
    uv_loop_close(&worker->loop);
}
