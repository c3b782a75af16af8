/*
 * proxy/fronts/http/errand.h - runs the queries of one request on connections of the pools.
 *
 *      e = errand_start(home, &options, &events, owner, &errand);
 *      ... events.answer(errand, i, bytes)       what the server says to query i, in order
 *      ... events.over(errand, i, &end)          how it ended: once for each query
 *      ... events.finished(errand)               the last call: the errand is no more
 *      errand_cancel(errand);                    or before that: nobody wants it any more
 *
 * To the pools an errand is one more client: it asks the broker for leases, as sessions do, and
 * what it sends goes through the relay of the connection it was lent, so that what holds for
 * sessions holds for it: names, settings, cleaning, rule zero. What runs when, and where, is
 * decided in schedule.h, which says what the modes mean.
 *
 * A query is bytes ready to be sent, a batch that ends with its only Sync, without a Flush:
 *
 *      Parse  Bind  Describe  Execute  Sync
 *
 * Those that stand one behind the other in memory leave in one write where they may.
 *
 * Its answer is the messages of the server, in any pieces, up to ReadyForQuery. In a pipeline or a
 * transaction those of one query follow those of the one before; in parallel they come as they
 * come. A COPY FROM STDIN is ended by CopyFail, for nobody has data for it.
 *
 * Parallel queries know nothing of each other: what one leaves in its connection (settings, an open
 * transaction, a temporary table) the next does not find. In a pipeline and a transaction they are
 * one session. In all cases it is gone when the errand is over.
 *
 * Times: a query that takes too long, is stopped, or runs beside one that failed (on_error:
 * CANCEL), is canceled on the server; what the server says to that is its answer, or nothing if it
 * says nothing within cancel_ms. Waiting for a connection is limited by the pool.
 *
 * Ownership: errand_start copies what it is given but for the bytes of the queries, which are lent
 * until they are over. No event comes from inside errand_start, nor after errand_cancel, which may
 * be called at any time, from events too; so may the others.
 */
#ifndef PROXY_FRONTS_HTTP_ERRAND_H
#define PROXY_FRONTS_HTTP_ERRAND_H

#include "base/bytes.h"
#include "proxy/broker.h"
#include "proxy/fronts/http/schedule.h"

struct errand;

/* Stands for a transaction as a whole, for its BEGIN and COMMIT. */
#define ERRAND_TRANSACTION SIZE_MAX

enum errand_isolation {
    ERRAND_ISOLATION_DEFAULT,
    ERRAND_READ_UNCOMMITTED,
    ERRAND_READ_COMMITTED,
    ERRAND_REPEATABLE_READ,
    ERRAND_SERIALIZABLE,
};

struct errand_query {
    struct slice wire;          /* lent */
    struct broker_place *place; /* one for all, but in parallel */
    uint64_t timeout_ms;        /* from when the server has come to it; 0: no limit */
};

struct errand_options {
    const struct errand_query *queries; /* at least one */
    size_t queries_length;
    enum schedule_mode mode;
    enum schedule_on_error on_error;
    enum errand_isolation isolation; /* of a transaction, as the next two */
    bool read_only, deferrable;
    uint64_t timeout_ms;    /* of all of it, waiting included; 0: no limit */
    uint64_t cancel_ms;     /* what is canceled has that long to end */
    size_t most_parallel;   /* leases that it has or waits for at a time; at least 1 */
    size_t most_asking;     /* ... of which it waits for; at least 1 */
    size_t most_statements; /* prepared by it; 0: any number */
    bool hasty;             /* would rather be refused than wait for a server that is down */
};

/* How a query ended. Lent for the call. */
struct errand_end {
    enum schedule_how how;
    enum err why;     /* ERR_OK: it ended well, or its answer says why not */
    const char *text; /* for people, beside why; "" if there is nothing to add */
    bool told;        /* its answer has an ErrorResponse of the server */
    bool cut;         /* ... and ends in the middle of a message */
};

struct errand_events {
    /* Of ERRAND_TRANSACTION only errors are told. */
    void (*answer)(struct errand *errand, size_t index, struct slice bytes);
    /* In a transaction, ERRAND_TRANSACTION is the last: WELL means that it is committed, SKIPPED
     * that it was rolled back. */
    void (*over)(struct errand *errand, size_t index, const struct errand_end *end);
    void (*finished)(struct errand *errand);
};

/* All errands of a worker, which ticks them. */
struct errand_home {
    struct broker *broker;
    struct list errands;
};

void errand_home_init(struct errand_home *home, struct broker *broker);
void errand_home_tick(struct errand_home *home, uint64_t now);
/* All that runs ends now, as ERR_SHUTTING_DOWN. */
void errand_home_stop(struct errand_home *home);

/* Gives the errand. ERR_NO_MEMORY; ERR_IN_BLOCK: a transaction where statements are pooled. */
enum err errand_start(struct errand_home *home, const struct errand_options *options,
                      const struct errand_events *events, void *owner,
                      struct errand **errand) MUST_CHECK;
void *errand_owner(const struct errand *errand);

/* Takes the errand. What runs is canceled, and its connections are cleaned by their pools. */
void errand_cancel(struct errand *errand);

/* Nobody wants the rest of that query: it is canceled, and ends with that error unless it was
 * quicker. */
void errand_stop(struct errand *errand, size_t index, enum err why);

/* Who cannot take more of an answer for now lets its server wait. What was read already still
 * comes. In a pipeline that holds for all that follows; over ends it. */
void errand_pause(struct errand *errand, size_t index);
void errand_resume(struct errand *errand, size_t index);

#endif
