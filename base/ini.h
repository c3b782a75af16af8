/*
 * base/ini.h - PgBouncer's dialect of ini files.
 *
 *      ; a comment, as # is, but only at the start of a line
 *      [databases]
 *      main = host=10.0.0.1 password='it''s secret'
 *      "Odd ""name""" = port=5433
 *      %include more.ini
 *
 *      static void on_entry(void *owner, struct ini_entry *entry) { ... }
 *
 *      struct mistake_list mistakes = {0};
 *      struct ini_reader reader = {on_entry, owner, &mistakes};
 *      ini_read_file(&reader, "weir.ini");
 *      if (mistake_verdict(&mistakes) != ERR_OK) ...
 *
 * A line is a section, an entry, or an order to include; a value goes to the end of its
 * line. A name is of letters, digits and _.-*, or quoted in '' or "", where the quote
 * twice stands for itself. A file is included where the order stands, as if its lines
 * stood there, so a section goes on in it and behind it. Its path is relative to the
 * working directory, not to the file, as PgBouncer has it.
 *
 * A wrong line is noted and the next one is read. While an entry is shown, mistakes->at
 * is its place, so what on_entry adds to mistakes is about that line.
 */
#ifndef BASE_INI_H
#define BASE_INI_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/mistake.h"

enum { INI_LONGEST_SECTION = 63, INI_DEEPEST_INCLUDE = 10 };

/* All lent for the call; the value may be cut up. */
struct ini_entry {
    const char *section;
    const char *key; /* NULL: the section begins, and there is no value */
    char *value;
};

typedef void ini_on_entry(void *owner, struct ini_entry *entry);

struct ini_reader {
    ini_on_entry *on_entry;
    void *owner;
    struct mistake_list *mistakes;
};

void ini_read_file(const struct ini_reader *reader, const char *path);

/* The same from memory, where %include is a mistake: nothing but text is touched. The
 * name stands for the file's in messages. */
void ini_read_text(const struct ini_reader *reader, const char *name, struct slice text);

struct ini_pair {
    const char *key, *value;
};

/* Cuts the next pair off a list like: host=::1 password='it''s'. False at the end of the
 * list, or where it cannot be understood further, which is then among the mistakes. */
bool ini_next_pair(char **list, struct ini_pair *pair, struct mistake_list *mistakes) MUST_CHECK;

/* Cuts the quoted text off *text, whose first character is the quote; gives it without
 * quotes and moves *text behind it. NULL when the quote is never closed. */
char *ini_unquote(char **text) MUST_CHECK;

#endif
