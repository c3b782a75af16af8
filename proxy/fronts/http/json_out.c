#include "proxy/fronts/http/json_out.h"

#include <string.h>

#include "base/utf8.h"

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* ---- what needs no change ---------------------------------------------------------------- */

/* Eight bytes at once: the high bit of each that is so. Above the lowest one that is, others may
 * seem to be so: a borrow goes upwards only, and what is asked is whether there is any. */
static const uint64_t each = 0x0101010101010101u, high = 0x8080808080808080u;

static inline uint64_t below(uint64_t word, uint8_t limit)
{
    return (word - each * limit) & ~word & high;
}

static inline uint64_t equal(uint64_t word, uint8_t byte)
{
    return below(word ^ (each * byte), 1);
}

static inline bool is_plain(uint8_t byte, bool is_inline)
{
    return byte >= 0x20 && byte < 0x80 && (is_inline || (byte != '"' && byte != '\\'));
}

/* The first byte that is not an ASCII character which stands for itself. */
static const uint8_t *plain_end(const uint8_t *at, const uint8_t *end, bool is_inline)
{
    uint64_t word;

    for (; (size_t)(end - at) >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        if (((word & high) | below(word, 0x20)) != 0)
            break;
        if (!is_inline && (equal(word, '"') | equal(word, '\\')) != 0)
            break;
    }
    while (at < end && is_plain(*at, is_inline))
        at++;
    return at;
}

/* utf8_length for the two kinds of characters that texts are full of. */
static inline size_t character_length(const uint8_t *at, const uint8_t *end)
{
    if (end - at >= 2 && at[0] >= 0xc2 && at[0] <= 0xdf && (at[1] & 0xc0) == 0x80)
        return 2;
    if (end - at >= 3 && at[0] >= 0xe1 && at[0] <= 0xec && (at[1] & 0xc0) == 0x80 &&
        (at[2] & 0xc0) == 0x80)
        return 3;
    return utf8_length((struct slice){at, (size_t)(end - at)});
}

/* ---- what does --------------------------------------------------------------------------- */

static void add_escape(uint8_t byte, struct bytes *out)
{
    static const uint8_t hex[] = "0123456789abcdef";
    static const uint8_t letters[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    uint8_t letter = byte < 0x20 ? letters[byte] : byte;

    if (letter != 0)
        bytes_add(out, (uint8_t[]){'\\', letter}, 2);
    else
        bytes_add(out, (uint8_t[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
}

static void add_changed(uint8_t byte, bool is_inline, struct bytes *out)
{
    if (byte >= 0x80)
        bytes_add(out, replacement, sizeof(replacement) - 1);
    else if (is_inline)
        bytes_add(out, " ", 1);
    else
        add_escape(byte, out);
}

/* Nothing comes behind end that would belong to a character before it. */
static void add_all(const uint8_t *at, const uint8_t *end, bool is_inline, struct bytes *out)
{
    const uint8_t *begin = at;

    while ((at = plain_end(at, end, is_inline)) < end) {
        size_t length = *at >= 0x80 ? character_length(at, end) : 0;

        if (length > 0) {
            at += length;
            continue;
        }
        bytes_add(out, begin, (size_t)(at - begin));
        add_changed(*at, is_inline, out);
        begin = ++at;
    }
    bytes_add(out, begin, (size_t)(end - begin));
}

void json_out_string(struct bytes *out, struct slice text)
{
    const uint8_t *end = text.at + text.length;
    uint8_t *to;

    if (plain_end(text.at, end, false) == end) { /* the most of them */
        to = bytes_extend(out, text.length + 2);
        if (to == NULL)
            return;
        to[0] = '"';
        memcpy(to + 1, text.at, text.length);
        to[text.length + 1] = '"';
        return;
    }
    bytes_add(out, "\"", 1);
    add_all(text.at, end, false, out);
    bytes_add(out, "\"", 1);
}

void json_out_inline(struct bytes *out, struct slice text)
{
    add_all(text.at, text.at + text.length, true, out);
}

/* ---- in parts ---------------------------------------------------------------------------- */

/* How many bytes a character has that begins so; 1 if none does. */
static size_t announced(uint8_t byte)
{
    if (byte < 0xc0)
        return 1;
    if (byte < 0xe0)
        return 2;
    return byte < 0xf0 ? 3 : 4;
}

/* Where the last character begins if it is not whole, else end. */
static const uint8_t *whole_end(const uint8_t *at, const uint8_t *end)
{
    for (ptrdiff_t length = 1; length <= 3 && length <= end - at; length++)
        if (end[-length] < 0x80 || end[-length] >= 0xc0)
            return announced(end[-length]) > (size_t)length ? end - length : end;
    return end;
}

/* Tells what is kept as far as it is clear what it is: all of it, if nothing follows. */
static void tell_kept(struct json_out *text, bool is_end, struct bytes *out)
{
    const uint8_t *at = text->kept, *end = at + text->kept_length;

    while (at < end && (is_end || announced(*at) <= (size_t)(end - at))) {
        size_t length = utf8_length((struct slice){at, (size_t)(end - at)});

        if (length > 1 || (length == 1 && is_plain(*at, text->is_inline)))
            bytes_add(out, at, length);
        else
            add_changed(*at, text->is_inline, out);
        at += length > 0 ? length : 1;
    }
    text->kept_length = (uint8_t)(end - at);
    memmove(text->kept, at, text->kept_length);
}

void json_out_begin_string(struct json_out *text, struct bytes *out)
{
    *text = (struct json_out){0};
    bytes_add(out, "\"", 1);
}

void json_out_begin_inline(struct json_out *text)
{
    *text = (struct json_out){.is_inline = true};
}

void json_out_part(struct json_out *text, struct slice part, struct bytes *out)
{
    const uint8_t *at = part.at, *end = part.at + part.length, *whole;

    while (text->kept_length > 0 && at < end) {
        text->kept[text->kept_length++] = *at++;
        tell_kept(text, false, out);
    }
    if (at == end)
        return;
    whole = whole_end(at, end);
    add_all(at, whole, text->is_inline, out);
    text->kept_length = (uint8_t)(end - whole);
    memcpy(text->kept, whole, text->kept_length);
}

void json_out_end(struct json_out *text, struct bytes *out)
{
    tell_kept(text, true, out);
    if (!text->is_inline)
        bytes_add(out, "\"", 1);
}

/* ---- numbers ----------------------------------------------------------------------------- */

static const uint8_t *digits_end(const uint8_t *at, const uint8_t *end)
{
    while (at < end && (uint8_t)(*at - '0') <= 9)
        at++;
    return at;
}

bool json_out_is_number(struct slice text)
{
    const uint8_t *at = text.at, *end = at + text.length, *digits;

    if (at < end && *at == '-')
        at++;
    digits = at;
    at = digits_end(at, end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return false;
    if (at < end && *at == '.') {
        digits = ++at;
        at = digits_end(at, end);
        if (at == digits)
            return false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        digits = at;
        at = digits_end(at, end);
        if (at == digits)
            return false;
    }
    return at == end;
}
