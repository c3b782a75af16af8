/*
 * drivers/postgres/relay_shapes.h - a client reads rows with the description it has; a relay's
 * (relay.h), for relay_names.c.
 *
 * Drivers ask once what a statement's rows look like, and then bind it again and again without
 * asking. PostgreSQL sees to it that such a statement never gives other rows: when a table has
 * changed, the Bind fails with "cached plan must not change result type", and the driver prepares
 * it anew. But here the Bind may come to a server that has prepared the same text after the change.
 * So the relay knows of each name the shape of its rows (shape.h): on the server, as a Describe of
 * the statement has shown it there, and to the client, as it was told last.
 *
 *      told    server    the Bind
 *      -       any       is passed on: the client knows nothing that could be wrong
 *      x       x         is passed on
 *      x       -         waits; weir prepares and describes the statement ahead of it, and looks
 * again x       y         the same, once: the server's may be the older one x       y anew fails,
 * with the words of PostgreSQL
 *
 * A Bind whose portal is described next is always passed on: its client will know.
 *
 * To fail a batch as a batch fails, and its transaction with it, weir sends a Parse that is no SQL
 * ahead of the Bind; the server drops the rest of the batch, and its error goes to the client in
 * other words. What the client was told stays as it is: it gets that error until it prepares the
 * statement anew or has it described.
 */
#ifndef DRIVERS_POSTGRES_RELAY_SHAPES_H
#define DRIVERS_POSTGRES_RELAY_SHAPES_H

#include "drivers/postgres/relay_steps.h"

/* What becomes of a Bind. */
enum relay_judgement {
    RELAY_FITS,    /* it is passed on */
    RELAY_PENDING, /* it waits for what is asked already */
    RELAY_UNSEEN,  /* the server must describe the statement first ... */
    RELAY_DIFFERS, /* ... and prepare it anew for that */
    RELAY_REFUSED, /* the client knows rows that are no more */
};

/* A Bind begins ahead, of what the client calls name and the server as, if it is there. */
enum relay_judgement relay_shapes_judge(struct relay *relay, struct slice ahead,
                                        const struct relay_name *name, const struct relay_name *as,
                                        bool there);

/* Whether the Bind that begins ahead is followed by the Describe of its portal. */
bool relay_shapes_is_described(struct slice ahead);

/* The server is asked what it has, ahead of what the client sends next. */
void relay_shapes_look(struct relay *relay, struct relay_plan *plan, const struct relay_name *as);

/* A Describe of a statement or portal of the client's: what its answer teaches belongs to it. */
void relay_shapes_see_statement(struct relay *relay, const struct relay_name *name,
                                const struct relay_name *as, struct relay_naming *naming);
void relay_shapes_see_portal(struct relay *relay, const struct relay_name *portal,
                             struct relay_plan *plan, struct relay_naming *naming);

/* The batch fails here. */
void relay_shapes_refuse(struct relay *relay, struct relay_plan *plan);
/* The error that is the server's answer to that; what the client gets instead. */
bool relay_shapes_is_refusal(const struct relay *relay, struct slice error);
struct slice relay_shapes_refusal(void);

/* The server describes something; the next bytes of that, and whether they are the last. */
void relay_shapes_begin(struct relay *relay);
void relay_shapes_feed(struct relay *relay, struct slice piece, bool last);

#endif
