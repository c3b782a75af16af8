/* Each row: any bytes, and the string they become. Each is also cut into three at every two bytes:
 * what comes out must not change. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/http/json_out.h"

static struct bytes out;

static void forget(void)
{
    bytes_free(&out);
    clean_end();
}

TestSuite(http_json_out, .fini = forget);

#define FFFD "\xef\xbf\xbd"
#define ROW(text, json)                                                                            \
    {                                                                                              \
        {(const uint8_t *)(text), sizeof(text) - 1}, json                                          \
    }

struct row {
    struct slice text;
    const char *json;
};

static const struct row strings[] = {
    ROW("", "\"\""),
    ROW("plain text, longer than eight bytes", "\"plain text, longer than eight bytes\""),
    ROW("a\"b\\c/d", "\"a\\\"b\\\\c/d\""),
    ROW("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""),
    ROW("\0\1\x1f\x7f", "\"\\u0000\\u0001\\u001f\x7f\""),
    ROW("1234567\"12345678\\", "\"1234567\\\"12345678\\\\\""),
    ROW("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98\""),
    ROW("abcdefgh\xe2\x82\xac"
        "abcdefgh",
        "\"abcdefgh\xe2\x82\xac"
        "abcdefgh\""),
    ROW("\x80", "\"" FFFD "\""),
    ROW("\xff\xfe", "\"" FFFD FFFD "\""),
    ROW("\xc3", "\"" FFFD "\""),
    ROW("\xc3(", "\"" FFFD "(\""),
    ROW("\xe2\x82", "\"" FFFD FFFD "\""),
    ROW("\xe2\x82\"", "\"" FFFD FFFD "\\\"\""),
    ROW("\xf0\x9f\x90", "\"" FFFD FFFD FFFD "\""),
    ROW("\xf0\x9f\x90\n\xf0\x9f\x90\x98", "\"" FFFD FFFD FFFD "\\n\xf0\x9f\x90\x98\""),
    ROW("\xf0\xf0\x9f\x90\x98", "\"" FFFD "\xf0\x9f\x90\x98\""),
    ROW("\xed\xa0\x80", "\"" FFFD FFFD FFFD "\""),
    ROW("\xc0\x80", "\"" FFFD FFFD "\""),
    ROW("\xe2\xc3\xa9", "\"" FFFD "\xc3\xa9\""),
    ROW("\xf4\x90\x80\x80", "\"" FFFD FFFD FFFD FFFD "\""),
    ROW("\x80\x80\x80\x80\x80", "\"" FFFD FFFD FFFD FFFD FFFD "\""),
};

static const struct row inlines[] = {
    ROW("{\"a\": \"b\\n\\\"\"}", "{\"a\": \"b\\n\\\"\"}"),
    ROW("[1,\r\n\t2]", "[1,   2]"),
    ROW("\"\xd0\xb6\xe2\x82\xac\"", "\"\xd0\xb6\xe2\x82\xac\""),
    ROW("\"\xd0\xff\"", "\"" FFFD FFFD "\""),
    ROW("12345678", "12345678"),
};

/* As memory of its own, so that the sanitizer sees a byte read too far. */
static void show(struct json_out *text, const uint8_t *at, size_t length)
{
    uint8_t *copy = malloc(length > 0 ? length : 1);

    memcpy(copy, at, length);
    json_out_part(text, (struct slice){copy, length}, &out);
    free(copy);
}

static void is(const char *json, const char *how, size_t row)
{
    bytes_add(&out, "", 1);
    cr_assert_str_eq((char *)out.at, json, "row %zu %s: %s", row, how, (char *)out.at);
    bytes_clear(&out);
}

static void in_three(struct slice text, bool is_inline, size_t i, size_t k)
{
    struct json_out state;

    if (is_inline)
        json_out_begin_inline(&state);
    else
        json_out_begin_string(&state, &out);
    show(&state, text.at, i);
    show(&state, text.at + i, k - i);
    show(&state, text.at + k, text.length - k);
    json_out_end(&state, &out);
}

static void try_all(const struct row *rows, size_t count, bool is_inline)
{
    for (size_t r = 0; r < count; r++) {
        struct slice text = rows[r].text;

        if (is_inline)
            json_out_inline(&out, text);
        else
            json_out_string(&out, text);
        is(rows[r].json, "whole", r);
        for (size_t i = 0; i <= text.length; i++)
            for (size_t k = i; k <= text.length; k++) {
                in_three(text, is_inline, i, k);
                is(rows[r].json, "cut", r);
            }
    }
}

Test(http_json_out, any_bytes_become_a_string)
{
    try_all(strings, COUNT_OF(strings), false);
}

Test(http_json_out, json_stays_what_it_is_and_on_its_line)
{
    try_all(inlines, COUNT_OF(inlines), true);
}

/* Every two bytes there are, at every place of a word of eight. */
Test(http_json_out, each_byte_is_read_back_as_it_was)
{
    uint8_t text[12];

    for (unsigned byte = 1; byte < 0x80; byte++)
        for (size_t at = 0; at < sizeof(text); at++) {
            json_t *read;

            memset(text, 'a', sizeof(text));
            text[at] = (uint8_t)byte;
            json_out_string(&out, (struct slice){text, sizeof(text)});
            read = json_loadb((char *)out.at, out.length, JSON_DECODE_ANY, NULL);
            cr_assert_eq(json_string_length(read), sizeof(text), "byte %u at %zu", byte, at);
            cr_assert_eq(memcmp(json_string_value(read), text, sizeof(text)), 0);
            json_decref(read);
            bytes_clear(&out);
        }
}

Test(http_json_out, a_number_is_what_json_calls_so)
{
    static const char *const are[] = {"0",   "-0",   "1",         "-12", "0.5",
                                      "1e5", "1E+5", "-1.50e-07", "10"};
    static const char *const are_not[] = {"",    "-",    "+1",  "01",      ".5", "1.",
                                          "1e",  "1e+",  "NaN", "1 ",      " 1", "0x1",
                                          "1,5", "1.e5", "--1", "Infinity"};

    for (size_t i = 0; i < COUNT_OF(are); i++)
        cr_assert(json_out_is_number((struct slice){(const uint8_t *)are[i], strlen(are[i])}), "%s",
                  are[i]);
    for (size_t i = 0; i < COUNT_OF(are_not); i++)
        cr_assert_not(
            json_out_is_number((struct slice){(const uint8_t *)are_not[i], strlen(are_not[i])}),
            "%s", are_not[i]);
}
