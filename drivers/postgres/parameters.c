#include "drivers/postgres/parameters.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uthash.h>

#include "base/utf8.h"
#include "drivers/postgres/sql.h"

enum {
    LONGEST_VALUE = 255, /* the longest of these that PostgreSQL keeps has 63 */
    LONGEST = PARAMETERS_COUNT * (LONGEST_VALUE + 1) + PARAMETERS_EXTRAS_MOST,
};

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
    uint16_t extras;                   /* ... of the extras, by name: a name, its value... */
    char text[];                       /* each text and its NUL, one behind the other */
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

/* What parameters are made from. */
struct draft {
    size_t length;
    uint16_t starts[PARAMETERS_COUNT];
    uint16_t extras;
    char text[LONGEST];
};

static void begin(struct draft *draft, const char *const values[PARAMETERS_COUNT])
{
    draft->length = 0;
    for (unsigned i = 0; i < PARAMETERS_COUNT; i++) {
        size_t size = strlen(values[i]) + 1;

        draft->starts[i] = (uint16_t)draft->length;
        memcpy(draft->text + draft->length, values[i], size);
        draft->length += size;
    }
    draft->extras = (uint16_t)draft->length;
}

static void begin_as(struct draft *draft, const struct parameters *p)
{
    const char *values[PARAMETERS_COUNT];

    for (unsigned i = 0; i < PARAMETERS_COUNT; i++)
        values[i] = parameters_value(p, (enum parameters_name)i);
    begin(draft, values);
}

static void add_extra(struct draft *draft, struct slice name, struct slice value)
{
    if (draft->length - draft->extras + name.length + value.length + 2 > PARAMETERS_EXTRAS_MOST)
        return;
    memcpy(draft->text + draft->length, name.at, name.length);
    draft->length += name.length;
    draft->text[draft->length++] = '\0';
    memcpy(draft->text + draft->length, value.at, value.length);
    draft->length += value.length;
    draft->text[draft->length++] = '\0';
}

/* The one with these values: found, or made. NULL for want of memory. */
static const struct parameters *intern(struct parameters_set *set, const struct draft *draft)
{
    struct parameters *p = NULL;

    HASH_FIND(hh, set->all, draft->text, draft->length, p);
    if (p != NULL)
        return parameters_hold(p);
    p = calloc(1, sizeof(*p) + draft->length);
    if (p == NULL)
        return NULL;
    memcpy(p->text, draft->text, draft->length);
    memcpy(p->starts, draft->starts, sizeof(p->starts));
    p->extras = draft->extras;
    p->length = draft->length;
    p->reading = hash_reading(draft->text, draft->starts[PARAMETERS_APPLICATION_NAME]);
    p->holders = 1;
    HASH_ADD_KEYPTR(hh, set->all, p->text, p->length, p);
    if (p->hh.tbl != NULL)
        return p;
    free(p);
    return NULL;
}

/* Takes p, Gives what the draft makes of it. */
static const struct parameters *become(struct parameters_set *set, const struct parameters *p,
                                       const struct draft *draft)
{
    const struct parameters *changed = intern(set, draft);

    if (changed == NULL)
        return p;
    parameters_release(set, p);
    return changed;
}

const struct parameters *parameters_empty(struct parameters_set *set)
{
    static const char *const nothing[PARAMETERS_COUNT] = {"", "", "", "", "", ""};
    struct draft draft;

    begin(&draft, nothing);
    return intern(set, &draft);
}

static void make_printable(char to[LONGEST_VALUE + 1], struct slice value)
{
    size_t length = value.length < LONGEST_VALUE ? value.length : LONGEST_VALUE;

    for (size_t i = 0; i < length; i++)
        to[i] = value.at[i] >= ' ' && value.at[i] < 0x7f ? (char)value.at[i] : '?';
    to[length] = '\0';
}

static struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

const struct parameters *parameters_change(struct parameters_set *set, const struct parameters *p,
                                           enum parameters_name name, struct slice value)
{
    const char *values[PARAMETERS_COUNT];
    char printable[LONGEST_VALUE + 1];
    struct draft draft;

    make_printable(printable, value);
    for (unsigned i = 0; i < PARAMETERS_COUNT; i++)
        values[i] = parameters_value(p, (enum parameters_name)i);
    values[name] = printable;
    begin(&draft, values);
    for (const char *extra = NULL, *of; (extra = parameters_next_extra(p, extra, &of)) != NULL;)
        add_extra(&draft, slice_of(extra), slice_of(of));
    return become(set, p, &draft);
}

/* ---- extras ------------------------------------------------------------------------------ */

const char *parameters_next_extra(const struct parameters *p, const char *name, const char **value)
{
    if (name == NULL)
        name = p->text + p->extras;
    else
        name = *value + strlen(*value) + 1;
    if (name == p->text + p->length)
        return NULL;
    *value = name + strlen(name) + 1;
    return name;
}

static bool equals(struct slice a, const char *b)
{
    return a.length == strlen(b) && memcmp(a.at, b, a.length) == 0;
}

static bool comes_before(const char *a, struct slice b)
{
    int order = strncmp(a, (const char *)b.at, b.length);

    return order < 0;
}

const char *parameters_extra(const struct parameters *p, struct slice name)
{
    const char *value = NULL;

    for (const char *extra = NULL; (extra = parameters_next_extra(p, extra, &value)) != NULL;)
        if (equals(name, extra))
            return value;
    return NULL;
}

static bool is_ascii(struct slice name)
{
    for (size_t i = 0; i < name.length; i++)
        if (name.at[i] <= ' ' || name.at[i] >= 0x7f)
            return false;
    return name.length > 0;
}

static bool is_text(struct slice value)
{
    for (size_t length; value.length > 0; value.at += length, value.length -= length) {
        length = utf8_length(value);
        if (length == 0 || *value.at == '\0')
            return false;
    }
    return true;
}

bool parameters_may_keep(const struct parameters *p, struct slice name, struct slice value)
{
    size_t used = p->length - p->extras + name.length + value.length + 2;

    return used <= PARAMETERS_EXTRAS_MOST && is_ascii(name) && is_text(value);
}

/* All extras but that one, and value in its place unless its at is NULL. */
static const struct parameters *replace(struct parameters_set *set, const struct parameters *p,
                                        struct slice name, struct slice value)
{
    struct draft draft;
    const char *of = NULL;
    bool placed = value.at == NULL;

    begin_as(&draft, p);
    for (const char *extra = NULL; (extra = parameters_next_extra(p, extra, &of)) != NULL;) {
        if (!placed && !comes_before(extra, name)) {
            add_extra(&draft, name, value);
            placed = true;
        }
        if (!equals(name, extra))
            add_extra(&draft, slice_of(extra), slice_of(of));
    }
    if (!placed)
        add_extra(&draft, name, value);
    return become(set, p, &draft);
}

const struct parameters *parameters_set_extra(struct parameters_set *set,
                                              const struct parameters *p, struct slice name,
                                              struct slice value)
{
    return parameters_may_keep(p, name, value) ? replace(set, p, name, value) : p;
}

const struct parameters *parameters_drop_extra(struct parameters_set *set,
                                               const struct parameters *p, struct slice name)
{
    return replace(set, p, name, (struct slice){NULL, 0});
}

const struct parameters *parameters_restore(struct parameters_set *set, const struct parameters *p,
                                            const struct parameters *own, struct slice name)
{
    enum parameters_name reported = parameters_find(name);
    const char *value = parameters_extra(own, name);

    if (reported != PARAMETERS_COUNT)
        return parameters_change(set, p, reported, slice_of(parameters_value(own, reported)));
    return value != NULL ? parameters_set_extra(set, p, name, slice_of(value))
                         : parameters_drop_extra(set, p, name);
}

const struct parameters *parameters_restore_extras(struct parameters_set *set,
                                                   const struct parameters *p,
                                                   const struct parameters *own, bool role_too)
{
    const char *role = parameters_extra(p, SLICE("role")), *of = NULL;
    struct draft draft;

    begin_as(&draft, p);
    for (const char *extra = NULL; (extra = parameters_next_extra(own, extra, &of)) != NULL;) {
        bool is_role = strcmp(extra, "role") == 0;

        if (!role_too && role != NULL && strcmp(extra, "role") >= 0)
            add_extra(&draft, SLICE("role"), slice_of(role));
        if (!role_too && strcmp(extra, "role") >= 0)
            role = NULL;
        if (role_too || !is_role)
            add_extra(&draft, slice_of(extra), slice_of(of));
    }
    if (!role_too && role != NULL)
        add_extra(&draft, SLICE("role"), slice_of(role));
    return become(set, p, &draft);
}

/* ---- to the server ----------------------------------------------------------------------- */

/* A letter beyond ASCII as the four or eight digits of its number: the encoding of the text
 * that these stand in may be any. */
static size_t write_letter(struct bytes *sql, const uint8_t *at)
{
    size_t length = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
    uint32_t letter = *at & (0x7fu >> length);

    for (size_t i = 1; i < length; i++)
        letter = letter << 6 | (at[i] & 0x3fu);
    bytes_print(sql, letter > 0xffff ? "\\U%08x" : "\\u%04x", (unsigned)letter);
    return length;
}

/* E'' reads the same whatever standard_conforming_strings is at that moment. */
static void write_quoted(struct bytes *sql, const char *value)
{
    bytes_print(sql, "E'");
    while (*value != '\0') {
        if ((uint8_t)*value >= 0x80) {
            value += write_letter(sql, (const uint8_t *)value);
            continue;
        }
        if (*value == '\'' || *value == '\\')
            bytes_add(sql, value, 1);
        bytes_add(sql, value++, 1);
    }
    bytes_print(sql, "'");
}

static void write_name(struct bytes *sql, const char *name)
{
    bytes_print(sql, "\"");
    for (; *name != '\0'; name++) {
        if (*name == '"')
            bytes_add(sql, name, 1);
        bytes_add(sql, name, 1);
    }
    bytes_print(sql, "\"");
}

static const char *separator(const struct bytes *sql)
{
    return sql->length > 0 ? ";" : "";
}

/* SET would put the whole list into quotes, as one name (trap 37). */
static void write_extra(struct bytes *sql, const char *name, const char *value)
{
    if (sql_is_list_of_names(slice_of(name))) {
        bytes_print(sql, "%sSELECT pg_catalog.set_config('%s', ", separator(sql), name);
        write_quoted(sql, value);
        bytes_print(sql, ", false)");
        return;
    }
    bytes_print(sql, "%sSET ", separator(sql));
    write_name(sql, name);
    bytes_print(sql, " TO ");
    write_quoted(sql, value);
}

static bool is_the_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool is_role(const char *name)
{
    return strcmp(name, "role") == 0;
}

static void write_extras(const struct parameters *from, const struct parameters *to,
                         struct bytes *sql)
{
    const char *value = NULL;

    for (const char *name = NULL; (name = parameters_next_extra(from, name, &value)) != NULL;) {
        if (is_role(name) || parameters_extra(to, slice_of(name)) != NULL)
            continue;
        bytes_print(sql, "%sRESET ", separator(sql));
        write_name(sql, name);
    }
    for (const char *name = NULL; (name = parameters_next_extra(to, name, &value)) != NULL;)
        if (!is_role(name) && !is_the_same(parameters_extra(from, slice_of(name)), value))
            write_extra(sql, name, value);
}

bool parameters_have_same_extras(const struct parameters *a, const struct parameters *b)
{
    size_t length = a->length - a->extras;

    return b->length - b->extras == length &&
           memcmp(a->text + a->extras, b->text + b->extras, length) == 0;
}

static void write_reported(const struct parameters *from, const struct parameters *to,
                           struct bytes *sql)
{
    for (unsigned i = 0; i < PARAMETERS_COUNT; i++) {
        enum parameters_name name = (enum parameters_name)i;
        const char *value = parameters_value(to, name);

        /* Empty is what a server has not reported, which only a name may be. */
        if (strcmp(parameters_value(from, name), value) == 0 ||
            (value[0] == '\0' && name != PARAMETERS_APPLICATION_NAME))
            continue;
        bytes_print(sql, "%sSET %s TO ", separator(sql), parameters_names[i]);
        write_quoted(sql, value);
    }
}

/* A role may not be allowed to set what its user may: it is left first and taken last. */
void parameters_write_sets(const struct parameters *from, const struct parameters *to,
                           struct bytes *sql)
{
    const char *before = parameters_extra(from, SLICE("role"));
    const char *role = parameters_extra(to, SLICE("role"));
    bool same = parameters_have_same_extras(from, to);

    if (!same && before != NULL)
        bytes_print(sql, "%sRESET ROLE", separator(sql));
    write_reported(from, to, sql);
    if (!same)
        write_extras(from, to, sql);
    if (!same && role != NULL)
        write_extra(sql, "role", role);
    bytes_add(sql, "", 1);
}
