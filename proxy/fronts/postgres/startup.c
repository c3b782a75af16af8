#include "proxy/fronts/postgres/startup.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "drivers/postgres/wire.h"

enum {
    HEAD_SIZE = 8,         /* length and number */
    CANCEL_HEAD_SIZE = 12, /* and the pid */
    MAJOR = 3,
    TLS_HANDSHAKE = 0x16, /* how a TLS ClientHello begins */
};

#define REQUEST(low) (1234u << 16 | (low))
static const uint32_t cancel_request = REQUEST(5678u);
static const uint32_t ssl_request = REQUEST(5679u);
static const uint32_t gssenc_request = REQUEST(5680u);

PRINTF_LIKE(3, 4)
static enum startup_kind bad(struct startup *startup, enum err why, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(startup->reason, sizeof(startup->reason), format, arguments);
    va_end(arguments);
    startup->why = why;
    return STARTUP_BAD;
}

/* ---- parameters -------------------------------------------------------------------------- */

static bool equals(struct slice a, struct slice b)
{
    return a.length == b.length && memcmp(a.at, b.at, a.length) == 0;
}

static bool is_protocol_option(struct slice name)
{
    struct slice prefix = SLICE("_pq_.");

    return name.length >= prefix.length && memcmp(name.at, prefix.at, prefix.length) == 0;
}

/* Cuts a text off rest, its NUL with it. False if no NUL is there. */
static bool take_text(struct slice *rest, struct slice *text)
{
    const uint8_t *nul = rest->length > 0 ? memchr(rest->at, '\0', rest->length) : NULL;

    if (nul == NULL)
        return false;
    *text = (struct slice){rest->at, (size_t)(nul - rest->at)};
    rest->at += text->length + 1;
    rest->length -= text->length + 1;
    return true;
}

/* Cuts a pair off rest. False at the end, which is an empty name, and where it is broken. */
static bool take_pair(struct slice *rest, struct slice *name, struct slice *value)
{
    struct slice after = *rest, n, v;

    if (!take_text(&after, &n) || n.length == 0 || !take_text(&after, &v))
        return false;
    *rest = after;
    *name = n;
    *value = v;
    return true;
}

/* Where startup keeps the parameter called name; NULL if it is a mere setting. */
static struct slice *place_of(struct startup *startup, struct slice name)
{
    if (equals(name, SLICE("user")))
        return &startup->user;
    if (equals(name, SLICE("database")))
        return &startup->database;
    if (equals(name, SLICE("replication")))
        return &startup->replication;
    return NULL;
}

bool startup_next_parameter(struct slice *rest, struct slice *name, struct slice *value)
{
    struct startup reserved;

    while (take_pair(rest, name, value))
        if (place_of(&reserved, *name) == NULL && !is_protocol_option(*name))
            return true;
    return false;
}

void startup_add_negotiation(const struct startup *startup, struct bytes *out)
{
    struct slice rest = startup->parameters, name, value;
    struct bytes names = {0};

    if (!startup->must_negotiate)
        return;
    while (take_pair(&rest, &name, &value))
        if (is_protocol_option(name))
            bytes_add(&names, name.at, name.length + 1);
    wire_add_negotiate_version(out, startup->minor, (struct slice){names.at, names.length},
                               startup->unknown_options);
    out->failed |= names.failed;
    bytes_free(&names);
}

struct slice startup_value(struct slice parameters, const char *name)
{
    struct slice found = {0}, wanted = {(const uint8_t *)name, strlen(name)}, n, value;

    while (startup_next_parameter(&parameters, &n, &value))
        if (equals(n, wanted))
            found = value;
    return found;
}

/* ---- replication ------------------------------------------------------------------------- */

/* Whether value is the word or the beginning of it, of least bytes at least, as PostgreSQL's
 * parse_bool has it. */
static bool begins(struct slice value, const char *word, size_t least)
{
    return value.length >= least && value.length <= strlen(word) &&
           strncasecmp((const char *)value.at, word, value.length) == 0;
}

enum startup_replication startup_replication(const struct startup *startup)
{
    struct slice value = startup->replication;

    if (value.at == NULL)
        return STARTUP_NO_REPLICATION;
    if (equals(value, SLICE("database")))
        return STARTUP_LOGICAL;
    if (begins(value, "true", 1) || begins(value, "yes", 1) || begins(value, "on", 2) ||
        begins(value, "1", 1))
        return STARTUP_PHYSICAL;
    if (begins(value, "false", 1) || begins(value, "no", 1) || begins(value, "off", 2) ||
        begins(value, "0", 1))
        return STARTUP_NO_REPLICATION;
    return STARTUP_BAD_REPLICATION;
}

/* The server splits options at blanks; a backslash takes the next byte as it is. */
static void add_escaped(struct bytes *options, struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (isspace(text.at[i]) || text.at[i] == '\\')
            bytes_add(options, "\\", 1);
        bytes_add(options, &text.at[i], 1);
    }
}

static void add_option(struct bytes *options, struct slice name, struct slice value)
{
    bytes_print(options, "%s-c ", options->length > 0 ? " " : "");
    add_escaped(options, name);
    bytes_add(options, "=", 1);
    add_escaped(options, value);
}

void startup_add_option(const char *name, const char *value, struct bytes *options)
{
    add_option(options, (struct slice){(const uint8_t *)name, strlen(name)},
               (struct slice){(const uint8_t *)value, strlen(value)});
}

void startup_add_options(struct slice parameters, struct bytes *options)
{
    struct slice own = startup_value(parameters, "options"), name, value;

    if (own.length > 0)
        bytes_print(options, "%s%.*s", options->length > 0 ? " " : "", (int)own.length,
                    (const char *)own.at);
    while (startup_next_parameter(&parameters, &name, &value)) {
        if (equals(name, SLICE("options")) || equals(name, SLICE("application_name")) ||
            equals(name, SLICE("client_encoding")))
            continue;
        add_option(options, name, value);
    }
}

/* ---- the kinds of packets ---------------------------------------------------------------- */

static enum startup_kind check_names(struct startup *startup)
{
    if (startup->user.length == 0)
        return bad(startup, ERR_NO_ENTRY, "no PostgreSQL user name specified in startup packet");
    if (startup->database.length == 0)
        startup->database = startup->user;
    if (startup->user.length > STARTUP_USER_MOST)
        return bad(startup, ERR_NO_ENTRY, "user name is longer than %d bytes", STARTUP_USER_MOST);
    if (startup->database.length > STARTUP_DATABASE_MOST)
        return bad(startup, ERR_NO_DATABASE, "database name is longer than %d bytes",
                   STARTUP_DATABASE_MOST);
    return STARTUP_LOGIN;
}

static enum startup_kind read_login(uint32_t version, struct slice body, struct startup *startup)
{
    unsigned major = version >> 16, minor = version & 0xffff;
    struct slice rest = body, name, value, *place;

    if (major != MAJOR)
        return bad(startup, ERR_NOT_SUPPORTED,
                   "unsupported frontend protocol %u.%u: server supports %d.0 to %d.%d", major,
                   minor, MAJOR, MAJOR, STARTUP_NEWEST_MINOR);
    startup->minor = minor >= STARTUP_NEWEST_MINOR ? STARTUP_NEWEST_MINOR : 0;
    startup->parameters = body;
    while (take_pair(&rest, &name, &value)) {
        startup->unknown_options += is_protocol_option(name);
        if ((place = place_of(startup, name)) != NULL)
            *place = value;
    }
    if (rest.length != 1 || rest.at[0] != '\0')
        return bad(startup, ERR_PROTOCOL,
                   "invalid startup packet layout: expected terminator as last byte");
    startup->must_negotiate = minor > STARTUP_NEWEST_MINOR || startup->unknown_options > 0;
    return check_names(startup);
}

static enum startup_kind read_cancel(struct slice packet, struct startup *startup)
{
    if (packet.length < CANCEL_HEAD_SIZE + WIRE_KEY_LEAST ||
        packet.length > CANCEL_HEAD_SIZE + WIRE_KEY_MOST)
        return bad(startup, ERR_PROTOCOL, "invalid length of cancel request packet");
    startup->pid = bytes_u32(packet.at + HEAD_SIZE);
    startup->key = (struct slice){packet.at + CANCEL_HEAD_SIZE, packet.length - CANCEL_HEAD_SIZE};
    return STARTUP_CANCEL;
}

static enum startup_kind read_encryption(enum startup_kind kind, struct slice in,
                                         struct startup *startup)
{
    const char *name = kind == STARTUP_SSL ? "SSL" : "GSSAPI encryption";

    if (startup->length != HEAD_SIZE)
        return bad(startup, ERR_PROTOCOL, "invalid length of %s request", name);
    if (in.length > startup->length)
        return bad(startup, ERR_PROTOCOL, "received unencrypted data after %s request", name);
    return kind;
}

/* A length has two zero bytes in front, so the first byte tells who is at the wrong door. */
static enum startup_kind read_stranger(uint8_t first, struct startup *startup)
{
    if (first == TLS_HANDSHAKE)
        return bad(startup, ERR_PROTOCOL,
                   "TLS without an SSLRequest is not supported: use sslnegotiation=postgres");
    if (isupper(first))
        return bad(startup, ERR_PROTOCOL,
                   "invalid length of startup packet: is this HTTP? PostgreSQL is spoken here");
    return bad(startup, ERR_PROTOCOL, "invalid length of startup packet");
}

enum startup_kind startup_read(struct slice in, struct startup *startup)
{
    uint32_t number;

    *startup = (struct startup){0};
    if (in.length > 0 && in.at[0] != 0)
        return read_stranger(in.at[0], startup);
    if (in.length < sizeof(uint32_t))
        return STARTUP_MORE;
    startup->length = bytes_u32(in.at);
    if (startup->length < HEAD_SIZE || startup->length > STARTUP_LENGTH_MOST)
        return bad(startup, ERR_PROTOCOL, "invalid length of startup packet");
    if (in.length < startup->length)
        return STARTUP_MORE;

    number = bytes_u32(in.at + sizeof(uint32_t));
    if (number == ssl_request)
        return read_encryption(STARTUP_SSL, in, startup);
    if (number == gssenc_request)
        return read_encryption(STARTUP_GSSENC, in, startup);
    if (number == cancel_request)
        return read_cancel((struct slice){in.at, startup->length}, startup);
    return read_login(number, (struct slice){in.at + HEAD_SIZE, startup->length - HEAD_SIZE},
                      startup);
}
