#include "drivers/postgres/sql_plain.h"

#include <string.h>
#include <strings.h>

enum { BEGINNING = 7 }; /* the length of each word, with what is behind it */

static bool begins_plainly(struct slice text)
{
    static const char *const words[] = {"select", "insert", "update", "delete"};

    if (text.length < BEGINNING || text.at[BEGINNING - 1] != ' ')
        return false;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strncasecmp((const char *)text.at, words[i], BEGINNING - 1) == 0)
            return true;
    return false;
}

/* Whether a word stands somewhere, in letters of either size; which of them is letter, and rare,
 * is at. */
static bool has(struct slice text, const char *word, size_t at, uint8_t letter)
{
    size_t length = strlen(word);
    const uint8_t *p = text.at, *end = text.at + text.length;

    while ((p = memchr(p, letter, (size_t)(end - p))) != NULL) {
        if ((size_t)(p - text.at) >= at && (size_t)(end - p) >= length - at &&
            strncasecmp((const char *)p - at, word, length) == 0)
            return true;
        p++;
    }
    return false;
}

static bool has_byte(struct slice text, uint8_t byte)
{
    return memchr(text.at, byte, text.length) != NULL;
}

bool sql_plain(struct slice text)
{
    if (!begins_plainly(text))
        return false;
    while (text.at[text.length - 1] == ' ' || text.at[text.length - 1] == '\n')
        text.length--;
    if (text.at[text.length - 1] == ';')
        text.length--;
    /* Another statement, an end that comes early, what reads otherwise elsewhere, U&"names": */
    if (has_byte(text, ';') || has_byte(text, '\0') || has_byte(text, '\\') || has_byte(text, '&'))
        return false;
    return !has(text, "set_config", 3, '_') && !has(text, "advisory", 2, 'v') &&
           !has(text, "advisory", 2, 'V') && !has(text, "temp", 2, 'm') &&
           !has(text, "temp", 2, 'M');
}
