/*
 * drivers/redis/line.h - one logged-in connection to Redis.
 *
 *      line = line_open(&home, &target, &events, owner);          ... events.opened
 *      e = line_ask(line, guest, &note, request, now);            ... events.reply
 *      line_flush_all(&home);                                     once a turn of the loop
 *      line_close(line);
 *
 *      OPENING --> OPEN --> CLOSING
 *         `-----------------^
 *
 * What is asked during a turn of the loop is gathered and leaves with one write at its end: so
 * a hundred requests of a hundred clients cost one system call here and one in Redis. Replies
 * are shown as they come, from the worker's one buffer; whose they are says the trunk.
 *
 * A raw line's bytes are shown to events.raw as they come, once what was asked before is
 * answered. That is for what Redis does not answer request by request.
 *
 * Ownership: line_open gives the line, line_close takes it. events.lost comes at most once and
 * leaves only line_close to be called; what was owed then can still be taken from the trunk.
 * Any event may close its line.
 */
#ifndef DRIVERS_REDIS_LINE_H
#define DRIVERS_REDIS_LINE_H

#include "base/bytes.h"
#include "base/list.h"
#include "drivers/redis/connect.h"
#include "drivers/redis/trunk.h"
#include "drivers/stream.h"

struct line;

struct line_events {
    void (*opened)(struct line *line);
    /* It is of no use any more. why is for people; reply is Redis's own error, if it was one. */
    void (*lost)(struct line *line, enum err e, const char *why, const char *reply);
    /* Bytes of a reply, or of several, for run->whom, who may be NULL. */
    void (*reply)(struct line *line, const struct trunk_run *run, struct slice bytes);
    /* Of a raw line; how many were used. */
    size_t (*raw)(struct line *line, struct slice in);
    /* Redis has taken what was queued for it. */
    void (*drained)(struct line *line);
};

enum line_state { LINE_OPENING, LINE_OPEN, LINE_CLOSING };

/* What lines do, added up by whoever wants to know. */
struct line_counts {
    uint64_t reads, writes, bytes_in, bytes_out, swallowed;
};

/* What all lines of a worker share. */
struct line_home {
    struct stream_home *streams;
    struct list unsent; /* of lines that have something to send */
};

struct line {
    struct stream stream;
    struct trunk trunk;
    struct bytes out; /* what was asked in this turn */
    struct link unsent;
    struct line_home *home;
    const struct line_events *events;
    struct line_counts *counts; /* lent; the owner's to set */
    void *owner, *slot;         /* who opened it, and for what */
    void *guest;                /* whose it is, if it is one's own */
    struct connect *connect;
    SSL *ssl;
    uint64_t id;           /* for the log; the owner's to set */
    uint64_t since;        /* when it began to be opened */
    uint64_t heard;        /* when something came last */
    uint64_t asked, reads; /* requests of whoever shares it, and times it was read */
    unsigned version;      /* of Redis; 0: unknown */
    int32_t db;            /* that was selected last */
    enum line_state state;
    bool is_raw, has_stream, is_lost;
};

void line_home_init(struct line_home *home, struct stream_home *streams);

struct line *line_open(struct line_home *home, const struct connect_target *target,
                       const struct line_events *events, void *owner, void *slot) MUST_CHECK;
void line_close(struct line *line);

/* One or more requests in whole, whose replies are for whom. ERR_NO_MEMORY: nothing was asked. */
enum err line_ask(struct line *line, void *whom, const struct trunk_note *note, struct slice bytes,
                  uint64_t now) MUST_CHECK;

/* Bytes of a request that was announced by line_ask, or of a raw line; at once, behind what is
 * gathered. */
void line_send(struct line *line, struct slice bytes);

/* Sends what was gathered. */
void line_flush(struct line *line);
void line_flush_all(struct line_home *home);

/* Bytes that Redis has not taken yet. */
size_t line_queued(const struct line *line);

/* Whether something has happened to a line nobody uses that the loop has not told yet. */
bool line_is_stale(const struct line *line);

#endif
