#include "base/option.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MS = 1000, LONGEST_NAME = 63 };

/* ---- words: "text json | xml" ------------------------------------------------------------ */

/* Moves *words to the next word and gives its length; 0 at the end. */
static size_t next_word(const char **words)
{
    *words += strspn(*words, " ");
    return strcspn(*words, " ");
}

static void read_word(const struct option_row *row, const char *text, uint64_t *number,
                      struct mistake_list *mistakes)
{
    const char *word = row->words;
    bool implemented = true;
    uint64_t place = 0;
    size_t length;

    for (; (length = next_word(&word)) > 0; word += length, place++) {
        if (*word == '|')
            implemented = false;
        if (strlen(text) != length || strncasecmp(word, text, length) != 0)
            continue;
        if (implemented)
            *number = place;
        else
            mistake_add(mistakes, "%s: \"%s\" is not implemented yet", row->name, text);
        return;
    }
    length = strcspn(row->words, "|");
    length -= row->words[length] == '|'; /* and the blank before it */
    mistake_add(mistakes, "%s: \"%s\" is none of: %.*s", row->name, text, (int)length, row->words);
}

static void print_word(const struct option_row *row, uint64_t place, struct bytes *out)
{
    const char *word = row->words;
    size_t length = next_word(&word);

    for (; place > 0 && length > 0; place--) {
        word += length;
        length = next_word(&word);
    }
    bytes_add(out, word, length);
}

/* ---- text to number and back ------------------------------------------------------------- */

static void read_count(const struct option_row *row, const char *text, uint64_t *number,
                       struct mistake_list *mistakes)
{
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 0);

    /* strtoull would take " -1". */
    if (text[0] < '0' || text[0] > '9' || *end != '\0')
        mistake_add(mistakes, "%s: \"%s\" is not a whole number", row->name, text);
    else if (value < row->least)
        mistake_add(mistakes, "%s: %s is less than %" PRIu64, row->name, text, row->least);
    else if (value > row->most && row->kind == OPTION_KIND_MODE)
        mistake_add(mistakes, "%s: %s is no mode; one is octal, like 0770", row->name, text);
    else if (value > row->most)
        mistake_add(mistakes, "%s: %s is more than %" PRIu64, row->name, text, row->most);
    else
        *number = value;
}

static void read_seconds(const struct option_row *row, const char *text, uint64_t *number,
                         struct mistake_list *mistakes)
{
    const double most = 1e12; /* 30 thousand years, and exact in ms */
    char *end = NULL;
    double seconds = strtod(text, &end);

    if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= most))
        mistake_add(mistakes, "%s: \"%s\" is not a number of seconds", row->name, text);
    else if (seconds > 0 && seconds * MS < 1)
        *number = 1; /* 0 would mean: never */
    else
        *number = (uint64_t)(seconds * MS + 0.5);
}

/* All but a string is a number inside; number is left alone if text is a mistake. */
static void read_number(const struct option_row *row, const char *text, uint64_t *number,
                        struct mistake_list *mistakes)
{
    switch (row->kind) {
    case OPTION_KIND_SECONDS:
        read_seconds(row, text, number, mistakes);
        break;
    case OPTION_KIND_WORD:
        read_word(row, text, number, mistakes);
        break;
    case OPTION_KIND_STRING:
    case OPTION_KIND_COUNT:
    case OPTION_KIND_BYTES:
    case OPTION_KIND_BOOL:
    case OPTION_KIND_MODE:
        read_count(row, text, number, mistakes);
        if (row->kind == OPTION_KIND_BOOL)
            *number = *number != 0;
        break;
    }
}

static void print_number(const struct option_row *row, uint64_t number, struct bytes *out)
{
    switch (row->kind) {
    case OPTION_KIND_SECONDS:
        bytes_print(out, "%.15g", (double)number / MS);
        break;
    case OPTION_KIND_WORD:
        print_word(row, number, out);
        break;
    case OPTION_KIND_MODE:
        bytes_print(out, "%04" PRIo64, number);
        break;
    case OPTION_KIND_STRING:
    case OPTION_KIND_COUNT:
    case OPTION_KIND_BYTES:
    case OPTION_KIND_BOOL:
        bytes_print(out, "%" PRIu64, number);
        break;
    }
}

/* ---- a row and its place in the struct --------------------------------------------------- */

static void store(const struct option_row *row, void *into, uint64_t number)
{
    void *at = (char *)into + row->at;

    if (row->kind == OPTION_KIND_BOOL)
        *(bool *)at = number != 0;
    else if (row->kind == OPTION_KIND_WORD)
        *(int *)at = (int)number; /* OPTION_UNSET becomes -1 */
    else
        *(uint64_t *)at = number;
}

static uint64_t load(const struct option_row *row, const void *from)
{
    const void *at = (const char *)from + row->at;

    if (row->kind == OPTION_KIND_BOOL)
        return *(const bool *)at;
    if (row->kind == OPTION_KIND_WORD)
        return (uint64_t) * (const int *)at;
    return *(const uint64_t *)at;
}

static char **string_at(const struct option_row *row, void *into)
{
    return (char **)(void *)((char *)into + row->at);
}

static void set_string(const struct option_row *row, void *into, const char *text,
                       struct mistake_list *mistakes)
{
    char *copy = strdup(text);

    if (copy == NULL) {
        mistake_add_no_memory(mistakes);
        return;
    }
    free(*string_at(row, into));
    *string_at(row, into) = copy;
}

static void warn_if_changed(const struct option_row *row, const char *text,
                            struct mistake_list *mistakes)
{
    uint64_t number = OPTION_UNSET, standard = OPTION_UNSET;
    bool same = row->standard != NULL && strcmp(text, row->standard) == 0;
    size_t errors = mistakes->errors;

    if (row->kind != OPTION_KIND_STRING && row->standard != NULL) {
        read_number(row, text, &number, mistakes);
        read_number(row, row->standard, &standard, mistakes);
        same = number == standard;
    }
    if (!same && mistakes->errors == errors)
        mistake_warn(mistakes, "%s is not implemented yet, and ignored", row->name);
}

void option_set(const struct option_row *row, void *into, const char *text,
                struct mistake_list *mistakes)
{
    uint64_t number = 0;
    size_t errors = mistakes->errors;

    if (row->at == OPTION_NOWHERE) {
        warn_if_changed(row, text, mistakes);
    } else if (row->kind == OPTION_KIND_STRING) {
        set_string(row, into, text, mistakes);
    } else {
        read_number(row, text, &number, mistakes);
        if (mistakes->errors == errors)
            store(row, into, number);
    }
}

/* ---- a table ----------------------------------------------------------------------------- */

void option_reset(const struct option_table *table, void *into, struct mistake_list *mistakes)
{
    for (const struct option_row *row = table->rows; row < table->rows + table->count; row++) {
        if (row->at == OPTION_NOWHERE)
            continue;
        if (row->standard != NULL)
            option_set(row, into, row->standard, mistakes);
        else if (row->kind != OPTION_KIND_STRING)
            store(row, into, OPTION_UNSET);
    }
}

void option_free(const struct option_table *table, void *into)
{
    for (const struct option_row *row = table->rows; row < table->rows + table->count; row++) {
        if (row->kind != OPTION_KIND_STRING || row->at == OPTION_NOWHERE)
            continue;
        free(*string_at(row, into));
        *string_at(row, into) = NULL;
    }
}

const struct option_row *option_find(const struct option_table *table, const char *name)
{
    for (const struct option_row *row = table->rows; row < table->rows + table->count; row++)
        if (strcmp(row->name, name) == 0)
            return row;
    return NULL;
}

void option_assign(const struct option_table *table, void *into, const char *name, const char *text,
                   struct mistake_list *mistakes)
{
    const struct option_row *row = option_find(table, name);
    const char *near;

    if (row != NULL) {
        option_set(row, into, text, mistakes);
        return;
    }
    near = option_nearest(table, name);
    if (near != NULL)
        mistake_add(mistakes, "unknown %s \"%s\"; did you mean %s?", table->what, name, near);
    else
        mistake_add(mistakes, "unknown %s \"%s\"", table->what, name);
}

/* ---- did you mean ...? ------------------------------------------------------------------- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must be put in, left out or changed to make one name of the other.
 * row[j] is what it costs to make the first j letters of b of those of a seen so far. */
static size_t distance(const char *a, const char *b)
{
    size_t row[LONGEST_NAME + 1], length = strlen(b);

    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (; *a != '\0'; a++) {
        size_t diagonal = row[0]++;

        for (size_t j = 1; j <= length; j++) {
            size_t changed = diagonal + (*a != b[j - 1]);

            diagonal = row[j];
            row[j] = least(changed, least(row[j - 1], row[j]) + 1);
        }
    }
    return row[length];
}

const char *option_nearest(const struct option_table *table, const char *name)
{
    const char *nearest = NULL;
    size_t shortest = strlen(name) / 3 + 2; /* as far away is another word */

    if (strlen(name) > LONGEST_NAME)
        return NULL;
    for (size_t i = 0; i < table->count; i++) {
        size_t away = distance(table->rows[i].name, name);

        if (away < shortest) {
            shortest = away;
            nearest = table->rows[i].name;
        }
    }
    return nearest;
}

/* ---- out again --------------------------------------------------------------------------- */

bool option_print(const struct option_row *row, const void *from, struct bytes *out)
{
    const char *text = row->standard;

    if (row->at != OPTION_NOWHERE && row->kind != OPTION_KIND_STRING) {
        uint64_t number = load(row, from);

        if (number != OPTION_UNSET)
            print_number(row, number, out);
        return number != OPTION_UNSET;
    }
    if (row->at != OPTION_NOWHERE)
        text = *(char *const *)(const void *)((const char *)from + row->at);
    if (text != NULL)
        bytes_add(out, text, strlen(text));
    return text != NULL;
}

static void document_words(const struct option_row *row, struct bytes *out)
{
    const char *word = row->words, *comma = "";
    size_t length;

    for (; (length = next_word(&word)) > 0 && *word != '|'; word += length) {
        bytes_print(out, "%s`%.*s`", comma, (int)length, word);
        comma = ", ";
    }
}

static void document_kind(const struct option_row *row, struct bytes *out)
{
    static const char *const kinds[] = {
        [OPTION_KIND_STRING] = "text",     [OPTION_KIND_COUNT] = "number",
        [OPTION_KIND_BYTES] = "bytes",     [OPTION_KIND_BOOL] = "0 or 1",
        [OPTION_KIND_SECONDS] = "seconds", [OPTION_KIND_MODE] = "octal mode",
    };

    if (row->kind == OPTION_KIND_WORD) {
        document_words(row, out);
        return;
    }
    bytes_print(out, "%s", kinds[row->kind]);
    if (row->kind != OPTION_KIND_COUNT && row->kind != OPTION_KIND_BYTES)
        return;
    if (row->most < OPTION_ANY)
        bytes_print(out, ", %" PRIu64 " to %" PRIu64, row->least, row->most);
    else if (row->least > 0)
        bytes_print(out, ", at least %" PRIu64, row->least);
}

void option_document(const struct option_table *table, struct bytes *out)
{
    bytes_print(out,
                "| %s | value | default | changes | meaning |\n"
                "|---|---|---|---|---|\n",
                table->what);
    for (const struct option_row *row = table->rows; row < table->rows + table->count; row++) {
        const char *when = row->when == OPTION_LIVE ? "live" : "at start";
        const char *standard = row->standard != NULL ? row->standard : "";
        const char *quote = *standard != '\0' ? "`" : "";

        bytes_print(out, "| `%s` | ", row->name);
        document_kind(row, out);
        bytes_print(out, " | %s%s%s | %s | %s |\n", quote, standard, quote,
                    row->at != OPTION_NOWHERE ? when : "not yet", row->what);
    }
}
