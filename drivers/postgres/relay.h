/*
 * drivers/postgres/relay.h - what to do with each byte between a client and a server.
 *
 * A relay belongs to one server connection and knows what that server still owes. Shown
 * bytes from either side, it answers with a plan: which slices go to the other side. It
 * has no socket, no clock and no memory of its own, and most messages only pass through:
 *
 *      used = relay_from_client(relay, &session->sent, in, &plan);
 *      stream_write(server, plan.slices, plan.count);
 *
 * Both functions use up whole messages, or parts of a message whose header they have seen,
 * and return how many bytes they used; show them the rest again with what follows. They
 * stop early (plan.verdict says why), so call them until nothing is used.
 *
 * What is owed is a queue with one entry for each client message that will be answered:
 *
 *      client sends   Parse  Bind  Execute  Sync  Query
 *      owed           PARSE  BIND  EXECUTE  SYNC  QUERY
 *      server sends   ParseComplete BindComplete DataRow.. CommandComplete ReadyForQuery ..
 *
 * An error in an extended message drops the entries up to the next SYNC, for the server
 * drops those messages (PostgreSQL manual, 55.2.3 Extended Query). The server is free when
 * nothing is owed or half sent, no transaction is open, and everything since the last Sync
 * was synced. What the relay cannot account for makes it tainted: the connection is closed
 * when the client is done with it and never lent again.
 *
 * Entries marked OURS stand for what weir itself asked; their answers go to nobody.
 *
 * by_statement (pool_mode = statement): a request, which is a Query or what a Sync ends, goes to
 * the server when the one before it is answered. One that leaves a transaction open can then be
 * rolled back with nothing behind it: not even a COMMIT sent ahead.
 *
 * Ownership: the slices of a plan point into what the relay was shown, or to constants;
 * they are lent until the next call.
 */
#ifndef DRIVERS_POSTGRES_RELAY_H
#define DRIVERS_POSTGRES_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "drivers/postgres/owed.h"
#include "drivers/postgres/shape.h"
#include "drivers/postgres/state.h"
#include "drivers/postgres/statement.h"

enum {
    RELAY_MOST_SLICES = 16,
    RELAY_MOST_OWN = 2048, /* bytes of ours in a plan to the server ... */
    RELAY_MOST_BACK = 160, /* ... and back to the client */
    RELAY_MOST_STEPS = 32,
    RELAY_MOST_BEGIN = 50,      /* ... of a BEGIN that waits for what follows */
    RELAY_MOST_REPEATED = 2048, /* bytes of a batch that can be sent again */
};

/* Where a client is in its messages, and what it has prepared; its session's. Start from all zero,
 * and end with statement_names_clear(&sent->names). */
struct relay_sent {
    uint32_t remaining; /* bytes of the message body still to come */
    bool swallow;       /* which nobody wants */
    bool refusing;      /* its request was refused: all of it is swallowed, up to where a
                         * server would answer ReadyForQuery. The caller's to set. */
    bool in_batch;      /* the request refused is a batch, which only a Sync ends */
    bool defers;        /* its transactions may begin later (relay_defer.h). The caller's to set */
    bool begun_failed;  /* ... and it has failed: the caller's to set, when that is begun */
    uint8_t begun_length; /* it has begun one that no server knows of */
    uint8_t begun[RELAY_MOST_BEGIN];
    struct statement_names names; /* what the client calls its statements ... */
    size_t most_names;            /* ... and how many it may have; 0: any number. The caller's */
};

/* A request shorter than that wants a server only when it is complete: who sends half a
 * message and falls silent keeps nobody waiting but itself. */
enum { RELAY_WHOLE_BELOW = 16 * 1024 };

enum relay_verdict {
    RELAY_GO_ON,          /* all that could be used was used */
    RELAY_NEEDS_SERVER,   /* the next message wants a server, and there is none */
    RELAY_WAITS,          /* too much is owed: go on when the server has answered */
    RELAY_TERMINATED,     /* the client said goodbye */
    RELAY_TOO_MANY_NAMES, /* the client has prepared as many statements as it may */
    RELAY_REJECTED,       /* it must not be executed, and its beginning was sent already */
    RELAY_BROKEN,         /* nobody could make sense of the next message */
};

struct relay_plan {
    size_t count; /* of slices */
    enum relay_verdict verdict;
    bool repeat;             /* a batch is to be sent again: by relay_repeat */
    bool refused;            /* a request that was refused ends here: ReadyForQuery is due */
    uint8_t unknown_type;    /* RELAY_BROKEN: the message's type ... */
    uint32_t unknown_length; /* ... and length */
    struct slice parameter;  /* body of a ParameterStatus that was used last, or empty */
    struct slice failure;    /* beginning of the error that answers what we asked, or empty */
    struct slice row;        /* body of a DataRow that answers it, or empty */
    bool answered;           /* what we asked was answered to its end */
    unsigned transactions;   /* how many ended in this plan */
    unsigned queries;        /* how many ReadyForQuery or complete statements */
    struct slice back;       /* relay_from_client: for the client itself, at once */
    unsigned parsed, bound;  /* Parse and Bind of statements with a name that were seen ... */
    unsigned prepared;       /* ... and Parse of those that go to the server */
    struct slice slices[RELAY_MOST_SLICES]; /* to the other side, in this order */
};

/* Then there may be more to answer without another byte. */
static inline bool relay_plan_is_full(const struct relay_plan *plan)
{
    return plan->count == RELAY_MOST_SLICES;
}

/* Why a client keeps its server between transactions. */
/* clang-format off */
#define RELAY_PINS(X) \
    X(RELAY_PIN_MODE,      "session",   "pool_mode = session")                  \
    X(RELAY_PIN_STATEMENT, "statement", "a named prepared statement")           \
    X(RELAY_PIN_UNNAMED,   "unnamed",   "an unnamed statement that is not bound yet") \
    X(RELAY_PIN_PREPARE,   "prepare",   "PREPARE")                              \
    X(RELAY_PIN_LISTEN,    "listen",    "LISTEN")                               \
    X(RELAY_PIN_CURSOR,    "cursor",    "a cursor WITH HOLD")                   \
    X(RELAY_PIN_LOCK,      "lock",      "an advisory lock of the session")      \
    X(RELAY_PIN_TEMP,      "temporary", "a temporary table")                    \
    X(RELAY_PIN_SETTING,   "setting",   "a setting that cannot follow")         \
    X(RELAY_PIN_LIBRARY,   "library",   "LOAD")                                 \
    X(RELAY_PIN_REPLICATION, "replication", "a replication connection: nobody else ever gets its server")
/* clang-format on */

enum relay_pin {
#define X(name, word, meaning) name,
    RELAY_PINS(X)
#undef X
        RELAY_PIN_COUNT
};

/* What a statement is called, by the side that matters here; or a portal. */
struct relay_name {
    uint8_t length;
    uint8_t text[STATEMENT_NAME_MOST];
};

/* What a Parse or Close under way will have changed, or a Describe taught. */
struct relay_step {
    const struct statement *statement; /* held; NULL: the names mean nothing any more */
    uint32_t batch;                    /* the one it was sent in */
    bool of_client, of_server;         /* whose names change */
    uint8_t learns;                    /* ... or only their shapes: enum relay_lesson */
    bool of_all;                       /* who knows which: nothing is clear until it is done */
    uint8_t name_length, as_length;
    uint8_t name[STATEMENT_NAME_MOST]; /* what the client calls it ... */
    uint8_t as[STATEMENT_NAME_MOST];   /* ... and the server */
};

/* What the client has bound last, if a description of its portal can teach it something. */
struct relay_bound {
    bool teaches;
    struct relay_name portal;
    struct relay_name name, as; /* of the statement: for the client, and for the server */
};

/* The names of prepared statements: relay_steps.h. */
struct relay_names {
    struct statement_set *set;        /* NULL: they are none of our business, and pin */
    size_t most;                      /* more than that, and the server forgets the oldest */
    struct statement_names on_server; /* as it has confirmed them */
    uint64_t reading;                 /* how its texts are read now; the caller's to set */
    uint32_t batch;                   /* the number of the one being sent: a Sync ends it */
    bool unnamed;                     /* the unnamed statement there is the client's */
    bool unbound;                     /* it was parsed, and nothing was bound since */
    bool flushed;                     /* the server was told to answer what it can */
    bool anew;                        /* there is what the client's next Bind is about: just made */
    bool hashing;                     /* the server's message, for the first of the steps */
    struct shape shape;               /* ... so far */
    struct relay_bound bound;
    uint8_t first, count; /* of the steps under way, in a ring */
    struct relay_step steps[RELAY_MOST_STEPS];
    uint16_t own_length, back_length;
    uint8_t own[RELAY_MOST_OWN];   /* what slices of ours in a plan point to */
    uint8_t back[RELAY_MOST_BACK]; /* what plan->back does */
};

/* A batch that may have to be sent again: relay_repeat.c. */
struct relay_record {
    uint8_t state;
    bool parameters;       /* the client has got its ParameterDescription: not a second one */
    uint16_t length, used; /* used: of it, when it is sent again */
    uint8_t bytes[RELAY_MOST_REPEATED];
};

/* LISTEN and UNLISTEN. */
struct relay_listening {
    bool elsewhere; /* what its client listens to comes to it by another way. The caller's to set,
                     * before a LISTEN is sent. */
    bool begun;     /* LISTEN was completed, whatever became of it */
    bool unlistening, unlistened; /* UNLISTEN was completed; and committed, if not in part */
    bool discarded;               /* DISCARD ALL was completed. The caller's to take back. */
};

struct relay {
    uint32_t remaining;     /* of the server's message whose header was seen */
    uint8_t status;         /* of the last ReadyForQuery: 'I', 'T' or 'E' */
    uint8_t copy;           /* 0, or the response that began it: 'G' in, 'H' out, 'W' both */
    bool swallow;           /* the server's message goes to nobody */
    bool nobody;            /* no client listens: it has gone, or there never was one */
    bool skipping;          /* the server drops everything up to a Sync not sent yet */
    bool unsynced;          /* extended messages were sent since the last Sync */
    bool in_batch;          /* ... and were answered since the last ReadyForQuery */
    bool tainted;           /* the account may be wrong: never lend this server again */
    bool dying;             /* of no use to anyone: it said FATAL, or cannot come to an end */
    bool failed;            /* what we asked ourselves was answered with an error */
    bool by_statement;      /* transaction blocks are not allowed; the caller's to set */
    bool in_block;          /* ... and there is one: its ReadyForQuery was kept back */
    bool question;          /* what we asked is a question, which may fail ... */
    bool restoring;         /* ... and the client waits for it: its settings come behind */
    bool unanswered;        /* ... and has */
    uint32_t maybe_ignored; /* Syncs sent in mid-COPY, which the server may have ignored */
    uint32_t pinned;        /* a bit for each enum relay_pin */
    struct relay_listening listening;
    struct owed owed;
    struct relay_sent *client; /* who is attached; lent */
    struct relay_record record;
    struct relay_names names;
    struct state state; /* what its client leaves in the session */
};

/* Whether its client gets what is notified to this server. */
static inline bool relay_hears(const struct relay *relay)
{
    return (relay->pinned & (1u << RELAY_PIN_MODE | 1u << RELAY_PIN_REPLICATION)) != 0 ||
           (!relay->listening.elsewhere &&
            (relay->listening.begun || (relay->pinned & 1u << RELAY_PIN_LISTEN) != 0));
}

/* As after login: nothing is owed, no transaction is open, nobody listens. statements are those of
 * all connections that may have the same client, or NULL: then a named one pins. most: how many of
 * them a server may keep. */
void relay_init(struct relay *relay, struct statement_set *statements, size_t most);
void relay_fini(struct relay *relay);

/* The same again, but for what the server has prepared. */
void relay_renew(struct relay *relay);

/* From now on a client listens, whose place in its messages is lent until nobody does. Only when
 * the relay is settled. */
void relay_attach(struct relay *relay, struct relay_sent *client);
/* It does not, and nothing is owed to it. */
void relay_detach(struct relay *relay);

/* relay may be NULL: the client has no server. Then only what needs none is used. */
size_t relay_from_client(struct relay *relay, struct relay_sent *sent, struct slice in,
                         struct relay_plan *plan) MUST_CHECK;
size_t relay_from_server(struct relay *relay, struct slice in, struct relay_plan *plan) MUST_CHECK;

/* After plan.repeat: the client's last batch again, as often as anything comes of it. */
bool relay_repeat(struct relay *relay, struct relay_plan *plan) MUST_CHECK;

/* Whether the server owes nothing to anyone and is between transactions. Pins and taint do
 * not count: they say what must happen before somebody else may have it. */
bool relay_is_settled(const struct relay *relay, const struct relay_sent *sent);
bool relay_owes(const struct relay *relay);

/* Whether the server has been sent the beginning of a message and not its end. */
bool relay_is_half_sent(const struct relay_sent *sent);

/* weir itself asks something: adds the message to out and its answer to what is owed. Only
 * while nothing is owed and nothing is half sent. */
void relay_ask_sync(struct relay *relay, struct bytes *out);
void relay_ask_query(struct relay *relay, const char *sql, struct bytes *out);

/* The same, but that it fails spoils nothing: its rows come in plans. */
void relay_ask_question(struct relay *relay, const char *sql, struct bytes *out);

/* The client is gone or goes: from now on nobody listens. Adds to out what makes the server come to
 * an end. False when that cannot be had, and the connection must be closed. */
bool relay_abandon(struct relay *relay, const struct relay_sent *sent,
                   struct bytes *out) MUST_CHECK;

#endif
