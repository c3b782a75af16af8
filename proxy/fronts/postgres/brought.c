#include "proxy/fronts/postgres/brought.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "proxy/fronts/postgres/startup.h"

enum { LONGEST_NAME = 127 };

static bool is(struct slice name, const char *text)
{
    return name.length == strlen(text) &&
           strncasecmp(text, (const char *)name.at, name.length) == 0;
}

static bool is_one_of(struct slice name, const char *list)
{
    size_t length;

    for (; *list != '\0'; list += length) {
        list += strspn(list, ", ");
        length = strcspn(list, ", ");
        if (length == name.length && strncasecmp(list, (const char *)name.at, length) == 0)
            return true;
    }
    return false;
}

/* ---- a command line ---------------------------------------------------------------------- */

/* The next word of options, without its backslashes. NULL for want of memory: failed. */
static bool next_word(struct slice *options, struct bytes *word)
{
    bytes_clear(word);
    while (options->length > 0 && isspace(*options->at)) {
        options->at++;
        options->length--;
    }
    if (options->length == 0)
        return false;
    while (options->length > 0 && !isspace(*options->at)) {
        if (*options->at == '\\' && options->length > 1) {
            options->at++;
            options->length--;
        }
        bytes_add(word, options->at, 1);
        options->at++;
        options->length--;
    }
    return !word->failed;
}

/* name=value after -c or --; in the name a minus is an underscore. */
static bool cut(struct bytes *word, size_t from, struct slice *name, struct slice *value)
{
    uint8_t *equals =
        word->length > from ? memchr(word->at + from, '=', word->length - from) : NULL;

    if (equals == NULL || equals == word->at + from)
        return false;
    for (uint8_t *at = word->at + from; at < equals; at++)
        if (*at == '-')
            *at = '_';
    *name = (struct slice){word->at + from, (size_t)(equals - word->at) - from};
    *value = (struct slice){equals + 1, word->length - (size_t)(equals + 1 - word->at)};
    return true;
}

/* False at the end, and where it is not understood: then options is not empty, or word is not. */
static bool next_option(struct slice *options, struct bytes *word, struct slice *name,
                        struct slice *value)
{
    if (!next_word(options, word))
        return false;
    if (word->length == 2 && memcmp(word->at, "-c", 2) == 0) {
        if (next_word(options, word))
            return cut(word, 0, name, value);
        bytes_add(word, "-c", 2);
        return false;
    }
    if (word->length > 2 && (memcmp(word->at, "-c", 2) == 0 || memcmp(word->at, "--", 2) == 0))
        return cut(word, 2, name, value);
    return false;
}

/* ---- whether it will do ------------------------------------------------------------------ */

static bool is_valid(struct slice name, struct slice value, const struct parameters *none,
                     char *text, size_t size)
{
    bool kept = parameters_find(name) != PARAMETERS_COUNT ||
                (name.length <= LONGEST_NAME && parameters_may_keep(none, name, value));

    if (!kept)
        snprintf(text, size, "unsupported startup parameter: %.*s",
                 (int)(name.length < 64 ? name.length : 64), (const char *)name.at);
    return kept;
}

static bool are_valid(struct slice options, const struct parameters *none, char *text, size_t size)
{
    struct bytes word = {0};
    struct slice name, value;
    bool valid = true;

    while (valid && next_option(&options, &word, &name, &value))
        valid = is_valid(name, value, none, text, size);
    if (valid && word.length > 0) {
        snprintf(text, size, "invalid command-line argument for server process: %.*s",
                 (int)(word.length < 64 ? word.length : 64), (const char *)word.at);
        valid = false;
    }
    valid &= !word.failed;
    bytes_free(&word);
    return valid;
}

bool brought_is_valid(struct slice parameters, const char *ignored, char *text, size_t size)
{
    struct parameters_set set = {0};
    const struct parameters *none = parameters_empty(&set);
    struct slice name, value;
    bool valid = none != NULL;

    snprintf(text, size, "out of memory");
    while (valid && startup_next_parameter(&parameters, &name, &value)) {
        if (is_one_of(name, ignored))
            continue;
        valid = is(name, "options") ? are_valid(value, none, text, size)
                                    : is_valid(name, value, none, text, size);
    }
    parameters_release(&set, none);
    return valid;
}

/* ---- what it comes to -------------------------------------------------------------------- */

/* Servers report the encoding by one name; clients call it by many. */
static struct slice canonical(enum parameters_name name, struct slice value)
{
    static const char *const utf8[] = {"utf8", "utf-8", "unicode"};

    for (size_t i = 0; name == PARAMETERS_CLIENT_ENCODING && i < COUNT_OF(utf8); i++)
        if (is(value, utf8[i]))
            return SLICE("UTF8");
    return value;
}

static const struct parameters *add(struct parameters_set *set, const struct parameters *p,
                                    struct slice name, struct slice value)
{
    enum parameters_name reported = parameters_find(name);
    uint8_t folded[LONGEST_NAME];

    if (reported != PARAMETERS_COUNT)
        return parameters_change(set, p, reported, canonical(reported, value));
    if (name.length > LONGEST_NAME)
        return p;
    for (size_t i = 0; i < name.length; i++)
        folded[i] = (uint8_t)tolower(name.at[i]);
    return parameters_set_extra(set, p, (struct slice){folded, name.length}, value);
}

static const struct parameters *add_options(struct parameters_set *set, const struct parameters *p,
                                            struct slice options)
{
    struct bytes word = {0};
    struct slice name, value;

    while (next_option(&options, &word, &name, &value))
        p = add(set, p, name, value);
    bytes_free(&word);
    return p;
}

/* As in PostgreSQL the options come first, whatever their place. */
const struct parameters *brought_settings(struct parameters_set *set,
                                          const struct parameters *standard,
                                          struct slice parameters, const char *ignored)
{
    const struct parameters *p = parameters_hold(standard);
    struct slice rest = parameters, name, value;

    while (startup_next_parameter(&rest, &name, &value))
        if (is(name, "options") && !is_one_of(name, ignored))
            p = add_options(set, p, value);
    while (startup_next_parameter(&parameters, &name, &value))
        if (!is(name, "options") &&
            (parameters_find(name) != PARAMETERS_COUNT || !is_one_of(name, ignored)))
            p = add(set, p, name, value);
    return p;
}
