/*
 * tests/unit/http_rows_story.h - what a server says about one query, and what is told of it.
 *
 *      describes("n:23 t:25");                 columns and the OIDs of their types
 *      says_row("1", NULL);
 *      completes("SELECT 1");
 *      is_told(neon, "{...}");                 whole, and cut in two at every byte
 */
#ifndef TESTS_UNIT_HTTP_ROWS_STORY_H
#define TESTS_UNIT_HTTP_ROWS_STORY_H

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/postgres/wire.h"
#include "proxy/fronts/http/rows.h"

enum { MOST_COLUMNS = 32 };

static const struct rows_options neon = {.form = ROWS_NEON},
                                 neon_arrays = {.form = ROWS_NEON, .as_arrays = true},
                                 neon_raw = {.form = ROWS_NEON, .as_text = true},
                                 db = {.form = ROWS_DB},
                                 db_arrays = {.form = ROWS_DB, .as_arrays = true},
                                 lines = {.form = ROWS_NDJSON, .index = 7};

static struct bytes said, told;
static struct rows rows;
static uint16_t columns;

static void forget(void)
{
    bytes_free(&said);
    bytes_free(&told);
    rows_fini(&rows);
    clean_end();
}

/* ---- what the server says ---------------------------------------------------------------- */

static void message(char type, struct slice body)
{
    uint8_t *head;

    head = bytes_extend(&said, 5);
    cr_assert_not_null(head);
    head[0] = (uint8_t)type;
    bytes_put_u32(head + 1, (uint32_t)body.length + 4);
    bytes_add(&said, body.at, body.length);
}

static inline void describes(const char *names)
{
    struct bytes body = {0};
    char *copy = strdup(names);

    columns = 0;
    bytes_add(&body, "\0\0", 2);
    for (char *name = strtok(copy, " "); name != NULL; name = strtok(NULL, " "), columns++) {
        char *colon = strchr(name, ':');
        uint8_t rest[18] = {
            0, 0, 0x40, (uint8_t)columns, 0, (uint8_t)(columns + 1)}; /* table, column */

        *colon = '\0';
        bytes_add(&body, name, strlen(name) + 1);
        bytes_put_u32(rest + 6, (uint32_t)atoi(colon + 1));
        rest[10] = rest[11] = 0xff; /* of any size */
        bytes_put_u32(rest + 12, UINT32_MAX);
        bytes_add(&body, rest, sizeof(rest));
    }
    body.at[1] = (uint8_t)columns;
    message('T', (struct slice){body.at, body.length});
    bytes_free(&body);
    free(copy);
}

/* As many texts as columns were described; NULL is NULL. */
static inline void says_row(const char *first, ...)
{
    struct slice values[MOST_COLUMNS];
    va_list arguments;
    const char *value = first;

    va_start(arguments, first);
    for (uint16_t i = 0; i < columns; i++) {
        values[i] = (struct slice){(const uint8_t *)value, value != NULL ? strlen(value) : 0};
        if (i + 1 < columns)
            value = va_arg(arguments, const char *);
    }
    va_end(arguments);
    wire_add_data_row(&said, values, columns);
}

static inline void is_bound(void)
{
    wire_add_bare(&said, WIRE_PARSE_COMPLETE);
    wire_add_bare(&said, WIRE_BIND_COMPLETE);
}

static inline void completes(const char *tag)
{
    wire_add_command_complete(&said, tag);
    wire_add_ready_for_query(&said, 'I');
}

/* ---- what is told ------------------------------------------------------------------------ */

/* Shows a piece, as memory of its own, and does what the sights ask for. */
static bool show(struct slice piece)
{
    uint8_t *copy = malloc(piece.length + 1);
    size_t from = 0, used;
    enum rows_sight sight = ROWS_MORE;

    cr_assert_not_null(copy);
    memcpy(copy, piece.at, piece.length);
    while (from < piece.length && sight != ROWS_READY) {
        sight = rows_take(&rows, (struct slice){copy + from, piece.length - from}, &used, &told);
        from += used;
        cr_assert(from <= piece.length);
        cr_assert(sight != ROWS_MORE || from == piece.length);
        if (sight == ROWS_FAILED && rows.options.form == ROWS_NEON)
            told.length = 0;
        if (sight <= ROWS_FAILED)
            continue;
        if (rows.options.form == ROWS_NEON)
            told.length = 0;
        if (!rows_refuse(&rows, sight, &told))
            bytes_print(&told, " and is broken off");
        if (sight == ROWS_BROKEN)
            break;
    }
    free(copy);
    return sight == ROWS_READY || sight == ROWS_BROKEN;
}

static void show_cut(const struct rows_options *options, size_t at, const char *expected)
{
    bool is_over;

    bytes_clear(&told);
    rows_begin(&rows, options);
    is_over = show((struct slice){said.at, at});
    if (!is_over)
        is_over = show((struct slice){said.at + at, said.length - at});
    cr_assert(is_over, "not at its end, cut at %zu", at);
    bytes_add(&told, "", 1);
    cr_assert_str_eq((char *)told.at, expected, "cut at %zu:\n%s\nnot\n%s", at, (char *)told.at,
                     expected);
}

static inline void is_told(struct rows_options options, const char *expected)
{
    bool is_over = false;

    cr_assert(!said.failed);
    for (size_t at = 0; at <= said.length; at++)
        show_cut(&options, at, expected);

    bytes_clear(&told);
    rows_begin(&rows, &options);
    for (size_t i = 0; i < said.length && !is_over; i++)
        is_over = show((struct slice){said.at + i, 1});
    bytes_add(&told, "", 1);
    cr_assert_str_eq((char *)told.at, expected, "byte by byte: %s", (char *)told.at);
}

#endif
