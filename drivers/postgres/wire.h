/*
 * drivers/postgres/wire.h - PostgreSQL's messages: their letters, their heads, and those
 * weir says itself.
 *
 *      switch (wire_header(in, &header)) {          the head of what came...
 *      case WIRE_MORE:     come back with more bytes
 *      case WIRE_BROKEN:   this is no PostgreSQL: close
 *      case WIRE_MESSAGE:  header.type, header.length
 *      }
 *
 *      wire_add_parameter_status(&out, "server_version", "17.2");       ...and an answer
 *      wire_add_ready_for_query(&out, 'I');
 *      if (out.failed) ...
 *
 * Every message after a connection's first has this form; length counts itself but not
 * the type. What struct wire_header calls length counts all of it: the bytes to pass on.
 *
 *      | type 1 | length 4 | body length - 4 |
 *
 * Most of what goes through weir is passed on as it came; builders are for what weir
 * says on its own account. They add to bytes and fail with them (base/bytes.h). Texts
 * end at their first NUL on the wire, so a slice given as a text must not contain one.
 *
 * PostgreSQL manual, 55.7 "Message Formats" and 55.8 "Error and Notice Message Fields".
 */
#ifndef DRIVERS_POSTGRES_WIRE_H
#define DRIVERS_POSTGRES_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"

/* What a frontend says. The same letter may mean another thing from the other side. */
enum {
    WIRE_BIND = 'B',
    WIRE_CLOSE = 'C',
    WIRE_COPY_FAIL = 'f',
    WIRE_DESCRIBE = 'D',
    WIRE_EXECUTE = 'E',
    WIRE_FLUSH = 'H',
    WIRE_FUNCTION_CALL = 'F',
    WIRE_PARSE = 'P',
    WIRE_PASSWORD = 'p', /* and every other answer to an authentication request */
    WIRE_QUERY = 'Q',
    WIRE_SYNC = 'S',
    WIRE_TERMINATE = 'X',
};

/* What a backend says. */
enum {
    WIRE_AUTHENTICATION = 'R',
    WIRE_BACKEND_KEY_DATA = 'K',
    WIRE_BIND_COMPLETE = '2',
    WIRE_CLOSE_COMPLETE = '3',
    WIRE_COMMAND_COMPLETE = 'C',
    WIRE_COPY_BOTH_RESPONSE = 'W',
    WIRE_COPY_IN_RESPONSE = 'G',
    WIRE_COPY_OUT_RESPONSE = 'H',
    WIRE_DATA_ROW = 'D',
    WIRE_EMPTY_QUERY_RESPONSE = 'I',
    WIRE_ERROR_RESPONSE = 'E',
    WIRE_FUNCTION_CALL_RESPONSE = 'V',
    WIRE_NEGOTIATE_PROTOCOL_VERSION = 'v',
    WIRE_NO_DATA = 'n',
    WIRE_NOTICE_RESPONSE = 'N',
    WIRE_NOTIFICATION_RESPONSE = 'A',
    WIRE_PARAMETER_DESCRIPTION = 't',
    WIRE_PARAMETER_STATUS = 'S',
    WIRE_PARSE_COMPLETE = '1',
    WIRE_PORTAL_SUSPENDED = 's',
    WIRE_READY_FOR_QUERY = 'Z',
    WIRE_ROW_DESCRIPTION = 'T',
};

/* What both say. */
enum {
    WIRE_COPY_DATA = 'd',
    WIRE_COPY_DONE = 'c',
};

enum {
    WIRE_HEADER_SIZE = 5,
    WIRE_KEY_LEAST = 4, /* of a cancel key: exactly this before protocol 3.2 */
    WIRE_KEY_MOST = 256,
};

/* ---- reading ----------------------------------------------------------------------------- */

enum wire_sight {
    WIRE_MORE,    /* fewer bytes than a header has */
    WIRE_MESSAGE, /* a header; its body need not be here yet */
    WIRE_BROKEN,  /* a length that no message can have */
};

struct wire_header {
    uint8_t type;
    uint32_t length; /* of the whole message, from its type to its end */
};

enum wire_sight wire_header(struct slice in, struct wire_header *header) MUST_CHECK;

/* A field of an ErrorResponse's or NoticeResponse's body: 'V' severity, 'C' SQLSTATE,
 * 'M' message and so on; the localised 'S' is not for comparing. Lent from body; at is
 * NULL when there is no such field. */
struct slice wire_error_field(struct slice body, char field) MUST_CHECK;

/* The value of a row that has one, from a DataRow's body. */
bool wire_only_cell(struct slice body, struct slice *cell) MUST_CHECK;

/* ---- to either side ---------------------------------------------------------------------- */

/* A message that is nothing but its type: Sync, Flush, Terminate, CopyDone;
 * ParseComplete, BindComplete, CloseComplete, NoData, EmptyQueryResponse. */
void wire_add_bare(struct bytes *out, uint8_t type);

/* ---- to clients -------------------------------------------------------------------------- */

struct wire_error {
    const char *severity;      /* "FATAL", "ERROR"; for notices "WARNING", "NOTICE" */
    const char *code;          /* SQLSTATE */
    const char *message;       /* what a person reads */
    const char *detail, *hint; /* may be NULL */
};

void wire_add_error(struct bytes *out, const struct wire_error *error);
void wire_add_notice(struct bytes *out, const struct wire_error *notice);

void wire_add_auth_ok(struct bytes *out);
void wire_add_auth_cleartext(struct bytes *out);
void wire_add_auth_md5(struct bytes *out, const uint8_t salt[4]);
void wire_add_auth_sasl(struct bytes *out, const char *const *mechanisms, size_t count);
void wire_add_auth_sasl_continue(struct bytes *out, struct slice data);
void wire_add_auth_sasl_final(struct bytes *out, struct slice data);

/* names are count unknown options, each with the NUL that ends it. The manual calls the
 * number a minor version; PostgreSQL sends, and libpq expects, the whole 3.minor. */
void wire_add_negotiate_version(struct bytes *out, unsigned minor, struct slice names,
                                uint32_t count);

void wire_add_parameter_status(struct bytes *out, const char *name, const char *value);
void wire_add_backend_key(struct bytes *out, uint32_t pid, struct slice key);
/* status: 'I' idle, 'T' in a transaction, 'E' in one that has failed. */
void wire_add_ready_for_query(struct bytes *out, char status);

void wire_add_notification(struct bytes *out, uint32_t pid, const char *channel,
                           const char *payload);

/* Rows of our own. A value whose at is NULL is SQL's NULL. */
enum wire_type {
    WIRE_BYTEA = 17,
    WIRE_INT8 = 20,
    WIRE_INT4 = 23,
    WIRE_TEXT = 25,
    WIRE_NUMERIC = 1700,
};

struct wire_column {
    const char *name;
    enum wire_type type;
    bool is_binary;
};

void wire_add_row_description(struct bytes *out, const struct wire_column *columns, uint16_t count);
void wire_add_data_row(struct bytes *out, const struct slice *values, uint16_t count);
void wire_add_command_complete(struct bytes *out, const char *tag);
/* Of a statement that takes no parameters. */
void wire_add_no_parameters(struct bytes *out);

/* ---- to servers -------------------------------------------------------------------------- */

void wire_add_query(struct bytes *out, struct slice sql);
void wire_add_copy_fail(struct bytes *out, const char *reason);
/* what: 'S' a prepared statement, 'P' a portal. */
void wire_add_close(struct bytes *out, char what, struct slice name);

#endif
