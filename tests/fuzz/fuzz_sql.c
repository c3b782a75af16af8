/*
 * Any text, and texts put together from words that matter, read whole, byte by byte and in
 * random pieces. What is said of them must be the same, and within its limits. With a comment
 * or blanks between its words it is the same, too. And what is called plain is.
 */
#include "fuzz.h"

#include <string.h>

#include "drivers/postgres/sql.h"
#include "drivers/postgres/sql_plain.h"

enum { LONGEST = 8192 };

static const char *const words[] = {
    "begin",
    "commit",
    "rollback",
    "set",
    "session",
    "local",
    "a.b",
    "search_path",
    "to",
    "=",
    ",",
    "'x'",
    "E'\\'y'",
    "'\\'",
    "$$ z $$",
    "$t$ set a.b = '",
    "$t$",
    "\"q\"",
    "reset",
    "all",
    "role",
    "discard",
    "select",
    "set_config",
    "(",
    ")",
    "false",
    "true",
    "pg_catalog",
    ".",
    "do",
    "temp",
    "create",
    "into",
    "listen",
    "unlisten",
    "*",
    "prepare",
    "transaction",
    "execute",
    "deallocate",
    "declare",
    "with",
    "hold",
    "pg_advisory_lock",
    "/*",
    "*/",
    "--",
    "\n",
    ";",
    "[",
    "]",
    "-",
    "7",
    "1e5",
    "default",
    "time",
    "zone",
    "u&'x'",
    "read",
    "only",
    "isolation",
    "level",
    "$1",
    "e'a'\n",
};

static struct sql whole, cut;

static void read_cut(const uint8_t *text, size_t length, const uint8_t *pieces, size_t count)
{
    size_t at = 0;

    sql_begin(&cut);
    for (size_t i = 0; at < length; i++) {
        size_t piece = count > 0 ? 1u + pieces[i % count] % 16u : 1;

        if (piece > length - at)
            piece = length - at;
        sql_feed(&cut, (struct slice){text + at, piece});
        at += piece;
    }
    sql_end(&cut);
}

static void must_be_the_same(void)
{
    REQUIRE(whole.kind == cut.kind && whole.clear == cut.clear && whole.all == cut.all);
    REQUIRE(whole.statements == cut.statements && whole.hints == cut.hints);
    REQUIRE(strcmp(whole.name, cut.name) == 0);
    REQUIRE(whole.changes_length == cut.changes_length);
    REQUIRE(memcmp(whole.changes, cut.changes, whole.changes_length) == 0);
}

static void must_be_within_limits(size_t length)
{
    struct sql_change change;
    size_t at = 0;

    REQUIRE(strlen(whole.name) <= SQL_NAME_MOST);
    REQUIRE(whole.changes_length <= SQL_CHANGES_MOST);
    REQUIRE(whole.statements <= length + 1);
    while (sql_next_change(&whole, &at, &change))
        REQUIRE(change.kind <= SQL_CHANGE_CALLED && change.name.length <= SQL_WORD_MOST);
    REQUIRE(at == whole.changes_length);
}

static void check(const uint8_t *text, size_t length, const uint8_t *pieces, size_t count)
{
    sql_begin(&whole);
    sql_feed(&whole, (struct slice){text, length});
    sql_end(&whole);
    must_be_within_limits(length);
    read_cut(text, length, NULL, 0);
    must_be_the_same();
    read_cut(text, length, pieces, count);
    must_be_the_same();
}

/* What is called plain is of no consequence, however it is read. */
static void check_plain(const uint8_t *text, size_t length)
{
    if (!sql_plain((struct slice){text, length}))
        return;
    sql_begin(&whole);
    sql_feed(&whole, (struct slice){text, length});
    sql_end(&whole);
    REQUIRE(whole.statements == 1 && whole.changes_length == 0);
    REQUIRE((whole.hints & ~(uint32_t)SQL_EXECUTES) == 0);
    REQUIRE(whole.kind == SQL_SELECT || whole.kind == SQL_OTHER);
}

static size_t write_words(uint8_t *text, const uint8_t *data, size_t size)
{
    size_t length = 0;

    for (size_t i = 0; i < size && length < LONGEST - 32; i++) {
        const char *word = words[data[i] % COUNT_OF(words)];

        memcpy(text + length, word, strlen(word));
        length += strlen(word);
        if (data[i] < 200)
            text[length++] = ' ';
    }
    return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t text[LONGEST + 8];

    check(data, size, data, size < 7 ? size : 7);
    check(text, write_words(text, data, size), data, size < 7 ? size : 7);
    memcpy(text, "select ", 7);
    check_plain(text, 7 + write_words(text + 7, data, size));
    return 0;
}
