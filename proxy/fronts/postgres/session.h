/*
 * proxy/fronts/postgres/session.h - the life of one PostgreSQL client.
 *
 *      GREETING --> WELCOMING --> RESTING <--> QUEUEING --> WORKING <--> SENDING, HOLDING, PINNED
 *          |                         ^  |        ^ |       '-------------'
 *          |                         |  `-> BEGUN '|                    |
 *          |                         `-------------^--------------------'
 *          |          `--> REPLICATING
 *          `--> CANCELING, CONSOLE   (from anywhere)  --> LEAVING --> CLOSING
 *
 * What a session does with bytes, where it may go from each state, and what it says when
 * it stays there for too long is one row of the table `life` in session.c. A session's
 * state is the list of its front it is in, so states are counted by being.
 *
 * An idle session costs its own few hundred bytes and no buffer.
 *
 * Ownership: a session belongs to its front and frees itself when its socket is closed.
 */
#ifndef PROXY_FRONTS_POSTGRES_SESSION_H
#define PROXY_FRONTS_POSTGRES_SESSION_H

#include "base/list.h"
#include "base/log.h"
#include "drivers/peer.h"
#include "drivers/stream.h"
#include "proxy/broker.h"
#include "proxy/tally.h"

struct console;
struct front;
struct greeting;
struct subscriptions;

/* clang-format off */
#define SESSION_STATES(X) \
    X(GREETING,  "login")               /* says who it is */                                     \
    X(WELCOMING, "login_waiting")       /* waits for the first server of its pool */             \
    X(RESTING,   "idle")                /* has no server and wants none */                       \
    X(BEGUN,     "begun")               /* has begun a transaction, and no statement of it */    \
    X(QUEUEING,  "waiting")             /* wants a server */                                     \
    X(SENDING,   "sending")             /* has a server, and has sent it half a message */       \
    X(WORKING,   "active")              /* is owed an answer by its server */                    \
    X(HOLDING,   "idle_in_transaction") /* keeps its server, in mid-transaction */               \
    X(PINNED,    "idle_pinned")         /* keeps its server for what it has set up there */      \
    X(REPLICATING, "replicating")       /* has a server of its own until it leaves */ \
    X(CONSOLE, "console")               /* talks to weir itself, and never gets a server */ \
    X(CANCELING, "canceling")           /* no client: a cancel request, until it was delivered */ \
    X(LEAVING,   "leaving")             /* is told our last words */                             \
    X(CLOSING,   "closing")
/* clang-format on */

enum session_state {
#define X(state, name) SESSION_##state,
    SESSION_STATES(X)
#undef X
        SESSION_STATE_COUNT
};

extern const char *const session_state_names[SESSION_STATE_COUNT];

enum { SESSION_KEY_SIZE = 16, SESSION_NO_SLOT = 0 };

struct session {
    struct stream stream;
    struct broker_lease lease;
    struct front *front;
    struct link link; /* in front->sessions[state] */
    struct peer peer;
    uint32_t came_s;                     /* when it was connected, in s of the loop */
    struct greeting *greeting;           /* while GREETING or WELCOMING */
    const void *canceling;               /* while CANCELING: the backend it waits for */
    struct subscriptions *subscriptions; /* NULL: it has never listened */
    struct console *console;             /* NULL: it is none of the console's */
    char *login;                         /* who it has logged in as; NULL: the user of its place */
    uint64_t id;
    uint64_t since; /* when it came into its state, in ms of the loop */
    struct tally tally;
    struct relay_sent sent;
    uint32_t cleared; /* bytes that have been looked at and may go to its server */
    uint32_t slot;    /* its place in front->slots; SESSION_NO_SLOT: none */
    uint8_t key[SESSION_KEY_SIZE];
    uint8_t key_size; /* how much of it the client was given */
    uint8_t state;
    uint8_t replication; /* enum startup_replication */
    bool in_bytes;       /* is being shown bytes now */
    bool counted;        /* among the clients that max_client_conn counts */
    bool held_back;      /* has bytes that wait until the server has answered */
    bool half_seen;      /* the message after those is short, and not complete */
    bool server_paused;  /* its server is not read until it has read */
};

/* Takes the connection waiting at listener. Fails without a trace. */
void session_accept(struct front *front, uv_stream_t *listener);

/* The greeting is over: the client is who it says, and belongs to lease.place. */
void session_welcome(struct session *session);

/* The greeting is over: the client talks to its console from now on, which it has. */
void session_begin_console(struct session *session);

/* A cancel request was passed on to this backend; or to none. */
void session_wait_for_cancel(struct session *session, const void *backend);

/* Last words: FATAL, and goodbye. text NULL: the error's own. */
void session_fail(struct session *session, enum err why, const char *text);
void session_close(struct session *session);

/* An error of ours, and nothing else happens: session_words.c. */
void session_words_error(struct session *session, const char *severity, enum err why,
                         const char *text);

/* Somebody holds this session's key and wants its query to end. Gives the backend whose
 * cancel is under way; NULL: there is nothing to wait for. */
const void *session_cancel(struct session *session);

/* It has been in its state for too long. */
void session_expire(struct session *session);

/* It has no server any more. */
void session_rest(struct session *session);

/* What the client has sent ahead is looked at again. */
void session_go_on(struct session *session);

/* Whose lease that is; NULL: it is not a session's, or there is none. */
const struct session *session_with(const struct broker_lease *lease);

/* In the log. */
struct log_who session_who(const struct session *session, char address[64]);
void session_who_says(const struct session *session, enum log_level level, const char *what,
                      const char *why);

#endif
