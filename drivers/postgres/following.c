#include "drivers/postgres/following.h"

#include <string.h>

bool following_init(struct following *f, struct parameters_set *set)
{
    *f = (struct following){.set = set};
    f->has = parameters_empty(set);
    return f->has != NULL;
}

static void drop(struct following *f, const struct parameters **p)
{
    parameters_release(f->set, *p);
    *p = NULL;
}

void following_fini(struct following *f)
{
    drop(f, &f->has);
    drop(f, &f->wanted);
    drop(f, &f->own);
    drop(f, &f->coming);
}

void following_lease(struct following *f, const struct parameters *wanted,
                     const struct parameters *own)
{
    f->wanted = parameters_hold(wanted != NULL ? wanted : f->has);
    f->own = parameters_hold(own != NULL ? own : f->has);
}

const struct parameters *following_leave(struct following *f)
{
    const struct parameters *wanted = f->wanted;

    f->wanted = NULL;
    drop(f, &f->own);
    return wanted;
}

/* ---- to the server ----------------------------------------------------------------------- */

bool following_differs(const struct following *f)
{
    return f->wanted != NULL && f->wanted != f->has && f->coming == NULL;
}

bool following_write(struct following *f, struct bytes *sql)
{
    if (!following_differs(f))
        return false;
    parameters_write_sets(f->has, f->wanted, sql);
    if (sql->length <= 1)
        return false;
    f->coming = parameters_hold(f->wanted);
    return true;
}

void following_arrived(struct following *f)
{
    if (f->coming != NULL)
        f->has = parameters_restore_extras(f->set, f->has, f->coming, true);
    drop(f, &f->coming);
}

void following_failed(struct following *f)
{
    drop(f, &f->coming);
}

/* ---- from the server --------------------------------------------------------------------- */

void following_report(struct following *f, enum parameters_name name, struct slice value)
{
    f->has = parameters_change(f->set, f->has, name, value);
    if (f->wanted != NULL)
        f->wanted = parameters_change(f->set, f->wanted, name, value);
}

static void forget(struct following *f, struct slice name)
{
    f->has = parameters_drop_extra(f->set, f->has, name);
    if (f->wanted != NULL)
        f->wanted = parameters_drop_extra(f->set, f->wanted, name);
}

static bool is(struct slice name, const char *text)
{
    return name.length == strlen(text) && memcmp(name.at, text, name.length) == 0;
}

/* Settings that are none: they belong to the transaction, or have no value to be read again. */
static bool is_of_no_session(struct slice name)
{
    return is(name, "transaction_isolation") || is(name, "transaction_read_only") ||
           is(name, "transaction_deferrable") || is(name, "seed");
}

static bool keep(struct following *f, struct slice name, struct slice value)
{
    if (is_of_no_session(name))
        return true;
    if (is(name, "session_authorization") || !parameters_may_keep(f->has, name, value) ||
        (f->wanted != NULL && !parameters_may_keep(f->wanted, name, value))) {
        forget(f, name);
        return false;
    }
    f->has = parameters_set_extra(f->set, f->has, name, value);
    if (f->wanted != NULL)
        f->wanted = parameters_set_extra(f->set, f->wanted, name, value);
    return true;
}

static void restore(struct following *f, struct slice name)
{
    f->has = parameters_drop_extra(f->set, f->has, name);
    if (f->wanted != NULL)
        f->wanted = parameters_restore(f->set, f->wanted, f->own, name);
}

/* All reported values are the client's own again, too. */
static void restore_all(struct following *f, bool role_too)
{
    following_discarded(f, role_too);
    if (f->wanted == NULL)
        return;
    f->wanted = parameters_restore_extras(f->set, f->wanted, f->own, role_too);
    for (unsigned i = 0; i < PARAMETERS_COUNT; i++)
        f->wanted = parameters_restore(
            f->set, f->wanted, f->own,
            (struct slice){(const uint8_t *)parameters_names[i], strlen(parameters_names[i])});
}

bool following_change(struct following *f, const struct sql_change *change)
{
    bool reported = parameters_find(change->name) != PARAMETERS_COUNT;

    switch (change->kind) {
    case SQL_CHANGE_SET:
    case SQL_CHANGE_CALL:
        return reported || keep(f, change->name, change->value);
    case SQL_CHANGE_RESET:
        restore(f, change->name);
        return true;
    case SQL_CHANGE_RESET_ALL:
        restore_all(f, false);
        return true;
    case SQL_CHANGE_DISCARD:
        restore_all(f, true);
        return true;
    case SQL_CHANGE_NOTHING:
    case SQL_CHANGE_ASK:
    case SQL_CHANGE_CALLED:
        break;
    }
    return true;
}

bool following_found(struct following *f, struct slice name, struct slice value)
{
    const char *before = parameters_extra(f->has, name);

    if (parameters_find(name) != PARAMETERS_COUNT)
        return true;
    if (value.at == NULL) {
        if (before != NULL)
            restore(f, name);
        return true;
    }
    if (before != NULL && strlen(before) == value.length &&
        memcmp(before, value.at, value.length) == 0)
        return true;
    return keep(f, name, value);
}

void following_discarded(struct following *f, bool role_too)
{
    const struct parameters *none = parameters_empty(f->set);

    if (none == NULL)
        return;
    f->has = parameters_restore_extras(f->set, f->has, none, role_too);
    parameters_release(f->set, none);
}

bool following_is_own(const struct following *f)
{
    return f->wanted == NULL || parameters_have_same_extras(f->wanted, f->own);
}
