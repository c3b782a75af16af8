#include "proxy/fronts/http/extended.h"

#include <string.h>

#include "drivers/postgres/wire.h"

static void add_u16(struct bytes *out, size_t value)
{
    uint8_t raw[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    bytes_add(out, raw, sizeof(raw));
}

static void add_u32(struct bytes *out, size_t value)
{
    uint8_t raw[4];

    bytes_put_u32(raw, (uint32_t)value);
    bytes_add(out, raw, sizeof(raw));
}

/* length: of the body. */
static void add_head(struct bytes *out, uint8_t type, size_t length)
{
    bytes_add(out, &type, 1);
    add_u32(out, 4 + length);
}

/* SIZE_MAX: more than a message may have. */
static size_t length_of(const struct slice *params, size_t count)
{
    size_t length = 2 + 2 + 2 + 4 * count + 2; /* names, formats, how many, lengths, formats */

    for (size_t i = 0; i < count; i++) {
        if (params[i].length > EXTENDED_MESSAGE_MOST)
            return SIZE_MAX;
        length += params[i].length;
    }
    return length;
}

static void add_bind(struct bytes *out, const struct slice *params, size_t count, size_t length)
{
    add_head(out, WIRE_BIND, length);
    bytes_add(out, "\0", 2); /* no names */
    add_u16(out, 0);         /* parameters: all text */
    add_u16(out, count);
    for (size_t i = 0; i < count; i++) {
        add_u32(out, params[i].at != NULL ? params[i].length : UINT32_MAX);
        if (params[i].at != NULL)
            bytes_add(out, params[i].at, params[i].length);
    }
    add_u16(out, 0); /* results: all text */
}

enum err extended_add_query(struct bytes *out, struct slice sql, const struct slice *params,
                            size_t count)
{
    size_t parse = 1 + sql.length + 1 + 2, bind;

    if (count > EXTENDED_PARAMS_MOST || sql.length > EXTENDED_MESSAGE_MOST)
        return ERR_PROTOCOL;
    bind = length_of(params, count);
    if (parse > EXTENDED_MESSAGE_MOST - 4 || bind > EXTENDED_MESSAGE_MOST - 4)
        return ERR_PROTOCOL;
    if (sql.length > 0 && memchr(sql.at, 0, sql.length) != NULL)
        return ERR_PROTOCOL;

    add_head(out, WIRE_PARSE, parse);
    bytes_add(out, "", 1); /* no name */
    bytes_add(out, sql.at, sql.length);
    bytes_add(out, "", 1);
    add_u16(out, 0); /* no types */
    add_bind(out, params, count, bind);
    add_head(out, WIRE_DESCRIBE, 2);
    bytes_add(out, "P", 2);
    add_head(out, WIRE_EXECUTE, 5);
    bytes_add(out, "", 1);
    add_u32(out, 0); /* all rows */
    wire_add_bare(out, WIRE_SYNC);
    return out->failed ? ERR_NO_MEMORY : ERR_OK;
}
