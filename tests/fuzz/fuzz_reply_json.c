/*
 * Replies of Redis and their JSON. A model makes up a reply, and says what must be read in the JSON
 * by jansson; or what comes is anything, and whatever is taken for a reply must be JSON. It must
 * not depend on the pieces that came.
 */
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "choices.h"
#include "fuzz.h"
#include "proxy/fronts/http/reply_json.h"

enum { MOST_DEPTH = 4, MOST_ELEMENTS = 4, MOST_TEXT = 24 };

struct model {
    struct choices *choices;
    struct bytes reply;
    unsigned form;
};

static json_t *text_of(const struct model *model, const char *text, size_t length, bool encode)
{
    char encoded[MOST_TEXT * 2];

    if (!encode || (length == 2 && memcmp(text, "OK", 2) == 0))
        return json_stringn(text, length);
    EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)text, (int)length);
    return json_string(encoded);
}

/* ASCII, a line end and a zero where they may be. */
static size_t choose_text(struct model *model, char text[MOST_TEXT], bool is_line)
{
    static const char letters[] = "OK\"\\a\r\n";
    size_t length = choose(model->choices) % MOST_TEXT;

    for (size_t i = 0; i < length; i++) {
        uint8_t which = choose(model->choices) % 8;

        text[i] = which < 7 ? letters[which] : '\0';
        if (is_line && (text[i] == '\n' || text[i] == '\r'))
            text[i] = '.';
    }
    return length;
}

static json_t *add_value(struct model *model, unsigned depth, bool is_answer);

static json_t *add_list(struct model *model, unsigned depth, bool is_answer)
{
    size_t length = choose(model->choices) % (MOST_ELEMENTS + 1);
    json_t *list = json_array();

    bytes_print(&model->reply, "*%zu\r\n", length);
    for (size_t i = 0; i < length; i++)
        json_array_append_new(list, add_value(model, depth + 1, is_answer));
    return list;
}

static json_t *add_plain(struct model *model, uint8_t kind, bool is_answer)
{
    bool encode = (model->form & REPLY_JSON_BASE64) != 0;
    char text[MOST_TEXT];
    size_t length;

    if (kind <= 1) {
        length = choose_text(model, text, true);
        bytes_add(&model->reply, kind == 0 ? "+" : "-", 1);
        bytes_add(&model->reply, text, length);
        bytes_print(&model->reply, "\r\n");
        return text_of(model, text, length, encode && !(kind == 1 && is_answer));
    }
    if (kind == 2) {
        length = choose(model->choices);
        bytes_print(&model->reply, ":-%zu\r\n", length + 1);
        return json_integer(-(json_int_t)length - 1);
    }
    if (kind == 3) {
        bytes_print(&model->reply, "%s-1\r\n", choose(model->choices) & 1 ? "$" : "*");
        return json_null();
    }
    length = choose_text(model, text, false);
    bytes_print(&model->reply, "$%zu\r\n", length);
    bytes_add(&model->reply, text, length);
    bytes_print(&model->reply, "\r\n");
    return text_of(model, text, length, encode);
}

/* is_answer: an object of its own stands around it. */
static json_t *add_value(struct model *model, unsigned depth, bool is_answer)
{
    uint8_t kind = choose(model->choices) % 8;
    bool is_list = kind >= 6 && depth < MOST_DEPTH;
    json_t *value;

    if (is_list && depth == 0 && (model->form & REPLY_JSON_EACH) != 0)
        return add_list(model, depth, true);
    value = is_list ? add_list(model, depth, false) : add_plain(model, kind, is_answer);
    return is_answer ? json_pack("{s:o}", kind == 1 ? "error" : "result", value) : value;
}

/* The pieces are as the fuzzer has it; RESP_MORE: it did not end. */
static enum resp_found read_all(struct slice all, unsigned form, struct choices pieces,
                                struct bytes *out)
{
    struct reply_json *json = calloc(1, sizeof(*json));
    enum resp_found found = RESP_MORE;
    size_t shown = 0, done = 0, used;

    if (json == NULL)
        abort();
    reply_json_begin(json, form);
    while (found == RESP_MORE && shown < all.length) {
        size_t more = pieces.length > 0 ? choose(&pieces) % 16u + 1 : all.length;

        shown = all.length - shown < more ? all.length : shown + more;
        found = reply_json_read(json, (struct slice){all.at + done, shown - done}, &used, out);
        done += used;
    }
    free(json);
    return found;
}

static void check_json(const struct bytes *out, const json_t *expected)
{
    json_t *read = json_loadb((const char *)out->at, out->length, JSON_ALLOW_NUL, NULL);

    if (read == NULL || (expected != NULL && !json_equal(read, expected)))
        abort();
    json_decref(read);
}

static void check(struct slice all, unsigned form, const json_t *expected, struct choices pieces)
{
    struct bytes whole = {0}, cut = {0};
    enum resp_found found = read_all(all, form, (struct choices){0}, &whole);

    if (read_all(all, form, pieces, &cut) != found || (expected != NULL && found != RESP_WHOLE))
        abort();
    if (found == RESP_WHOLE) {
        if (whole.length != cut.length || memcmp(whole.at, cut.at, cut.length) != 0)
            abort();
        check_json(&whole, expected);
    }
    bytes_free(&whole);
    bytes_free(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};
    struct model model = {.choices = &choices};
    uint8_t first = choose(&choices);
    json_t *expected;

    model.form = first & 3u;
    if (first & 4u) {
        struct slice all = {choices.at, choices.length};

        check(all, model.form, NULL, choices);
        return 0;
    }
    expected = add_value(&model, 0, true);
    check((struct slice){model.reply.at, model.reply.length}, model.form, expected, choices);
    json_decref(expected);
    bytes_free(&model.reply);
    return 0;
}
