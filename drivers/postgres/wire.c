#include "drivers/postgres/wire.h"

#include <string.h>

/* The first number of an Authentication message says which one it is. */
enum {
    AUTH_OK = 0,
    AUTH_CLEARTEXT = 3,
    AUTH_MD5 = 5,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12,
};

enum {
    LENGTH_SIZE = 4,
    LENGTH_MOST = 0x3fffffff, /* PostgreSQL's own limit for anything in memory: 1 GB - 1 */
    PROTOCOL_3 = 3 << 16,
};

/* ---- reading ----------------------------------------------------------------------------- */

enum wire_sight wire_header(struct slice in, struct wire_header *header)
{
    uint32_t length;

    if (in.length < WIRE_HEADER_SIZE)
        return WIRE_MORE;
    length = bytes_u32(in.at + 1);
    if (length < LENGTH_SIZE || length > LENGTH_MOST)
        return WIRE_BROKEN;
    *header = (struct wire_header){.type = in.at[0], .length = length + 1};
    return WIRE_MESSAGE;
}

/* Fields stand one behind the other, each a letter and a text; a zero letter ends them. */
struct slice wire_error_field(struct slice body, char field)
{
    const uint8_t *at = body.at, *end = body.at + body.length;

    while (at < end && *at != '\0') {
        const uint8_t *text = at + 1;
        const uint8_t *nul = memchr(text, '\0', (size_t)(end - text));

        if (nul == NULL)
            break;
        if (*at == (uint8_t)field)
            return (struct slice){text, (size_t)(nul - text)};
        at = nul + 1;
    }
    return (struct slice){NULL, 0};
}

bool wire_only_cell(struct slice body, struct slice *cell)
{
    if (body.length < 6 || body.at[0] != 0 || body.at[1] != 1 ||
        bytes_u32(body.at + 2) != body.length - 6)
        return false;
    *cell = (struct slice){body.at + 6, body.length - 6};
    return true;
}

/* ---- the parts of a message -------------------------------------------------------------- */

static void add_u8(struct bytes *out, uint8_t value)
{
    bytes_add(out, &value, 1);
}

static void add_u16(struct bytes *out, uint16_t value)
{
    uint8_t raw[2] = {(uint8_t)(value >> 8), (uint8_t)value};

    bytes_add(out, raw, sizeof(raw));
}

static void add_u32(struct bytes *out, uint32_t value)
{
    uint8_t raw[4];

    bytes_put_u32(raw, value);
    bytes_add(out, raw, sizeof(raw));
}

static void add_slice(struct bytes *out, struct slice slice)
{
    bytes_add(out, slice.at, slice.length);
}

/* With the NUL that ends it. */
static void add_text(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text) + 1);
}

/* Tells where the message begins, for end_message to write its length there. */
static size_t begin_message(struct bytes *out, uint8_t type)
{
    size_t begin = out->length;

    add_u8(out, type);
    add_u32(out, 0);
    return begin;
}

static void end_message(struct bytes *out, size_t begin)
{
    if (!out->failed)
        bytes_put_u32(out->at + begin + 1, (uint32_t)(out->length - begin - 1));
}

/* ---- to either side ---------------------------------------------------------------------- */

void wire_add_bare(struct bytes *out, uint8_t type)
{
    end_message(out, begin_message(out, type));
}

static void add_text_message(struct bytes *out, uint8_t type, const char *text)
{
    size_t begin = begin_message(out, type);

    add_text(out, text);
    end_message(out, begin);
}

/* ---- to clients: what is wrong ----------------------------------------------------------- */

static void add_field(struct bytes *out, char field, const char *text)
{
    if (text == NULL)
        return;
    add_u8(out, (uint8_t)field);
    add_text(out, text);
}

static void add_complaint(struct bytes *out, uint8_t type, const struct wire_error *error)
{
    size_t begin = begin_message(out, type);

    add_field(out, 'S', error->severity);
    add_field(out, 'V', error->severity);
    add_field(out, 'C', error->code);
    add_field(out, 'M', error->message);
    add_field(out, 'D', error->detail);
    add_field(out, 'H', error->hint);
    add_u8(out, 0);
    end_message(out, begin);
}

void wire_add_error(struct bytes *out, const struct wire_error *error)
{
    add_complaint(out, WIRE_ERROR_RESPONSE, error);
}

void wire_add_notice(struct bytes *out, const struct wire_error *notice)
{
    add_complaint(out, WIRE_NOTICE_RESPONSE, notice);
}

/* ---- to clients: logging in -------------------------------------------------------------- */

static void add_auth(struct bytes *out, uint32_t kind, struct slice data)
{
    size_t begin = begin_message(out, WIRE_AUTHENTICATION);

    add_u32(out, kind);
    add_slice(out, data);
    end_message(out, begin);
}

void wire_add_auth_ok(struct bytes *out)
{
    add_auth(out, AUTH_OK, SLICE(""));
}

void wire_add_auth_cleartext(struct bytes *out)
{
    add_auth(out, AUTH_CLEARTEXT, SLICE(""));
}

void wire_add_auth_md5(struct bytes *out, const uint8_t salt[4])
{
    add_auth(out, AUTH_MD5, (struct slice){salt, 4});
}

void wire_add_auth_sasl(struct bytes *out, const char *const *mechanisms, size_t count)
{
    size_t begin = begin_message(out, WIRE_AUTHENTICATION);

    add_u32(out, AUTH_SASL);
    for (size_t i = 0; i < count; i++)
        add_text(out, mechanisms[i]);
    add_u8(out, 0);
    end_message(out, begin);
}

void wire_add_auth_sasl_continue(struct bytes *out, struct slice data)
{
    add_auth(out, AUTH_SASL_CONTINUE, data);
}

void wire_add_auth_sasl_final(struct bytes *out, struct slice data)
{
    add_auth(out, AUTH_SASL_FINAL, data);
}

void wire_add_negotiate_version(struct bytes *out, unsigned minor, struct slice names,
                                uint32_t count)
{
    size_t begin = begin_message(out, WIRE_NEGOTIATE_PROTOCOL_VERSION);

    add_u32(out, PROTOCOL_3 | minor);
    add_u32(out, count);
    add_slice(out, names);
    end_message(out, begin);
}

void wire_add_parameter_status(struct bytes *out, const char *name, const char *value)
{
    size_t begin = begin_message(out, WIRE_PARAMETER_STATUS);

    add_text(out, name);
    add_text(out, value);
    end_message(out, begin);
}

void wire_add_notification(struct bytes *out, uint32_t pid, const char *channel,
                           const char *payload)
{
    size_t begin = begin_message(out, WIRE_NOTIFICATION_RESPONSE);

    add_u32(out, pid);
    add_text(out, channel);
    add_text(out, payload);
    end_message(out, begin);
}

void wire_add_backend_key(struct bytes *out, uint32_t pid, struct slice key)
{
    size_t begin = begin_message(out, WIRE_BACKEND_KEY_DATA);

    ASSERT(key.length >= WIRE_KEY_LEAST && key.length <= WIRE_KEY_MOST);
    add_u32(out, pid);
    add_slice(out, key);
    end_message(out, begin);
}

void wire_add_ready_for_query(struct bytes *out, char status)
{
    size_t begin = begin_message(out, WIRE_READY_FOR_QUERY);

    add_u8(out, (uint8_t)status);
    end_message(out, begin);
}

/* ---- to clients: rows -------------------------------------------------------------------- */

static uint16_t size_of_type(enum wire_type type)
{
    switch (type) {
    case WIRE_INT4:
        return 4;
    case WIRE_INT8:
        return 8;
    case WIRE_BYTEA:
    case WIRE_TEXT:
    case WIRE_NUMERIC:
        break;
    }
    return UINT16_MAX; /* -1: of any size */
}

void wire_add_row_description(struct bytes *out, const struct wire_column *columns, uint16_t count)
{
    size_t begin = begin_message(out, WIRE_ROW_DESCRIPTION);

    add_u16(out, count);
    for (uint16_t i = 0; i < count; i++) {
        add_text(out, columns[i].name);
        add_u32(out, 0); /* of no table */
        add_u16(out, 0); /* and no column of one */
        add_u32(out, columns[i].type);
        add_u16(out, size_of_type(columns[i].type));
        add_u32(out, UINT32_MAX); /* -1: no type modifier */
        add_u16(out, columns[i].is_binary ? 1 : 0);
    }
    end_message(out, begin);
}

void wire_add_data_row(struct bytes *out, const struct slice *values, uint16_t count)
{
    size_t begin = begin_message(out, WIRE_DATA_ROW);

    add_u16(out, count);
    for (uint16_t i = 0; i < count; i++) {
        add_u32(out, values[i].at != NULL ? (uint32_t)values[i].length : UINT32_MAX);
        add_slice(out, values[i]);
    }
    end_message(out, begin);
}

void wire_add_command_complete(struct bytes *out, const char *tag)
{
    add_text_message(out, WIRE_COMMAND_COMPLETE, tag);
}

void wire_add_no_parameters(struct bytes *out)
{
    size_t begin = begin_message(out, WIRE_PARAMETER_DESCRIPTION);

    add_u16(out, 0);
    end_message(out, begin);
}

/* ---- to servers -------------------------------------------------------------------------- */

void wire_add_query(struct bytes *out, struct slice sql)
{
    size_t begin = begin_message(out, WIRE_QUERY);

    add_slice(out, sql);
    add_u8(out, 0);
    end_message(out, begin);
}

void wire_add_copy_fail(struct bytes *out, const char *reason)
{
    add_text_message(out, WIRE_COPY_FAIL, reason);
}

void wire_add_close(struct bytes *out, char what, struct slice name)
{
    size_t begin = begin_message(out, WIRE_CLOSE);

    add_u8(out, (uint8_t)what);
    add_slice(out, name);
    add_u8(out, 0);
    end_message(out, begin);
}
