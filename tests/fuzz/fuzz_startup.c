/*
 * Any bytes as a first packet. A third is left as it is, a third gets the right length, and
 * a third is made to look like a login. Whatever is lent lies in the packet, names are within
 * their limits, and a piece of the packet never says more than the whole. As options each setting
 * is one argument for the server, whatever it holds.
 */
#include "fuzz.h"

#include <ctype.h>
#include <string.h>

#include "proxy/fronts/postgres/startup.h"

enum { LONGEST = 1024 };

static bool lies_in(struct slice part, struct slice whole)
{
    return part.at >= whole.at && part.at + part.length <= whole.at + whole.length;
}

/* As the server splits them (pg_split_opts). */
static size_t count_arguments(struct slice options)
{
    size_t count = 0, i = 0;

    while (i < options.length) {
        while (i < options.length && isspace(options.at[i]))
            i++;
        count += i < options.length;
        for (; i < options.length && !isspace(options.at[i]); i++)
            i += options.at[i] == '\\' && i + 1 < options.length;
    }
    return count;
}

static void check_options(const struct startup *s)
{
    struct slice rest = s->parameters, own = startup_value(rest, "options"), name, value;
    struct bytes options = {0};
    size_t expected = 0;

    while (startup_next_parameter(&rest, &name, &value))
        expected += strcmp((const char *)name.at, "options") != 0 &&
                    strcmp((const char *)name.at, "application_name") != 0 &&
                    strcmp((const char *)name.at, "client_encoding") != 0;
    startup_add_options(s->parameters, &options);
    REQUIRE(own.at != NULL ||
            count_arguments((struct slice){options.at, options.length}) == 2 * expected);
    bytes_free(&options);
    REQUIRE(startup_replication(s) != STARTUP_NO_REPLICATION || s->replication.length < 6);
}

static void check_login(const struct startup *s, struct slice in)
{
    struct slice rest = s->parameters, name, value;
    struct bytes told = {0};

    REQUIRE(lies_in(s->user, in) && lies_in(s->database, in));
    REQUIRE(s->user.length > 0 && s->user.length <= STARTUP_USER_MOST);
    REQUIRE(s->database.length > 0 && s->database.length <= STARTUP_DATABASE_MOST);
    while (startup_next_parameter(&rest, &name, &value))
        REQUIRE(lies_in(name, in) && lies_in(value, in) && name.length > 0);
    check_options(s);
    startup_add_negotiation(s, &told);
    REQUIRE(s->must_negotiate == (told.length > 0));
    bytes_free(&told);
}

/* A packet of version 3.0 with the user a; a quarter of the other bytes ends a text. */
static void make_likely(uint8_t *packet, size_t length)
{
    static const uint8_t begin[] = "\0\3\0\0user\0a";

    for (size_t i = 8; i < length; i++)
        packet[i] = packet[i] % 4 ? packet[i] : '\0';
    if (length >= 4 + sizeof(begin))
        memcpy(packet + 4, begin, sizeof(begin));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t packet[LONGEST] = {0};
    struct slice in = {packet, size < LONGEST ? size : LONGEST};
    struct startup s;
    enum startup_kind kind;

    if (size > 0)
        memcpy(packet, data, in.length);
    if (in.length >= 8 && data[0] % 3 > 0)
        bytes_put_u32(packet, (uint32_t)in.length);
    if (in.length >= 8 && data[0] % 3 > 1)
        make_likely(packet, in.length);
    kind = startup_read(in, &s);
    if (kind == STARTUP_LOGIN)
        check_login(&s, in);
    REQUIRE(kind != STARTUP_CANCEL || lies_in(s.key, in));
    REQUIRE(kind != STARTUP_BAD || (s.why != ERR_OK && s.reason[0] != '\0'));
    REQUIRE(kind == STARTUP_BAD || kind == STARTUP_MORE || s.length <= in.length);
    return 0;
}
