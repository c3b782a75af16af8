/*
 * proxy/fronts/postgres/front.h - the PostgreSQL door of a worker: its clients, all of them.
 *
 *      front_init(&front, &options);
 *      front_connection(&front, listener);      a client waits at listener
 *      front_tick(&front, now);                 what is overdue
 *      front_drain(&front);                     ... until front_is_empty()
 *
 * A front owns its sessions and knows them by state and by the number they were given to
 * cancel with: that number is a place in front.slots, the secret key beside it is the
 * session's own.
 */
#ifndef PROXY_FRONTS_POSTGRES_FRONT_H
#define PROXY_FRONTS_POSTGRES_FRONT_H

#include "base/list.h"
#include "base/log.h"
#include "drivers/offload.h"
#include "drivers/peer.h"
#include "drivers/stream.h"
#include "proxy/broker.h"
#include "proxy/fronts/postgres/session.h"
#include "proxy/hub.h"
#include "proxy/metrics.h"
#include "proxy/terms.h"

/* What a front is given by its worker, and lent for its life. */
struct front_options {
    struct stream_home *streams;
    struct broker *broker;
    struct hub *hub;
    struct alarm *alarm;
    struct log *log;
    struct metrics_process *metrics;
    struct offload *hashing;              /* for key derivation */
    struct terms *terms;                  /* who may come in, and what for */
    const struct console_events *console; /* what is seen and done by whoever may */
    void *console_owner;
    uint64_t
        limits_ms[SESSION_STATE_COUNT]; /* how long a session may be in each state; 0: no limit */
    struct peer_keepalive keepalive;
    size_t max_clients;
    size_t max_statements; /* prepared by one of them; 0: any number */
    bool log_connections, log_disconnections, log_pooler_errors;
};

struct front {
    struct front_options with;
    struct list sessions[SESSION_STATE_COUNT]; /* front: longest in that state */
    struct session **slots;                    /* slots[0] stays empty: no process has pid 0 */
    uint32_t slots_size, slots_hint;
    size_t clients; /* those that max_client_conn counts */
    uint64_t next_id;
    uint8_t secret[32]; /* random, of this process */
    bool draining;
};

enum err front_init(struct front *front, const struct front_options *options) MUST_CHECK;
void front_fini(struct front *front);

void front_connection(struct front *front, uv_stream_t *listener);
void front_tick(struct front *front, uint64_t now);

/* A session gets a number and a key to be cancelled by; gives it back. */
enum err front_enroll(struct front *front, struct session *session) MUST_CHECK;
void front_strike_off(struct front *front, struct session *session);

/* The session with that number and that key, or NULL. Takes the same time for any key. */
struct session *front_find(const struct front *front, uint32_t pid, struct slice key);

/* Cancels can no longer hit backend: whoever waited for that may go. */
void front_canceled(struct front *front, const struct backend *backend);

/* Clients without a transaction are told to go, the others when it ends. At once: all. */
void front_drain(struct front *front);
void front_stop(struct front *front);
bool front_is_empty(const struct front *front);

/* Whether nobody is left but who watches, at the console. */
bool front_is_drained(const struct front *front);

#endif
