/*
 * drivers/postgres/state.h - what a client leaves in its server's session; a relay's (relay.h).
 *
 *      state_begin(state, message, asked)       the client sends one that has an effect
 *      state_feed(state, body)                  ... whose text is read as it passes
 *      state_complete(state, tag, answered)     the server has done it
 *      state_ready(state, status, answered)     ... and says where it stands
 *
 *      while (state_take(state, &change)) ...   settings that were changed for good
 *      kinds = state_question(state, pinned);   what only the server itself can tell
 *
 * A change of a setting is first expected, when its text has passed; then done, when the server
 * says SET; and taken when the transaction has committed. What was rolled back is forgotten. What
 * cannot be followed like that (savepoints, texts that are not clear, functions) is to be asked
 * about, and so is everything else that a text hints at: locks, temporary tables, cursors...
 *
 * It has no memory of its own. What it cannot keep makes it blind: then there may be settings whose
 * names it does not know, and the client keeps its server.
 */
#ifndef DRIVERS_POSTGRES_STATE_H
#define DRIVERS_POSTGRES_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/contract.h"
#include "drivers/postgres/sql.h"

/* What is done about what cannot simply stay on a server: the setting session_state. */
enum state_mode { STATE_FOLLOW, STATE_PIN, STATE_REJECT, STATE_IGNORE };

/* What can be asked about; a bit each. */
enum state_kind {
    STATE_SETTINGS = 1 << 0,
    STATE_LOCKS = 1 << 1,
    STATE_TEMP = 1 << 2,
    STATE_CURSORS = 1 << 3,
    STATE_PREPARED = 1 << 4,
    STATE_LISTENS = 1 << 5,
    STATE_ANYTHING = (1 << 6) - 1,
};

enum {
    STATE_LOG_MOST = 1024,
    STATE_INSTEAD_MOST = 320, /* what is sent in place of a text that is rejected */
};

/* Changes, one behind the other. */
struct state_log {
    uint16_t length;
    uint8_t at[STATE_LOG_MOST];
};

struct state {
    uint8_t mode;       /* enum state_mode; the owner's to set, and ... */
    bool odd_strings;   /* ... whether standard_conforming_strings is off, ... */
    bool odd_letters;   /* ... or letters may have a backslash in them */
    uint8_t reading;    /* type of the message whose text is passing, or 0 */
    bool in_name;       /* ... in the name before the text, which is empty */
    bool is_dropped;    /* ... and the server will not look at it */
    bool is_named;      /* ... it is only read because it may be rejected */
    bool rejects;       /* ... and it is */
    bool parsed;        /* of_statement is of the unnamed one ... */
    bool used;          /* ... or of that which the next Bind names */
    bool bound;         /* ... and of the unnamed portal */
    bool erred, undone; /* since the transaction began */
    bool blind;         /* a setting was changed whose name is not known */
    bool ripe;          /* what was committed may be taken */
    uint32_t request;   /* which it is, of those that complete */
    uint32_t hints;     /* to be asked about when the transaction is over */
    uint32_t statement; /* hints of the statement, ... */
    uint32_t prepared;  /* ... and of what was PREPAREd */
    struct state_log of_statement, expected, done, committed;
    struct state_log suspects; /* only names: of settings that PostgreSQL does not list */
    struct sql sql;
    uint8_t instead[STATE_INSTEAD_MOST];
};

/* As a server is when nobody has it. */
void state_init(struct state *state);

/* ---- from the client --------------------------------------------------------------------- */

/* A message whose header and first byte (two, of a Bind) are there. request: how many that complete
 * were sent before it; dropped: the server will not look at it; plain: its text is of no
 * consequence (sql_plain.h). */
void state_begin(struct state *state, struct slice message, uint32_t request, bool dropped,
                 bool plain);

/* The Bind that comes next is of a named statement, whose text ends with a NUL. hints: all those
 * of its text. */
void state_use(struct state *state, struct slice text, uint32_t hints);

/* The next of its body; then its end. */
void state_feed(struct state *state, struct slice body);
void state_end(struct state *state);

/* Whether a text must not be executed. */
bool state_rejects(const struct state *state, const struct sql *sql);

/* ---- from the server --------------------------------------------------------------------- */

/* tag with its NUL; of_query: it answers a Query, whose text is known. */
void state_complete(struct state *state, struct slice tag, uint32_t request, bool of_query);
void state_error(struct state *state);
/* request: how many that complete were answered, or dropped. */
void state_ready(struct state *state, uint8_t status, uint32_t request);

/* The setting of that name may have been changed. */
void state_suspect(struct state *state, struct slice name);

/* ---- what has become of it --------------------------------------------------------------- */

/* The next change that holds. Lent until the next call of any of these. */
bool state_take(struct state *state, struct sql_change *change);

/* What to ask about, given what it is pinned for: bits of enum state_kind. */
unsigned state_question(const struct state *state, unsigned pinned);
/* It was asked. */
void state_asked(struct state *state);

/* Whether something may be left that was neither told nor asked about. */
bool state_is_doubtful(const struct state *state);

/* Names that must be asked for one by one. Start from at = 0. */
bool state_next_suspect(const struct state *state, size_t *at, struct slice *name);

#endif
