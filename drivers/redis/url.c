#include "drivers/redis/url.h"

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "base/bytes.h"

enum {
    STANDARD_PORT = 6379,
    MOST_PATH = sizeof(((struct sockaddr_un *)0)->sun_path) - 1,
};

/* A piece of the text. */
struct part {
    const char *at;
    size_t length;
};

struct reading {
    struct url *url;
    char *why;
    size_t size;
    enum err e;           /* the first that went wrong */
    unsigned options;     /* that were given: bits, by place in the table */
    bool has_database;    /* by /db or ?db= */
    bool may_be_password; /* what stood alone before the @ */
};

/* ---- complaining ------------------------------------------------------------------------- */

static void fail(struct reading *reading, enum err e, const char *why)
{
    if (reading->e != ERR_OK)
        return;
    reading->e = e;
    snprintf(reading->why, reading->size, "%s", why);
}

static void complain(struct reading *reading, const char *why)
{
    fail(reading, ERR_CONFIG, why);
}

static void complain_of(struct reading *reading, const char *name, const char *why)
{
    char text[URL_WHY];

    snprintf(text, sizeof(text), "%s: %s", name, why);
    complain(reading, text);
}

/* ---- pieces ------------------------------------------------------------------------------ */

static struct part part_of(const char *from, const char *to)
{
    return (struct part){from, (size_t)(to - from)};
}

static const char *find(struct part part, char c)
{
    return part.length > 0 ? memchr(part.at, c, part.length) : NULL;
}

static bool is(struct part part, const char *word)
{
    return part.length == strlen(word) && strncasecmp(part.at, word, part.length) == 0;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One character of part, which gets shorter by it; -1 for none that could be meant. */
static int take_character(struct part *part)
{
    int high, low, c = (unsigned char)part->at[0];
    size_t used = 1;

    if (c == '%') {
        high = part->length > 2 ? hex(part->at[1]) : -1;
        low = part->length > 2 ? hex(part->at[2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return -1;
        c = high * 16 + low;
        used = 3;
    }
    part->at += used;
    part->length -= used;
    return c;
}

/* Gives the part decoded; NULL after a complaint. */
static char *decode(struct reading *reading, struct part part)
{
    char *text = malloc(part.length + 1), *end = text;
    int c;

    if (text == NULL) {
        fail(reading, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
        return NULL;
    }
    while (part.length > 0) {
        c = take_character(&part);
        if (c < 0) {
            complain(reading, "a % stands before two hexadecimal digits (not 00); "
                              "for itself it is written %25");
            free(text);
            return NULL;
        }
        *end++ = (char)c;
    }
    *end = '\0';
    return text;
}

/* Returns most + 1 for what is no number, or a larger one. */
static unsigned long number(struct part digits, unsigned long most)
{
    unsigned long value = 0;

    if (digits.length == 0)
        return most + 1;
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9')
            return most + 1;
        value = value * 10 + (unsigned long)(digits.at[i] - '0');
        if (value > most)
            return most + 1;
    }
    return value;
}

/* ---- options ----------------------------------------------------------------------------- */

enum kind {
    TEXT,
    FILE_NAME,
    FLAG,
    FLAG_INVERTED,
    REQUIREMENT, /* of redis-py: none, optional, required */
    DATABASE,
};

struct option {
    const char *name;
    size_t at; /* in struct url */
    enum kind kind;
    bool of_tls;
};

#define AT(field) offsetof(struct url, field)

static const struct option options[] = {
    {"db", AT(database), DATABASE, false},
    {"user", AT(user), TEXT, false},
    {"username", AT(user), TEXT, false},
    {"password", AT(password), TEXT, false},
    {"cacert", AT(cacert), FILE_NAME, true},
    {"ssl_ca_certs", AT(cacert), FILE_NAME, true},
    {"cacertdir", AT(cacertdir), FILE_NAME, true},
    {"ssl_ca_path", AT(cacertdir), FILE_NAME, true},
    {"cert", AT(cert), FILE_NAME, true},
    {"ssl_certfile", AT(cert), FILE_NAME, true},
    {"key", AT(key), FILE_NAME, true},
    {"ssl_keyfile", AT(key), FILE_NAME, true},
    {"sni", AT(sni), FILE_NAME, true},
    {"insecure", AT(insecure), FLAG, true},
    {"ssl_cert_reqs", AT(insecure), REQUIREMENT, true},
    {"ssl_check_hostname", AT(any_name), FLAG_INVERTED, true},
};

static void set_text(struct reading *reading, const struct option *option, char *text)
{
    char **field = (char **)(void *)((char *)reading->url + option->at);

    if (option->kind == FILE_NAME && text[0] == '\0')
        complain_of(reading, option->name, "nothing comes after it");
    if (*field != NULL)
        complain_of(reading, option->name, "given twice");
    free(*field);
    *field = text;
}

static void set_flag(struct reading *reading, const struct option *option, struct part value)
{
    bool *field = (bool *)(void *)((char *)reading->url + option->at);
    bool yes = is(value, "true") || is(value, "yes") || is(value, "on") || is(value, "1") ||
               value.length == 0;

    if (!yes && !is(value, "false") && !is(value, "no") && !is(value, "off") && !is(value, "0"))
        complain_of(reading, option->name, "neither true nor false");
    *field = yes != (option->kind == FLAG_INVERTED);
}

/* For a client, optional is required: a server always shows a certificate. */
static void set_requirement(struct reading *reading, const struct option *option, struct part value)
{
    if (!is(value, "none") && !is(value, "optional") && !is(value, "required"))
        complain_of(reading, option->name, "neither none nor required");
    reading->url->insecure = is(value, "none");
}

static void set_database(struct reading *reading, struct part digits)
{
    unsigned long database = number(digits, INT_MAX);

    if (database > INT_MAX)
        complain(reading, "the db is no number");
    else if (reading->has_database && reading->url->database != (int)database)
        complain(reading, "the db is given twice");
    else
        reading->url->database = (int)database;
    reading->has_database = true;
}

static void set_option(struct reading *reading, const struct option *option, struct part value)
{
    char *text = decode(reading, value);
    struct part decoded = {text, text != NULL ? strlen(text) : 0};

    if (text == NULL)
        return;
    if (option->kind == TEXT || option->kind == FILE_NAME) {
        set_text(reading, option, text);
        return;
    }
    if (option->kind == DATABASE)
        set_database(reading, decoded);
    else if (option->kind == REQUIREMENT)
        set_requirement(reading, option, decoded);
    else
        set_flag(reading, option, decoded);
    free(text);
}

static void complain_of_name(struct reading *reading, struct part name)
{
    char text[URL_WHY];

    for (size_t i = 0; i < name.length; i++)
        if (find((struct part){"abcdefghijklmnopqrstuvwxyz_", 27}, name.at[i]) == NULL)
            name.length = 0; /* no option looks like that: who knows what it is */
    snprintf(text, sizeof(text), "no option of a URL: \"%.*s\"", (int)name.length, name.at);
    complain(reading,
             name.length > 0 && name.length < 32 ? text : "no option of a URL after the ?");
}

static void read_option(struct reading *reading, struct part text)
{
    const char *sign = find(text, '='), *end = text.at + text.length;
    struct part name = part_of(text.at, sign != NULL ? sign : end);
    size_t i = 0;

    while (i < COUNT_OF(options) && !is(name, options[i].name))
        i++;
    if (i == COUNT_OF(options)) {
        complain_of_name(reading, name);
        return;
    }
    if (reading->options & 1u << i)
        complain_of(reading, options[i].name, "given twice");
    if (options[i].of_tls && !reading->url->tls)
        complain_of(reading, options[i].name, "is for TLS: rediss://");
    reading->options |= 1u << i;
    set_option(reading, &options[i], sign != NULL ? part_of(sign + 1, end) : part_of(end, end));
}

static void read_options(struct reading *reading, struct part query)
{
    const char *at = query.at, *end = query.at + query.length, *next;

    for (; at < end; at = next + 1) {
        next = find(part_of(at, end), '&');
        if (next == NULL)
            next = end;
        if (next > at)
            read_option(reading, part_of(at, next));
    }
}

/* ---- before the path --------------------------------------------------------------------- */

static void read_user(struct reading *reading, struct part part)
{
    const char *colon = find(part, ':'), *end = part.at + part.length;
    struct url *url = reading->url;

    if (find(part, '@') != NULL) {
        complain(reading, "an @ in a user or password is written %40");
        return;
    }
    reading->may_be_password = colon == NULL && part.length > 0;
    if ((colon == NULL || colon > part.at) && part.length > 0)
        url->user = decode(reading, part_of(part.at, colon != NULL ? colon : end));
    if (colon != NULL && (colon + 1 < end || url->user != NULL))
        url->password = decode(reading, part_of(colon + 1, end));
}

static void read_port(struct reading *reading, struct part digits)
{
    unsigned long port = digits.length > 0 ? number(digits, UINT16_MAX) : STANDARD_PORT;

    if (port == 0 || port > UINT16_MAX)
        complain(reading, "the port is no number from 1 to 65535");
    reading->url->port = (uint16_t)port;
}

/* A zone may follow: fe80::1%25eth0. */
static void check_ip6(struct reading *reading, const char *host)
{
    struct in6_addr ip;
    char text[INET6_ADDRSTRLEN];
    size_t length = strcspn(host, "%");

    snprintf(text, sizeof(text), "%.*s", (int)length, host);
    if (length >= sizeof(text) || inet_pton(AF_INET6, text, &ip) != 1)
        complain(reading, "no IPv6 address is in the brackets");
}

static void read_host(struct reading *reading, struct part part)
{
    const char *end = part.at + part.length, *colon;
    bool brackets = part.length > 0 && part.at[0] == '[';
    const char *closing = brackets ? find(part, ']') : NULL;
    struct part host;

    if (brackets && (closing == NULL || (closing + 1 < end && closing[1] != ':'))) {
        complain(reading, "after [ come an IPv6 address, ] and nothing else but :port");
        return;
    }
    colon = find(part_of(brackets ? closing : part.at, end), ':');
    host = part_of(brackets ? part.at + 1 : part.at, brackets ? closing : colon ? colon : end);
    if (find(part, ',') != NULL)
        complain(reading, "a URL names one server");
    if (colon != NULL && find(part_of(colon + 1, end), ':') != NULL)
        complain(reading, "an IPv6 address stands in brackets: [::1]");
    reading->url->host = decode(reading, host.length > 0 ? host : (struct part){"127.0.0.1", 9});
    if (brackets && reading->url->host != NULL)
        check_ip6(reading, reading->url->host);
    read_port(reading, colon != NULL ? part_of(colon + 1, end) : part_of(end, end));
}

/* ---- the whole --------------------------------------------------------------------------- */

static const struct scheme {
    const char *name;
    bool tls, is_unix;
} schemes[] = {
    {"redis://", false, false},     {"rediss://", true, false},       {"unix://", false, true},
    {"redis+unix://", false, true}, {"redis+socket://", false, true},
};

static const struct scheme *find_scheme(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (strncasecmp(text, schemes[i].name, strlen(schemes[i].name)) == 0)
            return &schemes[i];
    return NULL;
}

static void read_socket(struct reading *reading, struct part host, struct part path)
{
    if (host.length > 0 || path.length < 2) {
        complain(reading, "a Unix socket's path begins with /: unix:///run/redis.sock");
        return;
    }
    reading->url->path = decode(reading, path);
    if (reading->url->path != NULL && strlen(reading->url->path) > MOST_PATH)
        complain(reading, "the path is longer than a Unix socket's may be");
}

static void read_server(struct reading *reading, struct part host, struct part path)
{
    read_host(reading, host);
    if (path.length > 1)
        set_database(reading, part_of(path.at + 1, path.at + path.length));
}

static void check(struct reading *reading)
{
    struct url *url = reading->url;

    if (reading->may_be_password && url->password == NULL)
        complain(reading, "is it a user or a password before the @? "
                          "Write user:password@ or :password@");
    if (url->key != NULL && url->cert == NULL)
        complain(reading, "key: there is no cert that it belongs to");
    if (url->insecure && (url->cacert != NULL || url->cacertdir != NULL))
        complain(reading, "cacert is of no use when any certificate is taken");
}

/* An empty user is none; an empty password goes with a user. */
static void settle_user(struct reading *reading)
{
    struct url *url = reading->url;

    if (url->user != NULL && url->user[0] == '\0') {
        free(url->user);
        url->user = NULL;
    }
    if (url->user == NULL && url->password != NULL && url->password[0] == '\0') {
        free(url->password);
        url->password = NULL;
    }
    if (url->user != NULL && url->password == NULL)
        url->password = decode(reading, (struct part){"", 0});
}

static void read_parts(struct reading *reading, const struct scheme *scheme, struct part rest)
{
    const char *end = rest.at + rest.length, *at = rest.at, *path, *query;

    path = rest.at + strcspn(rest.at, "/?");
    query = path + strcspn(path, "?");
    for (const char *c = rest.at; c < path; c++)
        if (*c == '@')
            at = c;
    if (*at == '@')
        read_user(reading, part_of(rest.at, at++));
    (scheme->is_unix ? read_socket : read_server)(reading, part_of(at, path), part_of(path, query));
    read_options(reading, query < end ? part_of(query + 1, end) : part_of(end, end));
    check(reading);
    settle_user(reading);
    if (reading->e == ERR_CONFIG && !scheme->is_unix && at == rest.at && strchr(path, '@') != NULL)
        snprintf(reading->why, reading->size,
                 "an @ comes after a / or ?: in a user or password these are %%2F and %%3F");
}

static void read_text(struct reading *reading, const char *text)
{
    const struct scheme *scheme = find_scheme(text);

    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            complain(reading, "a blank or control character is written with %, such as %20");
    if (strchr(text, '#') != NULL)
        complain(reading, "a # is written %23");
    if (scheme == NULL)
        complain(reading, "it begins with none of redis://, rediss://, unix://");
    if (reading->e != ERR_OK)
        return;
    text += strlen(scheme->name);
    reading->url->tls = scheme->tls;
    read_parts(reading, scheme, (struct part){text, strlen(text)});
}

enum err url_parse(const char *text, struct url *url, char *why, size_t size)
{
    struct url read = {0};
    struct reading reading = {.url = &read, .why = why, .size = size, .e = ERR_OK};

    read_text(&reading, text);
    if (reading.e != ERR_OK)
        url_free(&read);
    else
        *url = read;
    return reading.e;
}

static const size_t texts[] = {AT(host), AT(path),      AT(user), AT(password), AT(cacert),
                               AT(cert), AT(cacertdir), AT(key),  AT(sni)};

static char **text_at(struct url *url, size_t i)
{
    return (char **)(void *)((char *)url + texts[i]);
}

void url_free(struct url *url)
{
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        free(*text_at(url, i));
    *url = (struct url){0};
}

enum err url_copy(const struct url *from, struct url *url)
{
    struct url copy = *from;
    bool failed = false;

    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        char **text = text_at(&copy, i);

        if (*text != NULL)
            failed |= (*text = strdup(*text)) == NULL;
    }
    if (failed)
        url_free(&copy);
    else
        *url = copy;
    return failed ? ERR_NO_MEMORY : ERR_OK;
}

void url_write(const struct url *url, char *to, size_t size)
{
    bool brackets = url->host != NULL && strchr(url->host, ':') != NULL;

    if (url->path != NULL)
        snprintf(to, size, "unix://%s?db=%d", url->path, url->database);
    else
        snprintf(to, size, "%s://%s%s%s:%u/%d", url->tls ? "rediss" : "redis", brackets ? "[" : "",
                 url->host, brackets ? "]" : "", url->port, url->database);
}
