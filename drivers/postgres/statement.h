/*
 * drivers/postgres/statement.h - prepared statements, and what they are called.
 *
 * A statement is its text, the types of its parameters (trap 49), and how its literals are read
 * (parameters_reading): each is kept once, so
 * two are the same if they are the same pointer. A list of names (struct statement_names) is
 * what somebody calls them: a client, in any number of sessions, or a server connection,
 * which keeps the names in the order of their last use.
 *
 *      s = statement_intern(set, reading, body);          body: a Parse without its name
 *      statement_names_put(&server, SLICE("s1"), s);      holds s
 *      if (statement_names_find(&server, name) == s)      the server knows it by that name
 *      while (server.count > most)
 *          statement_names_remove(&server, statement_names_oldest(&server));
 *      statement_release(s);
 *
 * Ownership: statements never change; who keeps a pointer holds it, and releases it; names
 * hold theirs.
 *
 * PostgreSQL manual, 55.2.3 Extended Query.
 */
#ifndef DRIVERS_POSTGRES_STATEMENT_H
#define DRIVERS_POSTGRES_STATEMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"

/* PostgreSQL tells names apart by that many bytes (NAMEDATALEN - 1). */
enum { STATEMENT_NAME_MOST = 63 };

struct statement;
struct statement_name;

/* All that are held; all zero is an empty set. */
struct statement_set {
    struct statement *all;
    uint64_t next_id;
    uint32_t age; /* grows when what servers have planned is not to be relied on any more */
};

/* Gives; NULL for want of memory. */
const struct statement *statement_intern(struct statement_set *set, uint64_t reading,
                                         struct slice body) MUST_CHECK;
/* One like no other, of which nothing is known. Gives; NULL for want of memory. */
const struct statement *statement_opaque(struct statement_set *set) MUST_CHECK;
bool statement_is_opaque(const struct statement *statement);
const struct statement *statement_hold(const struct statement *statement);
void statement_release(const struct statement *statement);

/* What follows the name in its Parse: the text, its NUL, and the types. Lent. */
struct slice statement_body(const struct statement *statement);
/* The hints of its text (sql.h): enum sql_hint. */
uint32_t statement_hints(const struct statement *statement);
uint64_t statement_reading(const struct statement *statement);
/* No other statement of its set has had that. */
uint64_t statement_id(const struct statement *statement);

/* All zero is nothing, and takes no memory. */
struct statement_names {
    struct statement_name *all;
    struct statement_name *oldest, *newest; /* in the order of their last use */
    struct statement_name *found;           /* who has asked for one often asks again */
    size_t count;
};

/* NULL: it means nothing. Names are compared as PostgreSQL does. */
const struct statement *statement_names_find(const struct statement_names *names,
                                             struct slice name);
/* It is the one used last from now on. */
void statement_names_touch(struct statement_names *names, struct slice name);

/* The name means statement from now on. False for want of memory: then it means nothing. */
bool statement_names_put(struct statement_names *names, struct slice name,
                         const struct statement *statement) MUST_CHECK;
/* They may not mean that any more, until they are put again; nor can one that was put when the set
 * was younger. */
void statement_names_distrust(struct statement_names *names);
void statement_names_distrust_newest(struct statement_names *names);
bool statement_names_is_trusted(const struct statement_names *names, struct slice name);

/* What its rows look like to whoever calls it so (shape.h), until it is put again. Setting one of a
 * name that means nothing changes nothing. */
uint64_t statement_names_shape(const struct statement_names *names, struct slice name);
void statement_names_set_shape(struct statement_names *names, struct slice name, uint64_t shape);

/* Names that do not mean the same to mine, most at most: how many were put into found. Lent. */
size_t statement_names_strange(const struct statement_names *names,
                               const struct statement_names *mine, struct slice *found,
                               size_t most);

/* Nothing happens if it means nothing. name may be what statement_names_oldest gave. */
void statement_names_remove(struct statement_names *names, struct slice name);
void statement_names_clear(struct statement_names *names);

/* The name used longest ago; lent. Its length is 0 when there is none. */
struct slice statement_names_oldest(const struct statement_names *names);

#endif
