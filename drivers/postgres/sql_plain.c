#include "drivers/postgres/sql_plain.h"

#include <string.h>
#include <strings.h>

enum { BEGINNING = 7 }; /* the length of each word, with what is behind it */

static bool begins_plainly(struct slice text)
{
    static const char *const verbs[] = {"select", "insert", "update", "delete"};

    if (text.length < BEGINNING || text.at[BEGINNING - 1] != ' ')
        return false;
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        if ((text.at[0] | 0x20) == verbs[i][0] &&
            strncasecmp((const char *)text.at, verbs[i], BEGINNING - 1) == 0)
            return true;
    return false;
}

/* Another statement, an end that comes early, what reads otherwise elsewhere, U&"names"; or a word
 * that matters, given away by a letter of it that is rare. */
enum mark { NOTHING, ALONE, SET_CONFIG, ADVISORY, TEMP };

static const uint8_t marks[256] = {
    [';'] = ALONE,    ['\0'] = ALONE,   ['\\'] = ALONE, ['&'] = ALONE, ['_'] = SET_CONFIG,
    ['v'] = ADVISORY, ['V'] = ADVISORY, ['m'] = TEMP,   ['M'] = TEMP,
};

static const struct {
    const char *word;
    uint8_t length, at; /* at: where that letter is in it */
} words[] = {
    [SET_CONFIG] = {"set_config", 10, 3},
    [ADVISORY] = {"advisory", 8, 2},
    [TEMP] = {"temp", 4, 2},
};

/* Whether that which is at a mark stands there. */
static bool stands_at(struct slice text, size_t i, enum mark mark)
{
    const char *word;
    size_t length, at;

    if (mark == ALONE)
        return true;
    word = words[mark].word;
    length = words[mark].length;
    at = words[mark].at;
    return i >= at && text.length - i >= length - at &&
           (text.at[i + 1] | 0x20) == word[at + 1] && /* mostly that is the end of it */
           strncasecmp((const char *)text.at + i - at, word, length) == 0;
}

static bool is_remarkable(struct slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        uint8_t mark = marks[text.at[i]];

        if (mark != NOTHING && stands_at(text, i, (enum mark)mark))
            return true;
    }
    return false;
}

bool sql_plain(struct slice text)
{
    if (!begins_plainly(text))
        return false;
    while (text.at[text.length - 1] == ' ' || text.at[text.length - 1] == '\n')
        text.length--;
    if (text.at[text.length - 1] == ';')
        text.length--;
    return !is_remarkable(text);
}
