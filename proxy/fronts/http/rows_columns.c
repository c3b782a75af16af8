#include "proxy/fronts/http/rows_columns.h"

#include <string.h>

#include "proxy/fronts/http/json_out.h"
#include "proxy/fronts/http/rows.h"

/* Behind a column's name: the table's OID, the column's number in it, the type's OID, its size and
 * modifier, the format. */
enum { TABLE = 0, NUMBER = 4, TYPE = 6, SIZE = 10, MODIFIER = 12, FORMAT = 16, BEHIND_NAME = 18 };

static uint16_t u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t hash_of(const uint8_t *at, size_t length) /* FNV-1a */
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ at[i]) * 16777619u;
    return hash;
}

static struct types_type type_of(uint32_t oid, const struct rows_options *options)
{
    struct types_type type = {TYPES_TEXT, 0};

    if (!options->as_text)
        type = types_find(oid);
    if (type.kind == TYPES_BIG && !options->big_numbers)
        type.kind = TYPES_TEXT;
    return type;
}

/* at: what stands behind the name. */
static void keep(struct rows_columns *columns, struct slice name, const uint8_t *at,
                 const struct rows_options *options)
{
    struct bytes *names = &columns->names;
    struct rows_column column = {.key = (uint32_t)names->length};

    bytes_add(names, ",", 1);
    json_out_string(names, name);
    bytes_add(names, ":", 1);
    if (names->failed)
        return;
    column.key_length = (uint32_t)names->length - column.key;
    column.hash = hash_of(names->at + column.key, column.key_length);
    column.type = type_of(bytes_u32(at + TYPE), options);
    bytes_add(&columns->columns, &column, sizeof(column));
}

static void tell(const struct rows_columns *columns, const uint8_t *at,
                 const struct rows_options *options, struct bytes *out)
{
    const struct rows_column *column = rows_columns_at(columns, columns->length);

    bytes_add(out, ",", columns->length > 0);
    bytes_add(out, "{\"name\":", 8);
    bytes_add(out, columns->names.at + column->key + 1, column->key_length - 2);
    if (options->form != ROWS_NEON) {
        bytes_print(out, ",\"type\":%u}", bytes_u32(at + TYPE));
        return;
    }
    bytes_print(out,
                ",\"dataTypeID\":%u,\"tableID\":%u,\"columnID\":%d,\"dataTypeSize\":%d"
                ",\"dataTypeModifier\":%d,\"format\":\"text\"}",
                bytes_u32(at + TYPE), bytes_u32(at + TABLE), (int16_t)u16(at + NUMBER),
                (int16_t)u16(at + SIZE), (int32_t)bytes_u32(at + MODIFIER));
}

static bool are_alike(const struct rows_columns *columns, const struct rows_column *a,
                      const struct rows_column *b)
{
    const uint8_t *names = columns->names.at;

    return a->hash == b->hash && a->key_length == b->key_length &&
           memcmp(names + a->key, names + b->key, a->key_length) == 0;
}

static void hide_doubles(struct rows_columns *columns)
{
    struct rows_column *all = (void *)columns->columns.at;

    for (size_t i = 0; i < columns->length; i++)
        for (size_t k = i + 1; k < columns->length && !all[i].is_hidden; k++)
            all[i].is_hidden = are_alike(columns, &all[i], &all[k]);
}

/* body: all of them, one behind the other. */
static bool take_all(struct rows_columns *columns, struct slice body,
                     const struct rows_options *options, struct bytes *out)
{
    const uint8_t *end = body.at + body.length;

    for (const uint8_t *at = body.at; at < end; columns->length++) {
        const uint8_t *nul = memchr(at, 0, (size_t)(end - at));
        struct slice name = {at, nul != NULL ? (size_t)(nul - at) : 0};

        if (nul == NULL || end - nul - 1 < BEHIND_NAME || u16(nul + 1 + FORMAT) != 0)
            return false;
        keep(columns, name, nul + 1, options);
        if (columns->names.failed || columns->columns.failed) {
            out->failed = true;
            return false;
        }
        tell(columns, nul + 1, options, out);
        at = nul + 1 + BEHIND_NAME;
    }
    return true;
}

bool rows_columns_take(struct rows_columns *columns, struct slice body,
                       const struct rows_options *options, struct bytes *out)
{
    size_t begin = out->length, count = body.length >= 2 ? u16(body.at) : 0;
    struct slice all = {body.at + 2, body.length - 2};

    if (body.length < 2 || count > ROWS_COLUMNS_MOST)
        return false;
    if (!take_all(columns, all, options, out) || columns->length != count) {
        out->length = begin;
        return false;
    }
    if (!options->as_arrays)
        hide_doubles(columns);
    return true;
}

void rows_columns_clear(struct rows_columns *columns)
{
    bytes_clear(&columns->columns);
    bytes_clear(&columns->names);
    columns->length = 0;
}

void rows_columns_fini(struct rows_columns *columns)
{
    bytes_free(&columns->columns);
    bytes_free(&columns->names);
    columns->length = 0;
}
