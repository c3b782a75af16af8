/*
 * drivers/postgres/relay_steps.h - what a client's names of statements mean, and what its server
 * knows: a relay's (relay.h), for relay_names.c, which decides what to do about it.
 *
 *      switch (relay_steps_find_place(relay, &name, statement, &as)) ...
 *      relay_steps_parse_ahead(relay, plan, statement, &as);      the server must have it
 *      relay_steps_add(relay, statement, &name, &as);             what a Parse will change
 *      relay_steps_learn(relay, RELAY_SHAPE, &name, &as);         what a Describe will teach
 *
 * What a message will change is a step. It is done when the server has answered, and dropped with
 * what the server drops (traps 13, 14): until then a later message of the same batch counts on it,
 * since it shares its fate, and for one of a later batch things are unclear: it waits.
 */
#ifndef DRIVERS_POSTGRES_RELAY_STEPS_H
#define DRIVERS_POSTGRES_RELAY_STEPS_H

#include "drivers/postgres/relay_parts.h"

/* RELAY_UNCLEAR: it depends on what an earlier batch comes to, or is being asked. */
enum relay_sight { RELAY_UNKNOWN, RELAY_KNOWN, RELAY_UNCLEAR };

/* How a server may be made to have a statement. */
enum relay_place { RELAY_IS_THERE, RELAY_IS_FREE, RELAY_IS_TAKEN, RELAY_IS_UNCLEAR };

/* What the answer to a Describe teaches. */
enum relay_lesson {
    RELAY_NOTHING_NEW,
    RELAY_SHAPE, /* ... of a statement: its shape, on the server and to the client that asked */
    RELAY_TOLD,  /* ... of a portal: its client, what the server has for its statement */
};

struct relay_name relay_steps_name(struct slice text);
struct slice relay_steps_slice(const struct relay_name *name);

/* ---- what a name means now --------------------------------------------------------------- */

/* *found: NULL if it is unknown. */
enum relay_sight relay_steps_at_client(struct relay *relay, const struct relay_name *name,
                                       const struct statement **found);
enum relay_sight relay_steps_at_server(struct relay *relay, const struct relay_name *name,
                                       const struct statement **found);

/* What the client calls name it has prepared before it has changed how texts are read: from now on
 * it is the same text as it is read now, for that is how a server must prepare it. NULL for want of
 * memory. */
const struct statement *relay_steps_reread(struct relay *relay, const struct relay_name *name,
                                           const struct statement *mine);

/* What the server calls, or is to call, the statement that its client calls name. */
enum relay_place relay_steps_find_place(struct relay *relay, const struct relay_name *name,
                                        const struct statement *statement, struct relay_name *as);

/* The shape of what the server calls as, and that which the client was told for name, at the
 * latest in this batch; *shape is SHAPE_UNKNOWN if there is none. */
enum relay_sight relay_steps_shape(struct relay *relay, const struct relay_name *as,
                                   uint64_t *shape);
enum relay_sight relay_steps_told(struct relay *relay, const struct relay_name *name,
                                  uint64_t *shape);

/* ---- what changes ------------------------------------------------------------------------ */

/* Belongs to the entry of what is owed that is pushed next, with OWED_NAMED. statement NULL: the
 * names mean nothing any more. name or as NULL: that side stays as it is. Lent. */
struct relay_step *relay_steps_add(struct relay *relay, const struct statement *statement,
                                   const struct relay_name *name, const struct relay_name *as);

/* The same for a Describe; name NULL: nobody but us has asked. */
void relay_steps_learn(struct relay *relay, enum relay_lesson lesson, const struct relay_name *name,
                       const struct relay_name *as);
/* Whether the next step under way needs the shape of what the server says. */
bool relay_steps_wants_shape(const struct relay *relay);

/* The next step under way is done; will not be, though its message is still answered; the next
 * count will never be. */
void relay_steps_done(struct relay *relay);
void relay_steps_failed(struct relay *relay);
void relay_steps_drop(struct relay *relay, unsigned count);

/* A command has been completed: some make the server forget names. */
void relay_steps_completed(struct relay *relay, struct slice tag);

/* ---- what we say ourselves --------------------------------------------------------------- */

void relay_steps_say(struct relay *relay, struct relay_plan *plan, const void *from, size_t length);
void relay_steps_say_head(struct relay *relay, struct relay_plan *plan, uint8_t type, size_t body);
void relay_steps_say_name(struct relay *relay, struct relay_plan *plan,
                          const struct relay_name *name);

/* A Close or Describe of a statement, which is owed then; its step is still to be added. */
void relay_steps_say_about(struct relay *relay, struct relay_plan *plan, uint8_t type,
                           const struct relay_name *as);

/* Whatever the server calls by that name it forgets. */
void relay_steps_close_ahead(struct relay *relay, struct relay_plan *plan,
                             const struct relay_name *as);
void relay_steps_parse_ahead(struct relay *relay, struct relay_plan *plan,
                             const struct statement *statement, const struct relay_name *as);

/* The server keeps no more than it may. Only between batches: none counts on what goes (trap 12).
 */
void relay_steps_evict(struct relay *relay, struct relay_plan *plan);

/* The server forgets what is not the client's own, ahead of SQL of which nobody knows what it
 * executes. True: it has nothing else. False: it has been told to; the verdict says to wait. */
bool relay_steps_expel(struct relay *relay, struct relay_plan *plan) MUST_CHECK;

/* What goes ahead of a Query is a batch of its own: an error must not take the Query with it. */
void relay_steps_end_ahead(struct relay *relay, struct relay_plan *plan);

/* Steps under way come to an end, if they can: those the server was asked for it answers when it is
 * told to, and those it was not are answered here; no Sync need come (trap 11). */
void relay_steps_press(struct relay *relay, struct relay_plan *plan);

/* ---- what we answer ourselves ------------------------------------------------------------ */

/* What to answer in the server's place, if that comes next; its length is 0 if it does not. */
struct slice relay_steps_answer(struct relay *relay);
/* The same to the client at once: nothing else will come to answer it behind. */
void relay_steps_answer_back(struct relay *relay, struct relay_plan *plan);

#endif
