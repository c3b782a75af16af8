#include "drivers/postgres/parameters.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

enum { LONGEST_VALUE = 255 }; /* the longest of these that PostgreSQL keeps has 63 */

const char *const parameters_names[PARAMETERS_COUNT] = {
#define X(name, text) text,
    PARAMETERS(X)
#undef X
};

struct parameters {
    UT_hash_handle hh; /* by text */
    size_t holders;
    uint64_t reading;
    size_t length;
    uint16_t starts[PARAMETERS_COUNT]; /* of the values in text */
    char text[];                       /* each value and its NUL, one behind the other */
};

enum parameters_name parameters_find(struct slice name)
{
    unsigned i = 0;

    while (i < PARAMETERS_COUNT &&
           (strlen(parameters_names[i]) != name.length ||
            strncasecmp(parameters_names[i], (const char *)name.at, name.length) != 0))
        i++;
    return (enum parameters_name)i;
}

const char *parameters_value(const struct parameters *p, enum parameters_name name)
{
    return p->text + p->starts[name];
}

const struct parameters *parameters_hold(const struct parameters *p)
{
    ((struct parameters *)(uintptr_t)p)->holders++;
    return p;
}

void parameters_release(struct parameters_set *set, const struct parameters *p)
{
    struct parameters *own = (struct parameters *)(uintptr_t)p;

    if (own == NULL || --own->holders > 0)
        return;
    HASH_DEL(set->all, own);
    free(own);
}

/* FNV-1a of all but the last, which no text depends on. */
static uint64_t hash_reading(const char *text, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 0x100000001b3u;
    return hash;
}

uint64_t parameters_reading(const struct parameters *p)
{
    return p->reading;
}

/* The one with these values: found, or made. NULL for want of memory. */
static const struct parameters *intern(struct parameters_set *set,
                                       const char *const values[PARAMETERS_COUNT])
{
    char text[PARAMETERS_COUNT * (LONGEST_VALUE + 1)];
    uint16_t starts[PARAMETERS_COUNT];
    struct parameters *p = NULL;
    size_t length = 0;

    for (unsigned i = 0; i < PARAMETERS_COUNT; i++) {
        starts[i] = (uint16_t)length;
        length += (size_t)(stpcpy(text + length, values[i]) - (text + length)) + 1;
    }
    HASH_FIND(hh, set->all, text, length, p);
    if (p != NULL)
        return parameters_hold(p);
    p = calloc(1, sizeof(*p) + length);
    if (p == NULL)
        return NULL;
    memcpy(p->text, text, length);
    memcpy(p->starts, starts, sizeof(starts));
    p->length = length;
    p->reading = hash_reading(text, starts[PARAMETERS_APPLICATION_NAME]);
    p->holders = 1;
    HASH_ADD_KEYPTR(hh, set->all, p->text, length, p);
    if (p->hh.tbl != NULL)
        return p;
    free(p);
    return NULL;
}

const struct parameters *parameters_empty(struct parameters_set *set)
{
    static const char *const nothing[PARAMETERS_COUNT] = {"", "", "", "", "", ""};

    return intern(set, nothing);
}

static void make_printable(char to[LONGEST_VALUE + 1], struct slice value)
{
    size_t length = value.length < LONGEST_VALUE ? value.length : LONGEST_VALUE;

    for (size_t i = 0; i < length; i++)
        to[i] = value.at[i] >= ' ' && value.at[i] < 0x7f ? (char)value.at[i] : '?';
    to[length] = '\0';
}

const struct parameters *parameters_change(struct parameters_set *set, const struct parameters *p,
                                           enum parameters_name name, struct slice value)
{
    const char *values[PARAMETERS_COUNT];
    const struct parameters *changed;
    char printable[LONGEST_VALUE + 1];

    make_printable(printable, value);
    for (unsigned i = 0; i < PARAMETERS_COUNT; i++)
        values[i] = parameters_value(p, (enum parameters_name)i);
    values[name] = printable;
    changed = intern(set, values);
    if (changed == NULL)
        return p;
    parameters_release(set, p);
    return changed;
}

/* E'' reads the same whatever standard_conforming_strings is at that moment. */
static void write_quoted(struct bytes *sql, const char *value)
{
    bytes_print(sql, "E'");
    for (; *value != '\0'; value++) {
        if (*value == '\'' || *value == '\\')
            bytes_add(sql, value, 1);
        bytes_add(sql, value, 1);
    }
    bytes_print(sql, "'");
}

void parameters_write_sets(const struct parameters *from, const struct parameters *to,
                           struct bytes *sql)
{
    for (unsigned i = 0; i < PARAMETERS_COUNT; i++) {
        enum parameters_name name = (enum parameters_name)i;
        const char *value = parameters_value(to, name);

        /* Empty is what a server has not reported, which only a name may be. */
        if (strcmp(parameters_value(from, name), value) == 0 ||
            (value[0] == '\0' && name != PARAMETERS_APPLICATION_NAME))
            continue;
        bytes_print(sql, "%sSET %s TO ", sql->length > 0 ? ";" : "", parameters_names[i]);
        write_quoted(sql, value);
    }
    bytes_add(sql, "", 1);
}
