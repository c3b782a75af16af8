/*
 * base/option.h - settings, each declared once.
 *
 *      struct settings { uint64_t listen_port, query_timeout_ms; char *logfile; };
 *      #define AT(field) offsetof(struct settings, field)
 *
 *      static const struct option_row rows[] = {
 *          {"listen_port", OPTION_COUNT(1, 65535), AT(listen_port), "6432",
 *           OPTION_AT_START, "The port clients connect to."},
 *          ...
 *      };
 *      const struct option_table table = {rows, COUNT_OF(rows), "setting"};
 *
 *      struct settings settings = {0};
 *      option_reset(&table, &settings, &mistakes);                         its defaults
 *      option_assign(&table, &settings, "listen_port", "6433", &mistakes);
 *      option_print(option_find(&table, "listen_port"), &settings, &out);
 *      option_free(&table, &settings);
 *
 * From the rows come defaults, checks, what SHOW CONFIG prints and the documentation.
 *
 *      kind             in the struct         in text
 *      OPTION_STRING    char *, owned by it   anything
 *      OPTION_COUNT     uint64_t              a whole number: 16, 0x10 or 020, as in C
 *      OPTION_BYTES     uint64_t              the same
 *      OPTION_BOOL      bool                  a whole number: 0, or another for true
 *      OPTION_SECONDS   uint64_t, in ms       seconds, as 0.25; what is not 0 stays so
 *      OPTION_MODE      uint64_t              a file's mode: 0600
 *      OPTION_WORD      enum or int           one of the words, whatever the case;
 *                                             its place among them, from 0
 *
 * A default of NULL means not set: NULL in a string, OPTION_UNSET in a number, -1 for a
 * word; a bool always has a default. A row at OPTION_NOWHERE is known and not implemented
 * yet, and who sets it to something else than its default is warned. Words behind a | are
 * not implemented, either, and an error: who asks for them must not go on without them.
 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/mistake.h"

#define OPTION_UNSET   UINT64_MAX
#define OPTION_NOWHERE SIZE_MAX

enum option_kind {
    OPTION_KIND_STRING,
    OPTION_KIND_COUNT,
    OPTION_KIND_BYTES,
    OPTION_KIND_BOOL,
    OPTION_KIND_SECONDS,
    OPTION_KIND_MODE,
    OPTION_KIND_WORD,
};

/* Kind, range and words of a row; the largest number is kept for OPTION_UNSET. */
#define OPTION_ANY                (UINT64_MAX - 1)
#define OPTION_STRING             OPTION_KIND_STRING, 0, 0, NULL
#define OPTION_COUNT(least, most) OPTION_KIND_COUNT, least, most, NULL
#define OPTION_BYTES(least, most) OPTION_KIND_BYTES, least, most, NULL
#define OPTION_BOOL               OPTION_KIND_BOOL, 0, OPTION_ANY, NULL
#define OPTION_SECONDS            OPTION_KIND_SECONDS, 0, OPTION_ANY, NULL
#define OPTION_MODE               OPTION_KIND_MODE, 0, 0777, NULL
#define OPTION_WORD(words)        OPTION_KIND_WORD, 0, OPTION_ANY, words

enum option_when { OPTION_AT_START, OPTION_LIVE };

struct option_row {
    const char *name;
    enum option_kind kind;
    uint64_t least, most;
    const char *words; /* "text json | xml" */
    size_t at;         /* offsetof() in the struct, or OPTION_NOWHERE */
    const char *standard;
    enum option_when when; /* whether a change needs a restart */
    const char *what;      /* in one sentence */
};

struct option_table {
    const struct option_row *rows;
    size_t count;
    const char *what; /* the rows are, in messages: "setting" */
};

/* Sets every row's default, into a struct of all zero. */
void option_reset(const struct option_table *table, void *into, struct mistake_list *mistakes);

/* Sets what the text says; if that is a mistake, nothing is changed. The first finds the
 * row by name, and an unknown name is a mistake, too. */
void option_assign(const struct option_table *table, void *into, const char *name, const char *text,
                   struct mistake_list *mistakes);
void option_set(const struct option_row *row, void *into, const char *text,
                struct mistake_list *mistakes);

/* Frees the strings. */
void option_free(const struct option_table *table, void *into);

const struct option_row *option_find(const struct option_table *table, const char *name);

/* The name nearest to a misspelt one; NULL when none is near. */
const char *option_nearest(const struct option_table *table, const char *name);

/* Adds the value as option_set() would read it; false when it is not set. */
bool option_print(const struct option_row *row, const void *from, struct bytes *out);

/* Adds the rows as a Markdown table. */
void option_document(const struct option_table *table, struct bytes *out);

#endif
