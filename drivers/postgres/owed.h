/*
 * drivers/postgres/owed.h - the queue of what a server owes; a relay's (relay.h).
 *
 *      client sends   Parse  Bind  Execute  CopyData..  CopyDone  Sync  Query
 *      owed           PARSE  BIND  EXECUTE  COPY_DATA   COPY_END  SYNC  QUERY
 *                     ^ head: what is answered next
 *
 * An entry for each message that will be answered, in order. Those marked OURS stand for what
 * weir itself asked; QUIET, for what it sent ahead on its client's behalf: success is told to
 * nobody, and an error is the client's; HERE, for what the server was not asked at all, and weir
 * answers in its place. REFUSAL: an error that weir has asked for (relay_shapes.h). NAMED: a step
 * of relay_steps.h belongs to it. COPY_DATA (once for any number of CopyData) and COPY_END are
 * marks: nothing answers them, and they belong to the statement before them if that turns out to be
 * a COPY.
 */
#ifndef DRIVERS_POSTGRES_OWED_H
#define DRIVERS_POSTGRES_OWED_H

#include <stdbool.h>
#include <stdint.h>

enum owed_kind {
    OWED_NOTHING = 0,
    OWED_PARSE, /* up to REFUSAL: the messages of a batch, which a Sync ends */
    OWED_PARSE_UNNAMED,
    OWED_BIND,
    OWED_DESCRIBE,
    OWED_EXECUTE,
    OWED_CLOSE,
    OWED_REFUSAL,
    OWED_SYNC,
    OWED_QUERY,
    OWED_FUNCTION,
    OWED_COPY_DATA,
    OWED_COPY_END,
    OWED_KIND = 0x0f, /* which of these; the others stand beside it */
    OWED_QUIET = 0x10,
    OWED_HERE = 0x20,
    OWED_NAMED = 0x40,
    OWED_OURS = 0x80
};

enum {
    /* Answers are at least 5 bytes and a server keeps at most 8 KB of them to itself, so with
     * more entries than 8192 / 5 the queue always moves on. */
    OWED_MOST = 2048,
};

struct owed {
    uint16_t first, length; /* in the ring */
    uint32_t asked;         /* of all entries ever, those that complete: EXECUTE and QUERY; ... */
    uint32_t answered;      /* ... and those of them that are no more: the head's number */
    uint32_t removed;       /* of all entries ever, those that are no more */
    uint8_t ring[OWED_MOST];
};

static inline uint8_t owed_entry(const struct owed *owed, unsigned i)
{
    return owed->ring[(owed->first + i) % OWED_MOST];
}

/* What is answered next, ours or not; OWED_NOTHING when nothing is. */
static inline uint8_t owed_head(const struct owed *owed)
{
    return owed->length > 0 ? owed_entry(owed, 0) & OWED_KIND : OWED_NOTHING;
}

static inline bool owed_head_is(const struct owed *owed, uint8_t mark)
{
    return owed->length > 0 && (owed_entry(owed, 0) & mark) != 0;
}

static inline bool owed_head_is_ours(const struct owed *owed)
{
    return owed_head_is(owed, OWED_OURS);
}

/* Whether an entry is of a statement, which has an end. */
static inline bool owed_completes(uint8_t entry)
{
    uint8_t kind = entry & OWED_KIND;

    return kind == OWED_EXECUTE || kind == OWED_QUERY;
}

static inline bool owed_is_of_batch(uint8_t kind)
{
    return kind >= OWED_PARSE && kind <= OWED_REFUSAL;
}

/* Whether a client is still owed an entry of that kind. */
bool owed_holds(const struct owed *owed, uint8_t kind);

/* Whether the last of it belongs to a batch that no Sync ends yet. A Query or FunctionCall ends
 * one too, but the server drops those when the batch fails. */
bool owed_ends_in_batch(const struct owed *owed);

/* Whether the Sync that comes next is ours: what stands before it, the client has not sent. */
bool owed_is_ended_by_us(const struct owed *owed);

void owed_push(struct owed *owed, uint8_t kind);
/* A mark; COPY_DATA only if none stands at the end. */
void owed_push_mark(struct owed *owed, uint8_t mark);

/* The head was answered. True: there were marks behind it, which are dropped too. */
bool owed_pop(struct owed *owed);

/* A batch has failed: the server drops what follows up to a Sync, and only a Sync: a Query in
 * between is dropped with the rest (trap 2). False: that Sync was not sent yet. named is how many
 * of those dropped were NAMED. */
bool owed_drop_until_sync(struct owed *owed, unsigned *named);

/* The head turned out to read copied data, and with them the Syncs sent ahead. Returns how many
 * those were. */
unsigned owed_drop_syncs_in_copy(struct owed *owed);

/* That has come to its end, and the head goes on: the marks were for it and not for a COPY that the
 * same Query may begin next. */
void owed_drop_copied(struct owed *owed);

#endif
