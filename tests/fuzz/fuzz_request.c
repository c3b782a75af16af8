/*
 * Any bytes: what a request is found to be depends on no piece it came in, nor on what follows;
 * what is passed on in pieces ends at the same byte, and with the same words; an inline request
 * is, as a multibulk, the same request. Requests made here come out as they went in, quoted or
 * not, and are large when they are.
 */
#include <stdlib.h>
#include <string.h>

#include "choices.h"
#include "drivers/redis/request.h"
#include "drivers/redis/resp.h"
#include "fuzz.h"

enum { MOST_REQUESTS = 16, MOST_LENGTH = 24 };

/* ---- one look ---------------------------------------------------------------------------- */

/* What was found, with memory of its own: so that the sanitizer sees a byte read too far. */
struct look {
    enum request_found found;
    struct request request;
    struct bytes scratch;
    uint8_t *in;
};

static void close_look(struct look *look)
{
    bytes_free(&look->scratch);
    free(look->in);
}

static bool lies_within(struct slice arg, const uint8_t *at, size_t length)
{
    return arg.at >= at && arg.at + arg.length <= at + length;
}

static void look_at(struct look *look, struct slice in, bool is_authenticated)
{
    *look = (struct look){.in = malloc(in.length ? in.length : 1)};
    REQUIRE(look->in != NULL);
    if (in.length > 0)
        memcpy(look->in, in.at, in.length);
    look->found = request_read(&look->request, (struct slice){look->in, in.length},
                               is_authenticated, &look->scratch);
    if (look->found == REQUEST_WHOLE || look->found == REQUEST_EMPTY)
        REQUIRE(look->request.length > 0 && look->request.length <= in.length);
    if (look->found == REQUEST_BROKEN)
        REQUIRE(memchr(look->request.error, '\0', REQUEST_ERROR_SIZE) != NULL &&
                strpbrk(look->request.error, "\r\n") == NULL);
    if (look->found != REQUEST_WHOLE && look->found != REQUEST_LARGE)
        return;
    REQUIRE(look->request.shown <= look->request.count);
    if (look->found == REQUEST_WHOLE)
        REQUIRE(look->request.shown == look->request.count ||
                look->request.shown == REQUEST_MOST_ARGS);
    for (uint32_t i = 0; i < look->request.shown; i++)
        REQUIRE(look->request.is_inline
                    ? lies_within(look->request.args[i], look->scratch.at, look->scratch.length)
                    : lies_within(look->request.args[i], look->in, in.length));
}

static void have_same_args(const struct request *a, const struct request *b)
{
    REQUIRE(a->count == b->count && a->shown == b->shown);
    for (uint32_t i = 0; i < a->shown; i++)
        REQUIRE(a->args[i].length == b->args[i].length &&
                (a->args[i].length == 0 ||
                 memcmp(a->args[i].at, b->args[i].at, a->args[i].length) == 0));
}

static void be_alike(const struct look *a, const struct look *b)
{
    REQUIRE(a->found == b->found);
    if (a->found == REQUEST_BROKEN)
        REQUIRE(strcmp(a->request.error, b->request.error) == 0);
    if (a->found == REQUEST_WHOLE || a->found == REQUEST_EMPTY)
        REQUIRE(a->request.length == b->request.length);
    if (a->found == REQUEST_WHOLE)
        REQUIRE(a->request.is_inline == b->request.is_inline);
    if (a->found == REQUEST_WHOLE || a->found == REQUEST_LARGE)
        have_same_args(&a->request, &b->request);
}

/* ---- in pieces --------------------------------------------------------------------------- */

/* A part of it is waited for, or means what all of it means; and what is whole is so from its
 * last byte on, not before. */
static void look_at_part(const struct look *whole, struct slice in, size_t length,
                         bool is_authenticated)
{
    struct look part;

    look_at(&part, (struct slice){in.at, length}, is_authenticated);
    if (part.found != REQUEST_MORE)
        be_alike(&part, whole);
    if (whole->found == REQUEST_WHOLE || whole->found == REQUEST_EMPTY)
        REQUIRE((part.found == REQUEST_MORE) == (length < whole->request.length));
    close_look(&part);
}

static enum request_found pass_by(struct request_pass *pass, struct slice in, size_t piece,
                                  size_t *length)
{
    enum request_found found = REQUEST_MORE;
    size_t end = 0, used;

    for (*length = 0; found == REQUEST_MORE && end < in.length; *length += used) {
        uint8_t *copy;

        end = in.length - end > piece ? end + piece : in.length;
        copy = malloc(end - *length);
        REQUIRE(copy != NULL);
        memcpy(copy, in.at + *length, end - *length);
        found = request_pass(pass, (struct slice){copy, end - *length}, &used);
        free(copy);
        REQUIRE(used <= end - *length);
    }
    return found;
}

static void pass_on(const struct look *whole, struct slice in, size_t piece, bool is_authenticated)
{
    struct request_pass pass = {.is_unauthenticated = !is_authenticated};
    size_t length;
    enum request_found found = pass_by(&pass, in, piece, &length);

    if (whole->found == REQUEST_LARGE)
        return; /* goes on behind what reading looks at */
    REQUIRE(found == whole->found);
    if (found == REQUEST_BROKEN)
        REQUIRE(strcmp(pass.error, whole->request.error) == 0);
    if (found == REQUEST_WHOLE || found == REQUEST_EMPTY)
        REQUIRE(length == whole->request.length && pass.left == 0 && pass.count == 0);
}

static void read_as_multibulk(const struct look *line)
{
    struct look look;

    look_at(&look, (struct slice){line->scratch.at, line->scratch.length}, true);
    REQUIRE(look.found == REQUEST_WHOLE && !look.request.is_inline);
    REQUIRE(look.request.length == line->scratch.length);
    have_same_args(&look.request, &line->request);
    close_look(&look);
}

/* One request, at the beginning of in; how many bytes it takes, 0 when nothing can follow. */
static size_t read_in_all_ways(struct slice in, struct choices *choices, bool is_authenticated)
{
    struct look whole;
    size_t length = 0;

    look_at(&whole, in, is_authenticated);
    if (whole.found == REQUEST_WHOLE || whole.found == REQUEST_EMPTY)
        length = whole.request.length;
    for (size_t part = 0; part < in.length; part += 1u + choose(choices) % 16)
        look_at_part(&whole, in, part, is_authenticated);
    if (length > 0)
        look_at_part(&whole, in, length - 1, is_authenticated);
    if (in.length > 0 && in.at[0] == '*') {
        pass_on(&whole, in, 1, is_authenticated);
        pass_on(&whole, in, 1u + choose(choices) % 30, is_authenticated);
        pass_on(&whole, in, in.length, is_authenticated);
    }
    if (whole.found == REQUEST_WHOLE && whole.request.is_inline)
        read_as_multibulk(&whole);
    close_look(&whole);
    return length;
}

static void read_stream(struct slice in, struct choices *choices)
{
    bool is_authenticated = choose(choices) % 4 != 0;

    for (size_t i = 0; i < MOST_REQUESTS && in.length > 0; i++) {
        size_t length = read_in_all_ways(in, choices, is_authenticated);

        if (length == 0)
            break;
        in.at += length;
        in.length -= length;
    }
}

/* ---- what is tried ----------------------------------------------------------------------- */

/* Lines and lengths, as likely as letters allow. */
static void read_anything(struct choices *choices)
{
    static const char *const words[] = {"*",    "$",  "\r\n", "\r", "\n",  " ",     "\"", "'",
                                        "\\",   "x4", "0",    "1",  "2",   "-",     "a",  "*1\r\n",
                                        "$1\r", "\v", "*2",   "$4", "*11", "$16385"};
    struct bytes stream = {0};
    struct choices rest = *choices;

    while (rest.length > 0) {
        uint8_t byte = choose(&rest);

        if (byte < 220)
            bytes_add(&stream, words[byte % COUNT_OF(words)],
                      strlen(words[byte % COUNT_OF(words)]));
        else
            bytes_add(&stream, &byte, 1);
    }
    read_stream((struct slice){stream.at, stream.length}, choices);
    bytes_free(&stream);
}

/* Multibulks with a byte changed here and there. */
static void read_changed(struct choices *choices)
{
    static const char letters[] = "*$\r\n019-\"a";
    struct bytes stream = {0};

    for (unsigned requests = 1 + choose(choices) % 4; requests > 0; requests--) {
        unsigned count = choose(choices) % 6;

        resp_add_array(&stream, count);
        for (; count > 0; count--)
            resp_add_bulk(&stream, (struct slice){(const uint8_t *)letters,
                                                  choose(choices) % sizeof(letters)});
    }
    REQUIRE(!stream.failed);
    for (unsigned changes = choose(choices) % 4; changes > 0; changes--)
        stream.at[choose(choices) % stream.length] =
            (uint8_t)letters[choose(choices) % (sizeof(letters) - 1)];
    read_stream((struct slice){stream.at, stream.length}, choices);
    bytes_free(&stream);
}

/* ---- requests that are known ------------------------------------------------------------- */

enum { MOST_KNOWN = 12 };

struct known {
    uint32_t count;
    struct bytes args[MOST_KNOWN];
};

static void make(struct known *known, struct choices *choices, size_t longest)
{
    *known = (struct known){.count = 1u + choose(choices) % MOST_KNOWN};
    for (uint32_t i = 0; i < known->count; i++) {
        size_t length = choose(choices) % MOST_LENGTH;

        for (; length > 0; length--)
            bytes_add(&known->args[i], &(uint8_t){choose(choices)}, 1);
        if (longest > 0 && choose(choices) % 8 == 0) {
            length = longest - choose(choices);
            memset(bytes_extend(&known->args[i], length), choose(choices), length);
        }
        REQUIRE(!known->args[i].failed);
    }
}

static void forget(struct known *known)
{
    for (uint32_t i = 0; i < known->count; i++)
        bytes_free(&known->args[i]);
}

static void be_known(const struct look *look, const struct known *known)
{
    REQUIRE(look->request.count == known->count);
    for (uint32_t i = 0; i < look->request.shown; i++) {
        struct slice arg = look->request.args[i];

        REQUIRE(arg.length == known->args[i].length);
        REQUIRE(arg.length == 0 || memcmp(arg.at, known->args[i].at, arg.length) == 0);
    }
}

static void read_known_multibulk(struct choices *choices)
{
    struct known known;
    struct bytes sent = {0};
    struct request_pass pass = {0};
    struct look look;
    uint32_t can_be_shown = 0;
    size_t length, ours;

    make(&known, choices, choose(choices) % 2 ? REQUEST_WHOLE_BELOW : REQUEST_WHOLE_BELOW / 4);
    resp_add_array(&sent, known.count);
    for (uint32_t i = 0; i < known.count; i++) {
        resp_add_bulk(&sent, (struct slice){known.args[i].at, known.args[i].length});
        can_be_shown += i < REQUEST_MOST_ARGS && sent.length < REQUEST_WHOLE_BELOW;
    }
    length = sent.length;
    bytes_add(&sent, "*1\r\n", choose(choices) % 5);
    REQUIRE(!sent.failed);
    look_at(&look, (struct slice){sent.at, sent.length}, true);
    REQUIRE(look.found == (length < REQUEST_WHOLE_BELOW ? REQUEST_WHOLE : REQUEST_LARGE));
    REQUIRE(look.request.shown == can_be_shown);
    REQUIRE(look.found == REQUEST_LARGE || look.request.length == length);
    be_known(&look, &known);
    for (size_t part = choose(choices); part < sent.length; part += 997)
        look_at_part(&look, (struct slice){sent.at, sent.length}, part, true);
    REQUIRE(pass_by(&pass, (struct slice){sent.at, sent.length}, 1u + 64u * choose(choices),
                    &ours) == REQUEST_WHOLE);
    REQUIRE(ours == length);
    close_look(&look);
    bytes_free(&sent);
    forget(&known);
}

/* Double quotes can say any byte; some of them in two ways, or more. */
static void add_quoted(struct bytes *out, const struct bytes *arg, struct choices *choices)
{
    bytes_add(out, "\"", 1);
    for (size_t i = 0; i < arg->length; i++) {
        uint8_t byte = arg->at[i];

        if (byte == '\0' || byte == '\n' || choose(choices) % 4 == 0)
            bytes_print(out, choose(choices) % 2 ? "\\x%02x" : "\\x%02X", byte);
        else if (byte == '"' || byte == '\\')
            bytes_print(out, "\\%c", byte);
        else
            bytes_add(out, &byte, 1);
    }
    bytes_add(out, "\"", 1);
}

static void read_known_line(struct choices *choices)
{
    struct known known;
    struct bytes sent = {0};
    struct look look;

    make(&known, choices, 0);
    for (uint32_t i = 0; i < known.count; i++) {
        bytes_add(&sent, " \t\v\f\r ", choose(choices) % 6);
        add_quoted(&sent, &known.args[i], choices);
        bytes_add(&sent, " ", 1);
    }
    bytes_add(&sent, "\r\n", 2);
    REQUIRE(!sent.failed);
    look_at(&look, (struct slice){sent.at, sent.length}, true);
    REQUIRE(look.found == REQUEST_WHOLE && look.request.is_inline);
    REQUIRE(look.request.length == sent.length);
    be_known(&look, &known);
    read_as_multibulk(&look);
    close_look(&look);
    bytes_free(&sent);
    forget(&known);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};

    switch (choose(&choices) % 4) {
    case 0:
        read_anything(&choices);
        break;
    case 1:
        read_changed(&choices);
        break;
    case 2:
        read_known_multibulk(&choices);
        break;
    case 3:
        read_known_line(&choices);
        break;
    }
    return 0;
}
