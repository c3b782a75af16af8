#include "proxy/fronts/postgres/console_command.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum console_argument argument;
    bool is_done;
} table[CONSOLE_VERB_COUNT] = {
#define X(verb, name, argument, done) [CONSOLE_##verb] = {name, CONSOLE_ARGUMENT_##argument, done},
    CONSOLE_COMMANDS(X)
#undef X
};

const char *console_command_name(enum console_verb verb)
{
    if (verb == CONSOLE_SHOW)
        return "SHOW";
    return verb == CONSOLE_SET ? "SET" : table[verb].name;
}

enum console_argument console_command_argument(enum console_verb verb)
{
    return table[verb].argument;
}

bool console_command_is_done(enum console_verb verb)
{
    return table[verb].is_done;
}

/* ---- pieces of a text -------------------------------------------------------------------- */

/* Moves *at over blanks, and says whether there were any. */
static bool skip_blanks(const char **at)
{
    size_t length = strspn(*at, " \t\n\r");

    *at += length;
    return length > 0;
}

/* 0: they do not end. */
static size_t quoted_length(const char *at, char quote)
{
    const char *end = strchr(at + 1, quote);

    while (end != NULL && end[1] == quote) /* two are one of what is quoted */
        end = strchr(end + 2, quote);
    return end != NULL ? (size_t)(end - at) + 1 : 0;
}

/* Moves *at over a word, and gives it with its quotes; its length is 0 when there is none. */
static struct slice take_word(const char **at)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t length = **at == '"' ? quoted_length(*at, '"') : strspn(*at, letters);
    struct slice word = {(const uint8_t *)*at, length};

    *at += length;
    return word;
}

static struct slice take_string(const char **at)
{
    struct slice string = {(const uint8_t *)*at, quoted_length(*at, '\'')};

    *at += string.length;
    return string;
}

static bool is_end(const char *at)
{
    skip_blanks(&at);
    if (*at == ';')
        at++;
    skip_blanks(&at);
    return *at == '\0';
}

/* Without its quotes. False: it does not fit. */
static bool copy(struct slice word, char *to, size_t most)
{
    const uint8_t quote = word.length > 0 ? word.at[0] : 0;
    size_t length = 0;

    to[0] = '\0';
    if (word.length > most)
        return false;
    if (quote != '"' && quote != '\'') {
        memcpy(to, word.at, word.length);
        length = word.length;
    } else {
        for (size_t i = 1; i + 1 < word.length; i++) {
            if (word.at[i] == quote)
                i++; /* the second of two */
            to[length++] = (char)word.at[i];
        }
    }
    to[length] = '\0';
    return true;
}

/* ---- commands ---------------------------------------------------------------------------- */

static bool find_verb(const char *name, enum console_verb *verb)
{
    *verb = CONSOLE_SHOW;
    if (strcasecmp(name, "SHOW") == 0 || strcasecmp(name, "SELECT") == 0)
        return true;
    for (unsigned i = 0; i < CONSOLE_VERB_COUNT; i++) {
        *verb = (enum console_verb)i;
        if (strcasecmp(name, table[i].name) == 0)
            return true;
    }
    return false;
}

/* What follows the SET. */
static enum console_command_sense parse_set(const char *at, struct console_command *command)
{
    struct slice key, value;

    key = take_word(&at);
    skip_blanks(&at);
    if (key.length == 0 || (*at != '=' && strncasecmp(at, "to", 2) != 0))
        return CONSOLE_COMMAND_UNKNOWN;
    at += *at == '=' ? 1 : 2;
    skip_blanks(&at);
    value = *at == '\'' ? take_string(&at) : take_word(&at);
    if (value.length == 0 || !is_end(at))
        return CONSOLE_COMMAND_UNKNOWN;
    command->verb = CONSOLE_SET;
    if (!copy(key, command->argument, CONSOLE_COMMAND_ARGUMENT_MOST) ||
        !copy(value, command->value, CONSOLE_COMMAND_VALUE_MOST) || command->argument[0] == '\0')
        return CONSOLE_COMMAND_TOO_LONG;
    return CONSOLE_COMMAND_READ;
}

enum console_command_sense console_command_parse(const char *text, struct console_command *command)
{
    char verb[CONSOLE_COMMAND_VERB_MOST + 1];
    struct slice first, second = {NULL, 0};
    const char *rest;
    bool apart;

    *command = (struct console_command){0};
    skip_blanks(&text);
    first = take_word(&text);
    rest = text;
    apart = skip_blanks(&rest);
    if (first.length == 0)
        return CONSOLE_COMMAND_UNKNOWN;
    if (apart && first.length == 3 && strncasecmp((const char *)first.at, "set", 3) == 0)
        return parse_set(rest, command);
    if (apart)
        second = take_word(&rest);
    if (!is_end(rest))
        return CONSOLE_COMMAND_UNKNOWN;
    if (!copy(first, verb, CONSOLE_COMMAND_VERB_MOST) ||
        (second.length > 0 && !copy(second, command->argument, CONSOLE_COMMAND_ARGUMENT_MOST)))
        return CONSOLE_COMMAND_TOO_LONG;
    return find_verb(verb, &command->verb) ? CONSOLE_COMMAND_READ : CONSOLE_COMMAND_UNKNOWN;
}
