/*
 * drivers/postgres/relay_steps.h - what a client's names of statements mean, and what its server
 * knows: a relay's (relay.h), for relay_names.c, which decides what to do about it.
 *
 *      switch (relay_steps_find_place(relay, &name, statement, &as)) ...
 *      relay_steps_parse_ahead(relay, plan, statement, &as);      the server must have it
 *      relay_steps_add(relay, statement, &name, &as);             what a Parse will change
 *
 * What a message will change is a step. It is done when the server has answered, and dropped with
 * what the server drops (traps 13, 14): until then a later message of the same batch counts on it,
 * since it shares its fate, and for one of a later batch things are unclear: it waits.
 */
#ifndef DRIVERS_POSTGRES_RELAY_STEPS_H
#define DRIVERS_POSTGRES_RELAY_STEPS_H

#include "drivers/postgres/relay_parts.h"

/* What a statement is called, by the side that matters here. */
struct relay_name {
    uint8_t length;
    uint8_t text[STATEMENT_NAME_MOST];
};

/* RELAY_UNCLEAR: it depends on what an earlier batch comes to. */
enum relay_sight { RELAY_UNKNOWN, RELAY_KNOWN, RELAY_UNCLEAR };

/* How a server may be made to have a statement. */
enum relay_place { RELAY_IS_THERE, RELAY_IS_FREE, RELAY_IS_TAKEN, RELAY_IS_UNCLEAR };

struct relay_name relay_steps_name(struct slice text);
struct slice relay_steps_slice(const struct relay_name *name);

/* ---- what a name means now --------------------------------------------------------------- */

/* *found: NULL if it is unknown. */
enum relay_sight relay_steps_at_client(struct relay *relay, const struct relay_name *name,
                                       const struct statement **found);
enum relay_sight relay_steps_at_server(struct relay *relay, const struct relay_name *name,
                                       const struct statement **found);

/* What the server calls, or is to call, the statement that its client calls name. */
enum relay_place relay_steps_find_place(struct relay *relay, const struct relay_name *name,
                                        const struct statement *statement, struct relay_name *as);

/* ---- what changes ------------------------------------------------------------------------ */

/* Belongs to the entry of what is owed that is pushed next, with OWED_NAMED. statement NULL: the
 * names mean nothing any more. name or as NULL: that side stays as it is. Lent. */
struct relay_step *relay_steps_add(struct relay *relay, const struct statement *statement,
                                   const struct relay_name *name, const struct relay_name *as);

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

/* Whatever the server calls by that name it forgets. */
void relay_steps_close_ahead(struct relay *relay, struct relay_plan *plan,
                             const struct relay_name *as);
void relay_steps_parse_ahead(struct relay *relay, struct relay_plan *plan,
                             const struct statement *statement, const struct relay_name *as);

/* The server keeps no more than it may. Only between batches: none counts on what goes (trap 12).
 */
void relay_steps_evict(struct relay *relay, struct relay_plan *plan);

/* Steps under way come to an end, if they can: those the server was asked for it answers when it is
 * told to, and those it was not are answered here; no Sync need come (trap 11). */
void relay_steps_press(struct relay *relay, struct relay_plan *plan);

/* ---- what we answer ourselves ------------------------------------------------------------ */

/* What to answer in the server's place, if that comes next; its length is 0 if it does not. */
struct slice relay_steps_answer(struct relay *relay);
/* The same to the client at once: nothing else will come to answer it behind. */
void relay_steps_answer_back(struct relay *relay, struct relay_plan *plan);

#endif
