/*
 * Results of queries and their JSON. Either a model makes up a result, with values of many types,
 * and says what must be read in the JSON by jansson; or messages are anything, and what is told
 * must be JSON all the same. It must not depend on the pieces that came. Objects must not have a
 * key twice.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "choices.h"
#include "drivers/postgres/wire.h"
#include "fuzz.h"
#include "proxy/fronts/http/rows.h"

enum { MOST_COLUMNS = 6, MOST_ROWS = 4, MOST_ELEMENTS = 4, MOST_DEPTH = 3, MOST_TEXT = 160 };

enum {
    BOOL = 16,
    INT8 = 20,
    INT4 = 23,
    TEXT = 25,
    JSON = 114,
    FLOAT8 = 701,
};

/* Types, and those of their elements; 0: it is no array. */
static const struct kind {
    uint32_t oid, element;
    char delimiter;
} kinds[] = {
    {TEXT, 0, 0},      {INT4, 0, 0},        {BOOL, 0, 0},      {INT8, 0, 0},      {FLOAT8, 0, 0},
    {JSON, 0, 0},      {16400, 0, 0},       {1009, TEXT, ','}, {1007, INT4, ','}, {1000, BOOL, ','},
    {1016, INT8, ','}, {1022, FLOAT8, ','}, {199, JSON, ','},  {1020, TEXT, ';'},
};

struct model {
    struct choices *choices;
    struct rows_options options;
    const struct kind *columns[MOST_COLUMNS];
    const char *names[MOST_COLUMNS];
    uint16_t columns_length;
    struct bytes said;
    json_t *rows; /* what must be read */
};

/* ---- what is to be read ------------------------------------------------------------------ */

/* A byte at a time, and as the standard words it: unlike utf8_length and its users. */
static size_t character(const uint8_t *at, size_t length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = at[0] < 0x80       ? 1
               : at[0] >> 5 == 6  ? 2
               : at[0] >> 4 == 14 ? 3
               : at[0] >> 3 == 30 ? 4
                                  : 0;
    uint32_t code = n == 1 ? at[0] : n == 0 ? 0 : at[0] & (0xffu >> (n + 1));

    if (n == 0 || n > length)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if (at[i] >> 6 != 2)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

static json_t *string_of(struct slice text)
{
    struct bytes valid = {0};
    json_t *string;

    for (size_t i = 0; i < text.length;) {
        size_t n = character(text.at + i, text.length - i);

        bytes_add(&valid, n > 0 ? (const char *)text.at + i : "\xef\xbf\xbd", n > 0 ? n : 3);
        i += n > 0 ? n : 1;
    }
    string = json_stringn(valid.length > 0 ? (char *)valid.at : "", valid.length);
    REQUIRE(string != NULL);
    bytes_free(&valid);
    return string;
}

static struct slice all_of(const struct bytes *bytes, size_t from)
{
    return bytes->length > from ? (struct slice){bytes->at + from, bytes->length - from}
                                : SLICE("");
}

/* ---- values ------------------------------------------------------------------------------ */

static void add_text(struct choices *choices, struct bytes *out)
{
    static const char *const words[] = {"a",        "\"",
                                        "\\",       "{",
                                        "}",        ",",
                                        ";",        " ",
                                        "\n",       "\x1f",
                                        "NULL",     "\xc3\xa9",
                                        "\xe2\x82", "\xac",
                                        "\xff",     "01234567",
                                        "",         "\xf0\x9f\x90\x98",
                                        "\xf0\x9f", "abcdefghijklmnop"};
    size_t begin = out->length;

    for (unsigned n = choose(choices) % 12; n > 0 && out->length - begin < MOST_TEXT; n--) {
        const char *word = words[choose(choices) % COUNT_OF(words)];

        bytes_add(out, word, strlen(word));
    }
    if (choose(choices) % 16 == 0) /* longer than what is kept of an element */
        for (unsigned i = 0; i < CELL_KEPT_MOST; i++)
            bytes_add(out, "x", 1);
}

static json_t *add_json(struct choices *choices, struct bytes *out)
{
    static const char *const texts[] = {
        "null",
        "1",
        "{}",
        "[]",
        "\"a\"",
        "{\"a\": [1, \"\\\"\\\\\", {\"b\":\n null}]}",
        "[true,\r\n false]",
        "\"\xc3\xa9\"",
        "\"01234567890123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789012345678901234567890123456789\""};
    const char *text = texts[choose(choices) % COUNT_OF(texts)];
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

    REQUIRE(value != NULL);
    bytes_add(out, text, strlen(text));
    return value;
}

/* Appends a value's text, and gives what it is in JSON. */
static json_t *add_scalar(uint32_t oid, struct choices *choices, struct bytes *out)
{
    static const char *const floats[] = {"NaN", "-Infinity", "1.5", "-2e+20", "1e-07", "0"};
    size_t begin = out->length;
    const char *text;

    switch (oid) {
    case BOOL:
        text = choose(choices) % 2 ? "t" : "f";
        bytes_add(out, text, 1);
        return json_boolean(*text == 't');
    case INT4:
        bytes_print(out, "%d", (int8_t)choose(choices) * 16777216);
        bytes_add(out, "", 1); /* so that it ends */
        out->length--;
        return json_integer(strtol((char *)out->at + begin, NULL, 10));
    case INT8:
        bytes_print(out, "%lld", (int8_t)choose(choices) * 72057594037927936ll);
        return string_of(all_of(out, begin));
    case FLOAT8:
        text = floats[choose(choices) % COUNT_OF(floats)];
        bytes_add(out, text, strlen(text));
        if (strchr("NI", text[*text == '-']) != NULL)
            return json_string(text);
        return json_real(strtod(text, NULL));
    case JSON:
        return add_json(choices, out);
    default:
        add_text(choices, out);
        return string_of(all_of(out, begin));
    }
}

/* array_out() of PostgreSQL. */
static void quote(struct slice element, char delimiter, struct bytes *out)
{
    bool is_quoted = element.length == 0 ||
                     (element.length == 4 && strncasecmp((const char *)element.at, "null", 4) == 0);

    for (size_t i = 0; i < element.length; i++)
        is_quoted = is_quoted || strchr("\"\\{} \t\n\r\v\f", element.at[i]) != NULL ||
                    element.at[i] == delimiter;
    bytes_add(out, "\"", is_quoted);
    for (size_t i = 0; i < element.length; i++) {
        if (element.at[i] == '"' || element.at[i] == '\\')
            bytes_add(out, "\\", 1);
        bytes_add(out, element.at + i, 1);
    }
    bytes_add(out, "\"", is_quoted);
}

static json_t *add_array(const struct kind *kind, unsigned depth, struct choices *choices,
                         struct bytes *out)
{
    json_t *array = json_array();
    unsigned count = choose(choices) % MOST_ELEMENTS;
    struct bytes element = {0};

    bytes_add(out, "{", 1);
    for (unsigned i = 0; i < count; i++) {
        unsigned which = choose(choices) % 8;

        bytes_add(out, &kind->delimiter, i > 0);
        if (which == 0) {
            bytes_add(out, "NULL", 4);
            json_array_append_new(array, json_null());
        } else if (which == 1 && depth < MOST_DEPTH)
            json_array_append_new(array, add_array(kind, depth + 1, choices, out));
        else {
            bytes_clear(&element);
            json_array_append_new(array, add_scalar(kind->element, choices, &element));
            quote(all_of(&element, 0), kind->delimiter, out);
        }
    }
    bytes_add(out, "}", 1);
    bytes_free(&element);
    return array;
}

static json_t *add_value(const struct kind *kind, struct model *model, struct bytes *out)
{
    struct choices *choices = model->choices;
    size_t begin = out->length;
    json_t *value;

    if (kind->element == 0)
        value = add_scalar(kind->oid, choices, out);
    else {
        if (choose(choices) % 8 == 0)
            bytes_add(out, "[0:1][-2:3]=", 12);
        value = add_array(kind, 0, choices, out);
    }
    if (!model->options.as_text)
        return value;
    json_decref(value);
    return string_of(all_of(out, begin));
}

/* ---- a result ---------------------------------------------------------------------------- */

static void say(struct bytes *said, char type, struct slice body)
{
    uint8_t head[5] = {(uint8_t)type};

    bytes_put_u32(head + 1, (uint32_t)body.length + 4);
    bytes_add(said, head, sizeof(head));
    bytes_add(said, body.at, body.length);
}

static void describe(struct model *model)
{
    static const char *const names[] = {"a", "b", "?column?", "\"", "\xff", "\xc3\xa9"};
    struct bytes body = {0};

    model->columns_length = choose(model->choices) % MOST_COLUMNS;
    bytes_add(&body, (uint8_t[]){0, (uint8_t)model->columns_length}, 2);
    for (unsigned i = 0; i < model->columns_length; i++) {
        uint8_t rest[18] = {0};

        model->columns[i] = &kinds[choose(model->choices) % COUNT_OF(kinds)];
        model->names[i] = names[choose(model->choices) % COUNT_OF(names)];
        bytes_add(&body, model->names[i], strlen(model->names[i]) + 1);
        bytes_put_u32(rest + 6, model->columns[i]->oid);
        bytes_add(&body, rest, sizeof(rest));
    }
    say(&model->said, 'T', all_of(&body, 0));
    bytes_free(&body);
}

static void keep_value(struct model *model, json_t *row, unsigned column, json_t *value)
{
    const char *name = model->names[column];
    json_t *key = string_of((struct slice){(const uint8_t *)name, strlen(name)});

    if (model->options.as_arrays)
        json_array_append_new(row, value);
    else
        json_object_set_new(row, json_string_value(key), value);
    json_decref(key);
}

static void say_row(struct model *model)
{
    json_t *row = model->options.as_arrays ? json_array() : json_object();
    struct bytes body = {0};

    bytes_add(&body, (uint8_t[]){0, (uint8_t)model->columns_length}, 2);
    for (unsigned i = 0; i < model->columns_length; i++) {
        size_t at = body.length;

        bytes_add(&body, "\xff\xff\xff\xff", 4);
        if (choose(model->choices) % 8 == 0) {
            keep_value(model, row, i, json_null());
            continue;
        }
        keep_value(model, row, i, add_value(model->columns[i], model, &body));
        REQUIRE(!body.failed);
        bytes_put_u32(body.at + at, (uint32_t)(body.length - at - 4));
    }
    say(&model->said, 'D', all_of(&body, 0));
    json_array_append_new(model->rows, row);
    bytes_free(&body);
}

/* ---- what is told ------------------------------------------------------------------------ */

struct outcome {
    struct bytes told;
    bool is_over, is_cut_off;
    size_t used;
};

/* Shows it in pieces of so many bytes, each memory of its own. */
static struct outcome tell(struct slice said, const struct rows_options *options, size_t piece)
{
    struct outcome outcome = {0};
    enum rows_sight sight = ROWS_MORE;
    struct rows rows = {0};
    size_t used;

    rows_begin(&rows, options);
    while (outcome.used < said.length && sight != ROWS_READY && sight != ROWS_BROKEN) {
        size_t left = said.length - outcome.used, length = left < piece ? left : piece;
        uint8_t *copy = malloc(length);

        REQUIRE(copy != NULL);
        memcpy(copy, said.at + outcome.used, length);
        sight = rows_take(&rows, (struct slice){copy, length}, &used, &outcome.told);
        free(copy);
        outcome.used += used;
        REQUIRE(used <= length && (sight != ROWS_MORE || used == length));
        if (rows_is_over(&rows) || sight < ROWS_FAILED)
            continue;
        if (options->form == ROWS_NEON)
            outcome.told.length = 0;
        if (sight != ROWS_FAILED && !rows_refuse(&rows, sight, &outcome.told))
            outcome.is_cut_off = true;
    }
    outcome.is_over = rows_is_over(&rows);
    if (!outcome.is_over) {
        if (options->form == ROWS_NEON)
            outcome.told.length = 0;
        outcome.is_cut_off = !rows_refuse_as(&rows, "08006", "lost", &outcome.told);
    }
    REQUIRE(!outcome.told.failed);
    rows_fini(&rows);
    return outcome;
}

/* In all ways; the caller frees told. */
static struct outcome tell_in_all_ways(struct slice said, const struct rows_options *options,
                                       struct choices *choices)
{
    size_t pieces[] = {1, 2u + choose(choices) % 40};
    struct outcome whole = tell(said, options, said.length + 1);

    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct outcome other = tell(said, options, pieces[i]);

        REQUIRE(other.is_over == whole.is_over && other.is_cut_off == whole.is_cut_off);
        REQUIRE(other.used == whole.used || whole.is_cut_off);
        REQUIRE(whole.is_cut_off || (other.told.length == whole.told.length &&
                                     memcmp(other.told.at, whole.told.at, whole.told.length) == 0));
        bytes_free(&other.told);
    }
    return whole;
}

static json_t *read_json(const uint8_t *at, size_t length)
{
    json_t *value =
        json_loadb((const char *)at, length,
                   JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);

    REQUIRE(value != NULL);
    return value;
}

/* Lines as one object with the keys of /db's; rows gathered. */
static json_t *read_lines(const struct bytes *told)
{
    json_t *all = json_pack("{s:[]}", "rows");
    const uint8_t *at = told->at, *end = at + told->length;

    while (at < end) {
        const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
        json_t *line, *row;

        REQUIRE(line_end != NULL);
        line = read_json(at, (size_t)(line_end - at));
        row = json_object_get(line, "row");
        if (row != NULL)
            json_array_append(json_object_get(all, "rows"), row);
        else
            json_object_update(all, line);
        json_decref(line);
        at = line_end + 1;
    }
    return all;
}

static json_t *read_told(const struct outcome *outcome, const struct rows_options *options)
{
    return options->form == ROWS_NDJSON ? read_lines(&outcome->told)
                                        : read_json(outcome->told.at, outcome->told.length);
}

/* ---- what is tried ----------------------------------------------------------------------- */

/* Integers were read as reals. */
static bool are_equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (json_is_array(a) && json_is_array(b)) {
        bool are = json_array_size(a) == json_array_size(b);

        for (size_t i = 0; are && i < json_array_size(a); i++)
            are = are_equal(json_array_get(a, i), json_array_get(b, i));
        return are;
    }
    if (json_is_object(a) && json_is_object(b)) {
        bool are = json_object_size(a) == json_object_size(b);
        const char *key;
        json_t *value;

        json_object_foreach((json_t *)a, key, value) are =
            are && are_equal(value, json_object_get(b, key));
        return are;
    }
    return a != NULL && b != NULL && json_equal(a, b);
}

static struct rows_options options_of(struct choices *choices)
{
    uint8_t how = choose(choices);

    return (struct rows_options){.form = (enum rows_form)(how % 3),
                                 .as_arrays = (how & 8) != 0,
                                 .as_text = (how & 48) == 48,
                                 .index = how};
}

static void check(const struct model *model, const json_t *read, const char *error)
{
    const char *name = model->options.form == ROWS_NEON ? "message" : "error";
    const json_t *told = json_object_get(read, name);

    if (error == NULL)
        REQUIRE(told == NULL);
    else if (model->options.form == ROWS_NEON)
        REQUIRE(strcmp(json_string_value(told), error) == 0);
    else
        REQUIRE(strcmp(json_string_value(json_object_get(told, "message")), error) == 0);
    if (error == NULL || model->options.form != ROWS_NEON)
        REQUIRE(are_equal(model->rows, json_object_get(read, "rows")));
}

static void tell_a_result(struct choices *choices)
{
    struct model model = {.choices = choices, .options = options_of(choices), .rows = json_array()};
    bool is_failing = choose(choices) % 4 == 0;
    struct outcome outcome;
    json_t *read;

    wire_add_bare(&model.said, WIRE_PARSE_COMPLETE);
    wire_add_bare(&model.said, WIRE_BIND_COMPLETE);
    describe(&model);
    for (unsigned count = choose(choices) % MOST_ROWS; count > 0; count--)
        say_row(&model);
    if (is_failing)
        wire_add_error(&model.said, &(struct wire_error){"ERROR", "22012", "no\n", "d", NULL});
    else
        wire_add_command_complete(&model.said, "SELECT 1");
    wire_add_ready_for_query(&model.said, 'I');
    REQUIRE(!model.said.failed);

    outcome = tell_in_all_ways(all_of(&model.said, 0), &model.options, choices);
    REQUIRE(outcome.is_over && !outcome.is_cut_off && outcome.used == model.said.length);
    read = read_told(&outcome, &model.options);
    check(&model, read, is_failing ? "no\n" : NULL);
    json_decref(read);
    json_decref(model.rows);
    bytes_free(&outcome.told);
    bytes_free(&model.said);
}

/* Bodies that nearly fit. */
static void say_anything(struct choices *choices, struct bytes *said)
{
    static const char types[] = "12TTDDDDDDECZnISNAtGHd";
    static const char letters[] = "\0\0\0\0\0\0\1\1\2\3\4\xff"
                                  "SVCMPL{},\"\\[]=01n\xc3\xa9 ";
    uint8_t body[64], length = choose(choices) % sizeof(body), shape = choose(choices);

    for (unsigned i = 0; i < length; i++)
        body[i] = shape % 4 == 0 ? choose(choices)
                                 : (uint8_t)letters[choose(choices) % (sizeof(letters) - 1)];
    if (shape % 2 && length > 2) /* so many columns, as were described */
        memcpy(body, (uint8_t[]){0, shape % 3}, 2);
    say(said, types[choose(choices) % (sizeof(types) - 1)], (struct slice){body, length});
}

static void tell_anything(struct choices *choices)
{
    struct model model = {.choices = choices, .options = options_of(choices)};
    uint8_t limits = choose(choices);
    struct outcome outcome;

    model.options.rows_most = limits % 4;
    model.options.bytes_most = limits & 16 ? 100 : 0;
    if (limits & 32) {
        describe(&model);
        for (unsigned i = 0; i < model.columns_length; i++)
            if (model.columns[i]->oid == JSON || model.columns[i]->element == JSON)
                model.options.as_text = true; /* what a server calls JSON is believed */
    }
    while (choices->length > 0)
        say_anything(choices, &model.said);
    outcome = tell_in_all_ways(all_of(&model.said, 0), &model.options, choices);
    if (!outcome.is_cut_off)
        json_decref(read_told(&outcome, &model.options));
    bytes_free(&outcome.told);
    bytes_free(&model.said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};

    if (choose(&choices) % 4 == 0)
        tell_anything(&choices);
    else
        tell_a_result(&choices);
    return 0;
}
