#include "drivers/postgres/statement.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "drivers/postgres/shape.h"
#include "drivers/postgres/sql.h"

struct statement {
    UT_hash_handle hh; /* by body */
    struct statement_set *set;
    uint64_t id;
    size_t holders;
    uint64_t reading;
    bool opaque;    /* its body is not kept */
    bool unlisted;  /* not in the set */
    uint32_t hints; /* of its text */
    size_t length;
    uint8_t body[];
};

struct statement_name {
    UT_hash_handle hh; /* by text */
    struct statement_name *older, *newer;
    const struct statement *statement;
    uint64_t shape;
    bool distrusted;
    uint32_t age; /* of the set */
    uint8_t length;
    uint8_t text[STATEMENT_NAME_MOST];
};

static struct statement *own(const struct statement *statement)
{
    return (struct statement *)(uintptr_t)statement;
}

static uint32_t hints_of(struct slice body)
{
    struct sql sql;

    sql_begin(&sql);
    sql_feed(&sql, body);
    sql_end(&sql);
    return sql.hints;
}

static struct statement *create(struct statement_set *set, struct slice body)
{
    struct statement *s = calloc(1, sizeof(*s) + body.length);

    if (s == NULL)
        return NULL;
    s->set = set;
    s->id = ++set->next_id;
    s->holders = 1;
    s->length = body.length;
    if (body.length > 0)
        memcpy(s->body, body.at, body.length);
    return s;
}

const struct statement *statement_opaque(struct statement_set *set)
{
    struct statement *s = create(set, (struct slice){NULL, 0});

    if (s == NULL)
        return NULL;
    s->opaque = s->unlisted = true;
    s->hints = SQL_OPAQUE;
    return s;
}

bool statement_is_opaque(const struct statement *statement)
{
    return statement->opaque;
}

/* By body, with the reading mixed into the hash: two that are one there do not happen, and are told
 * apart all the same. */
const struct statement *statement_intern(struct statement_set *set, uint64_t reading,
                                         struct slice body)
{
    struct statement *s = NULL, *found = NULL;
    unsigned hash;

    HASH_VALUE(body.at, body.length, hash);
    hash ^= (unsigned)(reading ^ reading >> 32);
    HASH_FIND_BYHASHVALUE(hh, set->all, body.at, body.length, hash, found);
    if (found != NULL && found->reading == reading)
        return statement_hold(found);
    s = create(set, body);
    if (s == NULL)
        return NULL;
    s->hints = hints_of(body);
    s->reading = reading;
    s->unlisted = found != NULL;
    if (s->unlisted)
        return s;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, set->all, s->body, s->length, hash, s);
    if (s->hh.tbl != NULL)
        return s;
    free(s);
    return NULL;
}

const struct statement *statement_hold(const struct statement *statement)
{
    own(statement)->holders++;
    return statement;
}

void statement_release(const struct statement *statement)
{
    struct statement *s = own(statement);

    if (s == NULL || --s->holders > 0)
        return;
    if (!s->unlisted)
        HASH_DEL(s->set->all, s);
    free(s);
}

uint32_t statement_hints(const struct statement *statement)
{
    return statement->hints;
}

struct slice statement_body(const struct statement *statement)
{
    return (struct slice){statement->body, statement->length};
}

uint64_t statement_reading(const struct statement *statement)
{
    return statement->reading;
}

uint64_t statement_id(const struct statement *statement)
{
    return statement->id;
}

/* ---- names ------------------------------------------------------------------------------- */

static struct slice shorten(struct slice name)
{
    if (name.length > STATEMENT_NAME_MOST)
        name.length = STATEMENT_NAME_MOST;
    return name;
}

static struct statement_name *find(const struct statement_names *names, struct slice name)
{
    struct statement_name *n = names->found;

    name = shorten(name);
    if (n != NULL && n->length == name.length && memcmp(n->text, name.at, name.length) == 0)
        return n; /* mostly the one that was asked for last */
    HASH_FIND(hh, names->all, name.at, name.length, n);
    if (n != NULL)
        ((struct statement_names *)(uintptr_t)names)->found = n;
    return n;
}

const struct statement *statement_names_find(const struct statement_names *names, struct slice name)
{
    const struct statement_name *n = find(names, name);

    return n != NULL ? n->statement : NULL;
}

static void link_newest(struct statement_names *names, struct statement_name *n)
{
    n->older = names->newest;
    n->newer = NULL;
    *(names->newest != NULL ? &names->newest->newer : &names->oldest) = n;
    names->newest = n;
}

static void unlink_it(struct statement_names *names, struct statement_name *n)
{
    *(n->older != NULL ? &n->older->newer : &names->oldest) = n->newer;
    *(n->newer != NULL ? &n->newer->older : &names->newest) = n->older;
}

void statement_names_touch(struct statement_names *names, struct slice name)
{
    struct statement_name *n = find(names, name);

    if (n == NULL || n == names->newest)
        return;
    unlink_it(names, n);
    link_newest(names, n);
}

static void drop(struct statement_names *names, struct statement_name *n)
{
    if (names->found == n)
        names->found = NULL;
    HASH_DEL(names->all, n);
    unlink_it(names, n);
    names->count--;
    statement_release(n->statement);
    free(n);
}

bool statement_names_put(struct statement_names *names, struct slice name,
                         const struct statement *statement)
{
    struct statement_name *n;

    statement_names_remove(names, name);
    name = shorten(name);
    n = calloc(1, sizeof(*n));
    if (n == NULL)
        return false;
    memcpy(n->text, name.at, name.length);
    n->length = (uint8_t)name.length;
    n->statement = statement;
    n->age = statement->set->age;
    HASH_ADD_KEYPTR(hh, names->all, n->text, n->length, n);
    if (n->hh.tbl == NULL) {
        free(n);
        return false;
    }
    link_newest(names, n);
    statement_hold(statement);
    names->count++;
    return true;
}

void statement_names_distrust(struct statement_names *names)
{
    for (struct statement_name *n = names->oldest; n != NULL; n = n->newer)
        n->distrusted = true;
}

void statement_names_distrust_newest(struct statement_names *names)
{
    if (names->newest != NULL)
        names->newest->distrusted = true;
}

size_t statement_names_strange(const struct statement_names *names,
                               const struct statement_names *mine, struct slice *found, size_t most)
{
    const struct statement_name *n = names->oldest;
    size_t count = 0;

    for (; n != NULL && count < most; n = n->newer) {
        struct slice name = {n->text, n->length};

        if (statement_names_find(mine, name) != n->statement)
            found[count++] = name;
    }
    return count;
}

bool statement_names_is_trusted(const struct statement_names *names, struct slice name)
{
    const struct statement_name *n = find(names, name);

    return n != NULL && !n->distrusted && n->age == n->statement->set->age;
}

uint64_t statement_names_shape(const struct statement_names *names, struct slice name)
{
    const struct statement_name *n = find(names, name);

    return n != NULL ? n->shape : SHAPE_UNKNOWN;
}

void statement_names_set_shape(struct statement_names *names, struct slice name, uint64_t shape)
{
    struct statement_name *n = find(names, name);

    if (n != NULL)
        n->shape = shape;
}

void statement_names_remove(struct statement_names *names, struct slice name)
{
    struct statement_name *n = find(names, name);

    if (n != NULL)
        drop(names, n);
}

void statement_names_clear(struct statement_names *names)
{
    while (names->oldest != NULL)
        drop(names, names->oldest);
}

struct slice statement_names_oldest(const struct statement_names *names)
{
    const struct statement_name *n = names->oldest;

    return n != NULL ? (struct slice){n->text, n->length} : (struct slice){NULL, 0};
}
