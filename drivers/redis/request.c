#include "drivers/redis/request.h"

#include <stdio.h>
#include <string.h>

#include "drivers/redis/resp.h"

enum {
    LEAST_ARGUMENT = 6,     /* "$0\r\n\r\n" */
    COUNT_MOST = INT32_MAX, /* arguments */
};

static enum request_found refuse(char *error, const char *why)
{
    snprintf(error, REQUEST_ERROR_SIZE, "Protocol error: %s", why);
    return REQUEST_BROKEN;
}

/* ---- lengths ----------------------------------------------------------------------------- */

/* A line with a length: its value, and how many bytes it takes. */
struct head {
    int64_t value;
    size_t length;
};

/* As Redis's string2ll(): no blanks, no plus, no leading zeros, and it fits. */
static bool read_number(const uint8_t *at, const uint8_t *end, int64_t *number)
{
    bool is_negative = at < end && *at == '-';
    const uint8_t *digits = at + is_negative;
    const uint64_t most = (uint64_t)INT64_MAX + is_negative;
    uint64_t value = 0;

    if (digits == end)
        return false;
    if (*digits == '0' && (is_negative || end - digits > 1))
        return false;
    for (const uint8_t *digit = digits; digit < end; digit++) {
        uint8_t figure = (uint8_t)(*digit - '0');

        if (figure > 9 || value > (most - figure) / 10)
            return false;
        value = value * 10 + figure;
    }
    *number = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* Redis looks for the end of a line with strchr(), so it finds none behind a NUL: such a line only
 * grows until it is too long. */
static const uint8_t *find(uint8_t what, const uint8_t *at, const uint8_t *end, size_t most)
{
    size_t length = (size_t)(end - at) < most ? (size_t)(end - at) : most;
    const uint8_t *found = memchr(at, what, length);

    if (found != NULL && memchr(at, '\0', (size_t)(found - at)) != NULL)
        return NULL;
    return found;
}

/* Any line where a length is expected, and kind ('*' or '$') before it. */
static enum request_found read_odd_head(uint8_t kind, const uint8_t *at, const uint8_t *end,
                                        struct head *head, char *error)
{
    const uint8_t *cr = find('\r', at, end, REQUEST_MOST_HEAD);
    bool is_bulk = kind == '$';

    if (cr == NULL && end - at < REQUEST_MOST_HEAD)
        return REQUEST_MORE;
    if (cr == NULL)
        return refuse(error, is_bulk ? "too big bulk count string" : "too big mbulk count string");
    if (end - cr < 2)
        return REQUEST_MORE;
    if (*at != kind) {
        int blank_or_it = *at == '\r' || *at == '\n' ? ' ' : *at;

        snprintf(error, REQUEST_ERROR_SIZE, "Protocol error: expected '%c', got '%c'", kind,
                 blank_or_it);
        return REQUEST_BROKEN;
    }
    if (!read_number(at + 1, cr, &head->value) || cr[1] != '\n' ||
        head->value > (is_bulk ? REQUEST_MOST_BULK : COUNT_MOST) || (is_bulk && head->value < 0))
        return refuse(error, is_bulk ? "invalid bulk length" : "invalid multibulk length");
    head->length = (size_t)(cr - at) + 2;
    return REQUEST_WHOLE;
}

static inline enum request_found read_head(uint8_t kind, const uint8_t *at, const uint8_t *end,
                                           struct head *head, char *error)
{
    uint64_t value;
    size_t length;

    if (end - at < 4)
        return end == at ? REQUEST_MORE : read_odd_head(kind, at, end, head, error);
    length = *at == kind ? resp_length(at + 1, end, &value) : 0;
    if (length == 0 || value > (kind == '$' ? REQUEST_MOST_BULK : COUNT_MOST))
        return read_odd_head(kind, at, end, head, error);
    *head = (struct head){(int64_t)value, 1 + length};
    return REQUEST_WHOLE;
}

static inline enum request_found read_count(const uint8_t *at, const uint8_t *end,
                                            bool is_authenticated, struct head *head, char *error)
{
    enum request_found found = read_head('*', at, end, head, error);

    if (found != REQUEST_WHOLE)
        return found;
    if (head->value > REQUEST_UNAUTHENTICATED_COUNT && !is_authenticated)
        return refuse(error, "unauthenticated multibulk length");
    return head->value > 0 ? REQUEST_WHOLE : REQUEST_EMPTY;
}

static inline enum request_found read_bulk_head(const uint8_t *at, const uint8_t *end,
                                                bool is_authenticated, struct head *head,
                                                char *error)
{
    enum request_found found = read_head('$', at, end, head, error);

    if (found != REQUEST_WHOLE)
        return found;
    if (head->value > REQUEST_UNAUTHENTICATED_BULK && !is_authenticated)
        return refuse(error, "unauthenticated bulk length");
    return REQUEST_WHOLE;
}

/* ---- multibulk --------------------------------------------------------------------------- */

/* Large is what cannot end below the limit even if all arguments to come were empty; it is said
 * when no more of them can be shown. So pieces make no difference. */
static enum request_found read_multibulk(struct request *request, struct slice in,
                                         bool is_authenticated)
{
    const uint8_t *at = in.at, *end = in.at + in.length;
    struct head head = {0};
    enum request_found found = read_count(at, end, is_authenticated, &head, request->error);
    bool is_large = false;

    request->length = found == REQUEST_EMPTY ? head.length : 0;
    if (found != REQUEST_WHOLE)
        return found;
    request->count = (uint32_t)head.value;
    request->shown = 0;
    at += head.length;
    for (uint32_t i = 0; i < request->count; i++) {
        size_t size, rest = (size_t)LEAST_ARGUMENT * (request->count - i - 1);

        found = read_bulk_head(at, end, is_authenticated, &head, request->error);
        if (found != REQUEST_WHOLE)
            return found;
        at += head.length;
        size = (size_t)head.value + 2;
        is_large = is_large || (size_t)(at - in.at) + size + rest >= REQUEST_WHOLE_BELOW;
        if ((size_t)(at - in.at) + size >= REQUEST_WHOLE_BELOW)
            return REQUEST_LARGE;
        if ((size_t)(end - at) < size - 1)
            return REQUEST_MORE;
        if (at[size - 2] != '\r')
            return refuse(request->error, "invalid bulk length");
        if ((size_t)(end - at) < size)
            return REQUEST_MORE;
        if (at[size - 1] != '\n')
            return refuse(request->error, "invalid bulk length");
        if (i < REQUEST_MOST_ARGS)
            request->args[request->shown++] = (struct slice){at, size - 2};
        if (is_large && request->shown == REQUEST_MOST_ARGS)
            return REQUEST_LARGE;
        at += size;
    }
    request->length = (size_t)(at - in.at);
    return REQUEST_WHOLE;
}

/* ---- inline ------------------------------------------------------------------------------ */

/* What isspace() says in the C locale. */
static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Outside of quotes a word goes on over a vertical tab or a form feed: so it is in Redis. */
static bool ends_word(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static int hex_digit(uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t lower = byte >= 'A' && byte <= 'F' ? (uint8_t)(byte - 'A' + 'a') : byte;
    const char *found = memchr(digits, lower, sizeof(digits) - 1);

    return found != NULL ? (int)(found - digits) : -1;
}

static uint8_t escaped(uint8_t byte)
{
    static const char letters[] = "nrtba", meanings[] = "\n\r\t\b\a";
    const char *found = memchr(letters, byte, sizeof(letters) - 1);

    return found != NULL ? (uint8_t)meanings[found - letters] : byte;
}

/* One byte between quotes, at at; how many bytes stand for it. */
static size_t unescape(const uint8_t *at, const uint8_t *end, uint8_t quote, uint8_t *byte)
{
    *byte = *at;
    if (*at != '\\' || end - at < 2)
        return 1;
    if (quote == '\'') {
        *byte = at[1] == '\'' ? '\'' : '\\';
        return at[1] == '\'' ? 2 : 1;
    }
    if (at[1] == 'x' && end - at >= 4 && hex_digit(at[2]) >= 0 && hex_digit(at[3]) >= 0) {
        *byte = (uint8_t)(hex_digit(at[2]) << 4 | hex_digit(at[3]));
        return 4;
    }
    *byte = escaped(at[1]);
    return 2;
}

/* The next word of what is left of a line, to to if that is not NULL; its length to *length.
 * False: quotes do not end, or not where a word does. At the end of the line *at is its end. */
static bool read_word(const uint8_t **at, const uint8_t *end, uint8_t *to, size_t *length)
{
    const uint8_t *from = *at;
    uint8_t quote = 0, byte;

    for (*length = 0; from < end && (quote != 0 || !ends_word(*from));) {
        if (quote == 0 && (*from == '"' || *from == '\'')) {
            quote = *from++;
            continue;
        }
        if (quote != 0 && *from == quote) {
            *at = from + 1;
            return *at == end || is_blank(**at);
        }
        byte = *from;
        from += quote == 0 ? 1 : unescape(from, end, quote, &byte);
        if (to != NULL)
            to[*length] = byte;
        ++*length;
    }
    *at = from;
    return quote == 0;
}

static void skip_blanks(const uint8_t **at, const uint8_t *end)
{
    while (*at < end && is_blank(**at))
        ++*at;
}

static bool count_words(const uint8_t *at, const uint8_t *end, uint32_t *count)
{
    size_t length;

    for (*count = 0, skip_blanks(&at, end); at < end; skip_blanks(&at, end), ++*count)
        if (!read_word(&at, end, NULL, &length))
            return false;
    return true;
}

/* The line as a multibulk. scratch moves while it grows, so args first have no place, only
 * lengths, and are found when all of it stands. */
static void add_words(struct request *request, const uint8_t *at, const uint8_t *end,
                      struct bytes *scratch)
{
    size_t places[REQUEST_MOST_ARGS] = {0};

    resp_add_array(scratch, request->count);
    request->shown = 0;
    for (skip_blanks(&at, end); at < end; skip_blanks(&at, end)) {
        const uint8_t *begin = at;
        size_t length;
        uint8_t *to;

        /* Quotes were found to be fine when the words were counted. */
        REQUIRE(read_word(&at, end, NULL, &length));
        resp_add_bulk_head(scratch, length);
        to = bytes_extend(scratch, length + 2);
        if (to == NULL)
            return;
        REQUIRE(read_word(&begin, end, to, &length));
        to[length] = '\r';
        to[length + 1] = '\n';
        if (request->shown == REQUEST_MOST_ARGS)
            continue;
        places[request->shown] = (size_t)(to - scratch->at);
        request->args[request->shown++].length = length;
    }
    for (uint32_t i = 0; i < request->shown; i++)
        request->args[i].at = scratch->at + places[i];
}

static enum request_found read_inline(struct request *request, struct slice in,
                                      struct bytes *scratch)
{
    const uint8_t *end = in.at + in.length, *lf = find('\n', in.at, end, REQUEST_MOST_LINE);

    if (lf == NULL && in.length < REQUEST_MOST_LINE)
        return REQUEST_MORE;
    if (lf == NULL)
        return refuse(request->error, "too big inline request");
    request->length = (size_t)(lf - in.at) + 1;
    end = lf > in.at && lf[-1] == '\r' ? lf - 1 : lf;
    if (!count_words(in.at, end, &request->count))
        return refuse(request->error, "unbalanced quotes in request");
    if (request->count == 0)
        return REQUEST_EMPTY;
    request->is_inline = true;
    bytes_clear(scratch);
    add_words(request, in.at, end, scratch);
    if (!scratch->failed)
        return REQUEST_WHOLE;
    snprintf(request->error, sizeof(request->error), "out of memory");
    return REQUEST_BROKEN;
}

enum request_found request_read(struct request *request, struct slice in, bool is_authenticated,
                                struct bytes *scratch)
{
    if (in.length == 0)
        return REQUEST_MORE;
    request->is_inline = false;
    if (in.at[0] != '*')
        return read_inline(request, in, scratch);
    return read_multibulk(request, in, is_authenticated);
}

/* ---- passing a large one on -------------------------------------------------------------- */

/* Both move *at to behind what they use. */

static enum request_found pass_head(struct request_pass *pass, const uint8_t **at,
                                    const uint8_t *end)
{
    bool begins = pass->count == 0;
    struct head head = {0};
    enum request_found found =
        begins ? read_count(*at, end, !pass->is_unauthenticated, &head, pass->error)
               : read_bulk_head(*at, end, !pass->is_unauthenticated, &head, pass->error);

    *at += head.length;
    if (found != REQUEST_WHOLE)
        return found;
    if (begins)
        pass->count = (uint32_t)head.value;
    else
        pass->left = (uint64_t)head.value + 2;
    return REQUEST_MORE;
}

static enum request_found pass_bulk(struct request_pass *pass, const uint8_t **at,
                                    const uint8_t *end)
{
    uint64_t size = (uint64_t)(end - *at);

    if (pass->left > 2) {
        uint64_t body = pass->left - 2 < size ? pass->left - 2 : size;

        *at += body;
        pass->left -= body;
    }
    while (pass->left > 0 && pass->left <= 2 && *at < end)
        if (*(*at)++ != (pass->left-- == 2 ? '\r' : '\n'))
            return refuse(pass->error, "invalid bulk length");
    if (pass->left > 0 || --pass->count > 0)
        return REQUEST_MORE;
    return REQUEST_WHOLE;
}

enum request_found request_pass(struct request_pass *pass, struct slice in, size_t *used)
{
    const uint8_t *at = in.at, *end = in.length > 0 ? in.at + in.length : in.at;
    enum request_found found = REQUEST_MORE;

    while (at < end && found == REQUEST_MORE) {
        const uint8_t *before = at;

        found = pass->left > 0 ? pass_bulk(pass, &at, end) : pass_head(pass, &at, end);
        if (at == before)
            break;
    }
    *used = (size_t)(at - in.at);
    return found;
}
