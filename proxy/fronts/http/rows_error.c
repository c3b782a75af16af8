#include "proxy/fronts/http/rows_error.h"

#include <string.h>

#include "proxy/fronts/http/rows.h"

/* The letter on the wire, and the names it is told by; NULL: it is not. The first two are one word,
 * translated and not. */
static const struct field {
    char letter;
    bool is_number; /* not in Neon's form */
    const char *neon, *db;
} fields[] = {
    {'S', false, "severity", NULL},
    {'V', false, NULL, "severity"},
    {'C', false, "code", "sqlstate"},
    {'M', false, "message", "message"},
    {'D', false, "detail", "detail"},
    {'H', false, "hint", "hint"},
    {'P', true, "position", "position"},
    {'p', true, "internalPosition", "internal_position"},
    {'q', false, "internalQuery", "internal_query"},
    {'W', false, "where", "where"},
    {'s', false, "schema", "schema"},
    {'t', false, "table", "table"},
    {'c', false, "column", "column"},
    {'d', false, "dataType", "data_type"},
    {'n', false, "constraint", "constraint"},
    {'F', false, "file", "file"},
    {'L', true, "line", "line"},
    {'R', false, "routine", "routine"},
};

static const char *name_of(const struct rows_error *error, size_t i)
{
    return error->is_neon ? fields[i].neon : fields[i].db;
}

static bool is_untold(const struct rows_error *error, size_t i)
{
    return name_of(error, i) != NULL && (error->told & 1u << i) == 0;
}

static void tell_name(struct rows_error *error, size_t i, struct bytes *out)
{
    const char *name = name_of(error, i), *begin = error->told != 0 ? ",\"" : "\"";

    bytes_add(out, begin, strlen(begin));
    bytes_add(out, name, strlen(name));
    bytes_add(out, "\":", 2);
    error->told |= 1u << i;
}

static void begin_field(struct rows_error *error, char letter, struct bytes *out)
{
    struct types_type type = {TYPES_TEXT, 0};
    size_t i = 0;

    error->is_in_field = true;
    error->field = 0;
    while (i < COUNT_OF(fields) && fields[i].letter != letter)
        i++;
    if (i == COUNT_OF(fields) || !is_untold(error, i))
        return;
    if (fields[i].is_number && !error->is_neon)
        type.kind = TYPES_NUMBER;
    error->field = (uint8_t)(i + 1);
    tell_name(error, i, out);
    cell_begin(&error->cell, type, out);
}

/* No array, so nothing can be wrong with it. */
static void add_to_field(struct rows_error *error, struct slice part, struct bytes *out)
{
    size_t had = strlen(error->sqlstate), room = sizeof(error->sqlstate) - 1 - had;

    if (error->field == 0)
        return;
    if (fields[error->field - 1].letter == 'C')
        memcpy(error->sqlstate + had, part.at, part.length < room ? part.length : room);
    REQUIRE(cell_add_part(&error->cell, part, out));
}

static void end_field(struct rows_error *error, struct bytes *out)
{
    error->is_in_field = false;
    if (error->field != 0)
        REQUIRE(cell_end(&error->cell, out));
}

static void tell_absent(struct rows_error *error, struct bytes *out)
{
    for (size_t i = 0; i < COUNT_OF(fields) && error->is_neon; i++) {
        if (!is_untold(error, i))
            continue;
        tell_name(error, i, out);
        bytes_add(out, "null", 4);
    }
}

void rows_error_begin(struct rows_error *error, const struct rows_options *options)
{
    error->is_neon = options->form == ROWS_NEON;
    error->is_in_field = false;
    error->told = 0;
    memset(error->sqlstate, 0, sizeof(error->sqlstate));
}

bool rows_error_take(struct rows_error *error, struct slice part, struct bytes *out)
{
    const uint8_t *at = part.at, *end = at + part.length;

    while (at < end) {
        const uint8_t *nul = memchr(at, 0, (size_t)(end - at));

        if (error->is_in_field) {
            add_to_field(error, (struct slice){at, (size_t)((nul != NULL ? nul : end) - at)}, out);
            if (nul == NULL)
                return false;
            end_field(error, out);
            at = nul;
        } else if (nul == at) {
            tell_absent(error, out);
            return true;
        } else
            begin_field(error, (char)*at, out);
        at++;
    }
    return false;
}

static void say_field(struct rows_error *error, char letter, const char *text, struct bytes *out)
{
    begin_field(error, letter, out);
    add_to_field(error, (struct slice){(const uint8_t *)text, strlen(text)}, out);
    end_field(error, out);
}

void rows_error_say(struct rows_error *error, const char *sqlstate, const char *message,
                    struct bytes *out)
{
    say_field(error, error->is_neon ? 'S' : 'V', "ERROR", out);
    say_field(error, 'C', sqlstate, out);
    say_field(error, 'M', message, out);
    tell_absent(error, out);
}
