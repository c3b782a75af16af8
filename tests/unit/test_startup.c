/* Each row is a packet without its length, and the verdict in words. Every packet is
 * also shown cut at every byte, which must not change a thing. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/postgres/wire.h"
#include "proxy/fronts/postgres/startup.h"

TestSuite(startup, .fini = clean_end);

#define V30     "\0\3\0\0"
#define V32     "\0\3\0\2"
#define CANCEL  "\x04\xd2\x16\x2e"
#define SSL     "\x04\xd2\x16\x2f"
#define GSSENC  "\x04\xd2\x16\x30"
#define ANA     "user\0ana\0"
#define TEN     "0123456789"
#define FIFTY   TEN TEN TEN TEN TEN
#define LAYOUT  "08P01 invalid startup packet layout: expected terminator as last byte"
#define NO_USER "28000 no PostgreSQL user name specified in startup packet"
#define LENGTH  "08P01 invalid length of startup packet"

struct row {
    struct slice rest;
    const char *verdict;
};

#define ROW(rest, verdict)                                                                         \
    {                                                                                              \
        {(const uint8_t *)(rest), sizeof(rest) - 1}, verdict                                       \
    }

static const struct row rows[] = {
    ROW(V30 ANA "\0", "ana to ana, 3.0"),
    ROW(V32 ANA "\0", "ana to ana, 3.2"),
    ROW(V30 ANA "database\0shop\0\0", "ana to shop, 3.0"),
    ROW(V30 "database\0shop\0" ANA "\0", "ana to shop, 3.0"),
    ROW(V30 ANA "database\0\0\0", "ana to ana, 3.0"),
    ROW(V30 "user\0eve\0" ANA "\0", "ana to ana, 3.0"),

    /* settings are kept in their order; an empty value is legal */
    ROW(V30 ANA "application_name\0\0TimeZone\0UTC\0\0",
        "ana to ana, 3.0, application_name= TimeZone=UTC"),
    ROW(V30 "a\0\x31\0" ANA "a\0\x32\0database\0d\0b\0\x33\0\0", "ana to d, 3.0, a=1 a=2 b=3"),
    ROW(V30 ANA "users\0x\0use\0y\0\0", "ana to ana, 3.0, users=x use=y"),
    ROW(V30 ANA "replication\0database\0\0", "ana to ana, 3.0, replicates database"),

    /* versions */
    ROW("\0\3\0\1" ANA "\0", "ana to ana, 3.0"),
    ROW("\0\3\0\3" ANA "\0", "ana to ana, 3.2, told 3.2 without"),
    ROW("\0\3\x27\x0f" ANA "\0", "ana to ana, 3.2, told 3.2 without"),
    ROW(V30 ANA "_pq_.x\0on\0\0", "ana to ana, 3.0, told 3.0 without _pq_.x"),
    ROW(V32 "_pq_.a\0\0" ANA "_pq_.\0z\0b\0c\0\0",
        "ana to ana, 3.2, b=c, told 3.2 without _pq_.a _pq_."),
    ROW("\0\3\x27\x0f" ANA "_pq_.g\0\0\0", "ana to ana, 3.2, told 3.2 without _pq_.g"),
    ROW(V30 ANA "_pq.x\0y\0\0", "ana to ana, 3.0, _pq.x=y"),
    ROW("\0\2\0\0" ANA "\0", "0A000 unsupported frontend protocol 2.0: server supports 3.0 to 3.2"),
    ROW("\0\4\0\0" ANA "\0", "0A000 unsupported frontend protocol 4.0: server supports 3.0 to 3.2"),
    ROW("\0\0\0\0", "0A000 unsupported frontend protocol 0.0: server supports 3.0 to 3.2"),

    /* who, and where to */
    ROW(V30 "\0", NO_USER),
    ROW(V30 "user\0\0\0", NO_USER),
    ROW(V30 "database\0shop\0\0", NO_USER),
    ROW(V30 "user\0" FIFTY FIFTY TEN TEN "1234567\0database\0d\0\0",
        FIFTY FIFTY TEN TEN "1234567 to d, 3.0"),
    ROW(V30 "user\0" FIFTY FIFTY TEN TEN "12345678\0database\0d\0\0",
        "28000 user name is longer than 127 bytes"),
    ROW(V30 ANA "database\0" FIFTY TEN "123\0\0", "ana to " FIFTY TEN "123, 3.0"),
    ROW(V30 ANA "database\0" FIFTY TEN "1234\0\0", "3D000 database name is longer than 63 bytes"),
    ROW(V30 "user\0" FIFTY TEN "1234\0\0", "3D000 database name is longer than 63 bytes"),

    /* layout */
    ROW(V30, LAYOUT),
    ROW(V30 ANA, LAYOUT),
    ROW(V30 ANA "\0\0", LAYOUT),
    ROW(V30 ANA "\0x", LAYOUT),
    ROW(V30 ANA "x", LAYOUT),
    ROW(V30 ANA "x\0", LAYOUT),
    ROW(V30 ANA "x\0y", LAYOUT),
    ROW(V30 ANA "x\0\0", LAYOUT),
    ROW(V30 "user\0ana", LAYOUT),

    /* requests */
    ROW(SSL, "ssl"),
    ROW(GSSENC, "gssenc"),
    ROW(SSL "\0", "08P01 invalid length of SSL request"),
    ROW(GSSENC "\0", "08P01 invalid length of GSSAPI encryption request"),
    ROW(CANCEL "\1\2\3\4keys", "cancel 16909060 with 4 bytes"),
    ROW(CANCEL "\0\0\0\1" FIFTY FIFTY FIFTY FIFTY FIFTY "123456", "cancel 1 with 256 bytes"),
    ROW(CANCEL "\0\0\0\1" FIFTY FIFTY FIFTY FIFTY FIFTY "1234567",
        "08P01 invalid length of cancel request packet"),
    ROW(CANCEL "\0\0\0\1key", "08P01 invalid length of cancel request packet"),
    ROW(CANCEL, "08P01 invalid length of cancel request packet"),
};

/* ---- a verdict in words ------------------------------------------------------------------ */

static void tell_login(const struct startup *s, struct bytes *to)
{
    struct slice rest = s->parameters, name, value;
    const char *before = ", ";
    struct bytes told = {0};

    bytes_print(to, "%.*s to %.*s, 3.%u", (int)s->user.length, (const char *)s->user.at,
                (int)s->database.length, (const char *)s->database.at, s->minor);
    for (; startup_next_parameter(&rest, &name, &value); before = " ")
        bytes_print(to, "%s%s=%s", before, (const char *)name.at, (const char *)value.at);
    if (s->replication.at != NULL)
        bytes_print(to, ", replicates %s", (const char *)s->replication.at);
    startup_add_negotiation(s, &told);
    if (told.length > 0)
        bytes_print(to, ", told %u.%u without", told.at[6], told.at[8]);
    for (size_t at = 13; at < told.length; at += strlen((char *)told.at + at) + 1)
        bytes_print(to, " %s", (char *)told.at + at);
    bytes_free(&told);
}

static void tell(struct slice in, struct bytes *to)
{
    struct startup s;

    bytes_clear(to);
    switch (startup_read(in, &s)) {
    case STARTUP_MORE:
        bytes_print(to, "more");
        break;
    case STARTUP_SSL:
        bytes_print(to, "ssl");
        break;
    case STARTUP_GSSENC:
        bytes_print(to, "gssenc");
        break;
    case STARTUP_CANCEL:
        bytes_print(to, "cancel %u with %zu bytes", s.pid, s.key.length);
        break;
    case STARTUP_LOGIN:
        tell_login(&s, to);
        break;
    case STARTUP_BAD:
        bytes_print(to, "%s %s", err_sqlstate(s.why), s.reason);
        break;
    }
}

/* Memory of its own for each length, so that the sanitizer sees a byte read too far. */
static void verdict_on(struct slice in, size_t length, const char *expected)
{
    uint8_t *copy = malloc(length ? length : 1);
    struct bytes told = {0};

    if (length > 0)
        memcpy(copy, in.at, length);
    tell((struct slice){copy, length}, &told);
    cr_assert_str_eq((char *)told.at, expected, "%zu of %zu bytes: \"%s\", not \"%s\"", length,
                     in.length, (char *)told.at, expected);
    bytes_free(&told);
    free(copy);
}

static struct bytes packet_of(struct slice rest)
{
    struct bytes packet = {0};

    bytes_put_u32(bytes_extend(&packet, 4), (uint32_t)rest.length + 4);
    bytes_add(&packet, rest.at, rest.length);
    return packet;
}

Test(startup, every_packet_has_its_verdict_however_it_is_cut)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bytes packet = packet_of(rows[i].rest);
        struct slice in = {packet.at, packet.length};

        for (size_t length = 0; length < in.length; length++)
            verdict_on(in, length, "more");
        verdict_on(in, in.length, rows[i].verdict);
        bytes_free(&packet);
    }
}

static const struct row strangers[] = {
    ROW("\x16\3\1\2\0\1\0",
        "08P01 TLS without an SSLRequest is not supported: use sslnegotiation=postgres"),
    ROW("GET / HTTP/1.1\r\n",
        "08P01 invalid length of startup packet: is this HTTP? PostgreSQL is spoken here"),
    ROW("\x80\0\0\x08", LENGTH),
    ROW("*1\r\n$4\r\nPING\r\n", LENGTH),
    ROW("\xff\xff\xff\xff", LENGTH),
};

Test(startup, a_stranger_is_known_by_its_first_byte)
{
    for (size_t i = 0; i < COUNT_OF(strangers); i++)
        for (size_t length = 1; length <= strangers[i].rest.length; length++)
            verdict_on(strangers[i].rest, length, strangers[i].verdict);
}

Test(startup, lengths_are_those_that_postgres_allows)
{
    verdict_on(SLICE("\0\0\0\0"), 4, LENGTH);
    verdict_on(SLICE("\0\0\0\7"), 4, LENGTH);
    verdict_on(SLICE("\0\0\0\x08"), 4, "more");
    verdict_on(SLICE("\0\0\x27\x14"), 4, "more"); /* 10004 */
    verdict_on(SLICE("\0\0\x27\x15"), 4, LENGTH);
    verdict_on(SLICE("\0\1\0\0"), 4, LENGTH);
}

Test(startup, nothing_may_follow_a_request_to_encrypt)
{
    verdict_on(SLICE("\0\0\0\x08" SSL "Q"), 9, "08P01 received unencrypted data after SSL request");
    verdict_on(SLICE("\0\0\0\x08" GSSENC "Q"), 9,
               "08P01 received unencrypted data after GSSAPI encryption request");
}

Test(startup, what_follows_a_login_is_not_looked_at)
{
    struct slice in = SLICE("\0\0\0\x12" V30 ANA "\0p\0\0\0\5");
    struct startup s;

    cr_assert_eq(startup_read(in, &s), STARTUP_LOGIN);
    cr_assert_eq(s.length, 0x12);
    cr_assert_not(s.must_negotiate);
}

Test(startup, a_cancel_key_is_lent_from_the_packet)
{
    struct slice in = SLICE("\0\0\0\x10" CANCEL "\0\0\0\7keys");
    struct startup s;

    cr_assert_eq(startup_read(in, &s), STARTUP_CANCEL);
    cr_assert_eq(s.pid, 7);
    cr_assert_eq(s.key.length, WIRE_KEY_LEAST);
    cr_assert_arr_eq(s.key.at, "keys", 4);
}

/* ---- replication ------------------------------------------------------------------------- */

static enum startup_replication what_is(const char *value)
{
    struct startup s = {0};

    if (value != NULL)
        s.replication = (struct slice){(const uint8_t *)value, strlen(value)};
    return startup_replication(&s);
}

Test(startup, replication_is_a_boolean_as_postgresql_reads_them_or_a_database)
{
    static const struct {
        const char *value;
        enum startup_replication expected;
    } values[] = {
        {NULL, STARTUP_NO_REPLICATION},
        {"database", STARTUP_LOGICAL},
        {"true", STARTUP_PHYSICAL},
        {"on", STARTUP_PHYSICAL},
        {"yes", STARTUP_PHYSICAL},
        {"1", STARTUP_PHYSICAL},
        {"t", STARTUP_PHYSICAL},
        {"TRUE", STARTUP_PHYSICAL},
        {"Y", STARTUP_PHYSICAL},
        {"false", STARTUP_NO_REPLICATION},
        {"off", STARTUP_NO_REPLICATION},
        {"of", STARTUP_NO_REPLICATION},
        {"no", STARTUP_NO_REPLICATION},
        {"0", STARTUP_NO_REPLICATION},
        {"f", STARTUP_NO_REPLICATION},
        {"", STARTUP_BAD_REPLICATION},
        {"o", STARTUP_BAD_REPLICATION},
        {"01", STARTUP_BAD_REPLICATION},
        {"truest", STARTUP_BAD_REPLICATION},
        {"Database", STARTUP_BAD_REPLICATION},
        {"databas", STARTUP_BAD_REPLICATION},
        {" on", STARTUP_BAD_REPLICATION},
    };

    for (size_t i = 0; i < COUNT_OF(values); i++)
        cr_assert_eq(what_is(values[i].value), values[i].expected, "%s", values[i].value);
}

static void options_of(struct slice parameters, const char *expected)
{
    struct bytes options = {0};

    startup_add_options(parameters, &options);
    bytes_add(&options, "", 1);
    cr_assert_not(options.failed);
    cr_assert_str_eq((char *)options.at, expected);
    bytes_free(&options);
}

Test(startup, what_a_client_asks_for_becomes_options_of_its_own_server)
{
    options_of(SLICE(ANA "database\0d\0replication\0true\0\0"), "");
    options_of(SLICE(ANA "application_name\0x\0client_encoding\0y\0_pq_.z\0\x31\0\0"), "");
    options_of(SLICE(ANA "geqo\0off\0DateStyle\0German, DMY\0\0"),
               "-c geqo=off -c DateStyle=German,\\ DMY");
    options_of(SLICE("search_path\0\0options\0-c a=b --c=d\0" ANA "\0"),
               "-c a=b --c=d -c search_path=");
}

/* The server's backslash takes any byte as it is: no value ends its option early. */
Test(startup, no_value_becomes_an_option_of_its_own)
{
    options_of(SLICE("a\0b -c\\\tc\n=d\0\0"), "-c a=b\\ -c\\\\\\\tc\\\n=d");
    options_of(SLICE("a -c b\0c\0\0"), "-c a\\ -c\\ b=c");
}

Test(startup, the_last_of_several_values_counts)
{
    struct slice parameters = SLICE("a\0\x31\0b\0\x32\0a\0\x33\0\0");

    cr_assert_str_eq((const char *)startup_value(parameters, "a").at, "3");
    cr_assert_str_eq((const char *)startup_value(parameters, "b").at, "2");
    cr_assert_null(startup_value(parameters, "c").at);
}
