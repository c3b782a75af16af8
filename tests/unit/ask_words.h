/*
 * tests/unit/ask_words.h - what was understood of a request, in a line.
 *
 *      told(ask_db(&ask, body, &limits, &error));      "parallel continue objects: sql 'select 1'"
 *                                                      "400 queries[0]: ..."
 *
 * Parameters stand in brackets, as in ['a', NULL]; a byte that does not print is \xx.
 */
#ifndef TESTS_UNIT_ASK_WORDS_H
#define TESTS_UNIT_ASK_WORDS_H

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/http/ask.h"

static struct ask ask;
static struct ask_error error;
static struct bytes line;

static inline struct slice slice_of(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

static inline void show_text(const char *before, struct slice text)
{
    bytes_print(&line, "%s", before);
    if (text.at == NULL) {
        bytes_print(&line, "NULL");
        return;
    }
    bytes_print(&line, "'");
    for (size_t i = 0; i < text.length; i++)
        bytes_print(&line, isprint(text.at[i]) ? "%c" : "\\%02x", text.at[i]);
    bytes_print(&line, "'");
}

static inline void show_list(const struct slice *list, size_t length)
{
    bytes_print(&line, " [");
    for (size_t i = 0; i < length; i++)
        show_text(i > 0 ? ", " : "", list[i]);
    bytes_print(&line, "]");
}

static inline void show_query(const struct ask_query *query)
{
    if (query->arguments != NULL) {
        bytes_print(&line, " redis");
        show_list(query->arguments, query->arguments_length);
    } else {
        show_text(" sql ", query->sql);
    }
    if (query->params_length > 0)
        show_list(query->params, query->params_length);
    if (query->database.length > 0)
        show_text(" db ", query->database);
    if (query->timeout_ms > 0)
        bytes_print(&line, " %llums", (unsigned long long)query->timeout_ms);
    if (query->rows != ask.rows)
        bytes_print(&line, query->rows == ASK_ROWS_ARRAYS ? " arrays" : " objects");
}

static inline void show_request(void)
{
    static const char *const modes[] = {"parallel", "pipeline", "transaction"};
    static const char *const on_errors[] = {"continue", "stop", "cancel"};
    static const char *const isolations[] = {"", " read uncommitted", " read committed",
                                             " repeatable read", " serializable"};

    bytes_print(&line, "%s %s", modes[ask.mode], on_errors[ask.on_error]);
    bytes_print(&line, "%s%s%s", isolations[ask.isolation], ask.read_only ? " read only" : "",
                ask.deferrable ? " deferrable" : "");
    bytes_print(&line, "%s%s%s", ask.format == ASK_FORMAT_TEXT ? " text" : "",
                ask.numbers == ASK_NUMBERS_EXACT ? " exact" : "",
                ask.rows == ASK_ROWS_ARRAYS ? " arrays" : "");
    if (ask.timeout_ms > 0)
        bytes_print(&line, " %llums", (unsigned long long)ask.timeout_ms);
    if (ask.max_rows > 0 || ask.max_bytes > 0)
        bytes_print(&line, " %llu rows %llu bytes", (unsigned long long)ask.max_rows,
                    (unsigned long long)ask.max_bytes);
    bytes_print(&line, "%s:", ask.is_batch ? " batch" : "");
    for (size_t i = 0; i < ask.queries_length; i++)
        show_query(&ask.queries[i]);
}

/* Lent until the next call; forgets the ask. */
static inline const char *told(enum err e)
{
    bytes_clear(&line);
    if (e == ERR_OK)
        show_request();
    else
        bytes_print(&line, "%d %s", error.status, error.why);
    bytes_add(&line, "", 1);
    cr_assert_not(line.failed);
    ask_free(&ask);
    return (const char *)line.at;
}

static inline void finish(void)
{
    ask_free(&ask);
    bytes_free(&line);
    clean_end();
}

#endif
