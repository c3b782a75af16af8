#include "proxy/fronts/http/reply_json.h"

#include <openssl/evp.h>
#include <string.h>

/* What the bytes that come belong to. */
enum text { TEXT_NONE, TEXT_LINE, TEXT_BULK, TEXT_BULK_END };

enum { GROUP = 3, AT_ONCE = 48 * 1024 };

void reply_json_begin(struct reply_json *json, unsigned form)
{
    *json = (struct reply_json){.form = form};
}

static void say(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

/* ---- texts ------------------------------------------------------------------------------- */

void reply_json_encode(struct slice bytes, struct bytes *out)
{
    while (bytes.length > 0) {
        size_t now = bytes.length < AT_ONCE ? bytes.length : AT_ONCE; /* a multiple of GROUP */
        size_t size = (now + GROUP - 1) / GROUP * 4;
        uint8_t *to = bytes_extend(out, size + 1); /* with a zero */

        if (to == NULL)
            return;
        EVP_EncodeBlock(to, bytes.at, (int)now);
        out->length--;
        bytes = (struct slice){bytes.at + now, bytes.length - now};
    }
}

static void begin_text(struct reply_json *json, bool is_encoding, struct bytes *out)
{
    json->is_encoding = is_encoding;
    json->kept_length = 0;
    json->has_emitted = false;
    if (is_encoding)
        say(out, "\"");
    else
        json_out_begin_string(&json->plain, out);
}

static void add_encoded(struct reply_json *json, struct slice part, struct bytes *out)
{
    size_t whole;

    while (json->kept_length > 0 && json->kept_length < GROUP && part.length > 0) {
        json->kept[json->kept_length++] = *part.at;
        part = (struct slice){part.at + 1, part.length - 1};
    }
    if (json->kept_length == GROUP) {
        reply_json_encode((struct slice){json->kept, GROUP}, out);
        json->kept_length = 0;
        json->has_emitted = true;
    }
    if (part.length == 0)
        return;
    whole = part.length - part.length % GROUP;
    reply_json_encode((struct slice){part.at, whole}, out);
    json->has_emitted = json->has_emitted || whole > 0;
    json->kept_length = (uint8_t)(part.length - whole);
    memcpy(json->kept, part.at + whole, json->kept_length);
}

static void add_text(struct reply_json *json, struct slice part, struct bytes *out)
{
    if (json->is_encoding)
        add_encoded(json, part, out);
    else
        json_out_part(&json->plain, part, out);
}

/* A text of two bytes has nothing emitted yet. */
static void end_text(struct reply_json *json, struct bytes *out)
{
    if (!json->is_encoding) {
        json_out_end(&json->plain, out);
        return;
    }
    if (!json->has_emitted && json->kept_length == 2 && memcmp(json->kept, "OK", 2) == 0)
        say(out, "OK");
    else
        reply_json_encode((struct slice){json->kept, json->kept_length}, out);
    say(out, "\"");
}

/* ---- values ------------------------------------------------------------------------------ */

/* Whether the value that begins or ends is an answer: {"result":...}. */
static bool is_answer(const struct reply_json *json)
{
    bool is_each = json->is_list && (json->form & REPLY_JSON_EACH) != 0;

    return json->depth == (is_each ? 1 : 0);
}

static void begin_value(struct reply_json *json, bool is_error, struct bytes *out)
{
    if (is_answer(json))
        say(out, is_error ? "{\"error\":" : "{\"result\":");
}

/* And whatever ends with it. */
static void end_value(struct reply_json *json, struct bytes *out)
{
    for (;;) {
        if (is_answer(json))
            say(out, "}");
        if (json->depth == 0)
            return;
        if (--json->open[json->depth - 1] > 0) {
            say(out, ",");
            return;
        }
        say(out, "]");
        json->depth--;
    }
}

static bool begin_list(struct reply_json *json, uint64_t length, struct bytes *out)
{
    begin_value(json, false, out);
    say(out, "[");
    if (length == 0) {
        say(out, "]");
        end_value(json, out);
        return true;
    }
    if (json->depth == REPLY_JSON_DEEPEST)
        return false;
    json->open[json->depth++] = length;
    return true;
}

static void begin_line(struct reply_json *json, bool is_error, struct bytes *out)
{
    bool is_encoding = (json->form & REPLY_JSON_BASE64) != 0 && !(is_error && is_answer(json));

    begin_value(json, is_error, out);
    begin_text(json, is_encoding, out);
    json->text = TEXT_LINE;
    json->has_returned = false;
}

static void begin_bulk(struct reply_json *json, uint64_t length, struct bytes *out)
{
    begin_value(json, false, out);
    begin_text(json, (json->form & REPLY_JSON_BASE64) != 0, out);
    json->left = length;
    json->text = length > 0 ? TEXT_BULK : TEXT_BULK_END;
    if (length == 0)
        end_text(json, out);
}

static void add_null(struct reply_json *json, struct bytes *out)
{
    begin_value(json, false, out);
    say(out, "null");
    end_value(json, out);
}

/* "+5": JSON has no such number. Else it is as Redis wrote it, and resp.c has looked at it. */
static void add_number(struct reply_json *json, struct slice digits, struct bytes *out)
{
    if (digits.length > 0 && *digits.at == '+')
        digits = (struct slice){digits.at + 1, digits.length - 1};
    begin_value(json, false, out);
    if (json_out_is_number(digits))
        bytes_add(out, digits.at, digits.length);
    else
        json_out_string(out, digits);
    end_value(json, out);
}

/* ---- heads: whole, as resp.h gives them --------------------------------------------------- */

/* The length of a head, behind its first byte; false: it is none (-1). */
static bool length_of(struct slice head, uint64_t *length)
{
    *length = 0;
    for (size_t i = 0; i < head.length; i++) {
        if (head.at[i] < '0' || head.at[i] > '9')
            return false;
        *length = *length * 10 + (uint64_t)(head.at[i] - '0');
    }
    return true;
}

static void note_kind(struct reply_json *json, uint8_t kind)
{
    if (json->is_begun)
        return;
    json->is_begun = true;
    json->is_error = kind == '-';
    json->is_list = kind == '*';
}

/* Takes a head from in, or the first byte of a line. A list that is none is no list. */
static bool take_head(struct reply_json *json, struct slice *in, struct bytes *out)
{
    const uint8_t *end = memchr(in->at, '\n', in->length);
    uint8_t kind = *in->at;
    struct slice rest = {in->at + 1, 0};
    uint64_t length;

    if (kind == '+' || kind == '-') {
        note_kind(json, kind);
        begin_line(json, kind == '-', out);
        *in = (struct slice){in->at + 1, in->length - 1};
        return true;
    }
    if (end == NULL || end - in->at < 2)
        return false;
    rest.length = (size_t)(end - in->at) - 2; /* its kind and CR */
    *in = (struct slice){end + 1, in->length - (size_t)(end + 1 - in->at)};
    switch (kind) {
    case ':':
        note_kind(json, kind);
        add_number(json, rest, out);
        return true;
    case '$':
    case '*':
        if (!length_of(rest, &length)) {
            note_kind(json, '$');
            add_null(json, out);
            return true;
        }
        note_kind(json, kind);
        if (kind == '*')
            return begin_list(json, length, out);
        begin_bulk(json, length, out);
        return true;
    default:
        return false; /* of RESP3, which was not agreed on */
    }
}

/* ---- what is in a line or a bulk --------------------------------------------------------- */

static void take_line(struct reply_json *json, struct slice *in, struct bytes *out)
{
    const uint8_t *returns = memchr(in->at, '\r', in->length);
    struct slice part = *in;

    if (json->has_returned) {
        json->has_returned = false;
        if (*in->at == '\n') {
            *in = (struct slice){in->at + 1, in->length - 1};
            json->text = TEXT_NONE;
            end_text(json, out);
            end_value(json, out);
            return;
        }
        add_text(json, SLICE("\r"), out);
    }
    if (returns != NULL) {
        part.length = (size_t)(returns - in->at);
        json->has_returned = true;
    }
    add_text(json, part, out);
    part.length += json->has_returned;
    *in = (struct slice){in->at + part.length, in->length - part.length};
}

static void take_bulk(struct reply_json *json, struct slice *in, struct bytes *out)
{
    struct slice part = {in->at, in->length};

    if (part.length > json->left)
        part.length = (size_t)json->left;
    add_text(json, part, out);
    json->left -= part.length;
    *in = (struct slice){in->at + part.length, in->length - part.length};
    if (json->left > 0)
        return;
    end_text(json, out);
    json->text = TEXT_BULK_END;
}

static void take_bulk_end(struct reply_json *json, struct slice *in, struct bytes *out)
{
    bool is_end = *in->at == '\n';

    *in = (struct slice){in->at + 1, in->length - 1};
    if (!is_end)
        return;
    json->text = TEXT_NONE;
    end_value(json, out);
}

enum resp_found reply_json_read(struct reply_json *json, struct slice in, size_t *used,
                                struct bytes *out)
{
    enum resp_found found = resp_read(&json->resp, in, used);
    struct slice part = {in.at, *used};

    if (found == RESP_BROKEN)
        return found;
    while (part.length > 0) {
        switch ((enum text)json->text) {
        case TEXT_LINE:
            take_line(json, &part, out);
            break;
        case TEXT_BULK:
            take_bulk(json, &part, out);
            break;
        case TEXT_BULK_END:
            take_bulk_end(json, &part, out);
            break;
        case TEXT_NONE:
            if (!take_head(json, &part, out))
                return RESP_BROKEN;
            break;
        }
    }
    REQUIRE(found != RESP_WHOLE || (json->depth == 0 && json->text == TEXT_NONE));
    return found;
}
