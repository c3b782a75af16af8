#include "base/ini.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/file.h"

struct reading {
    const struct ini_reader *reader;
    char section[INI_LONGEST_SECTION + 1]; /* empty before the first one */
    bool may_include;
    unsigned depth;
};

static void read_lines(struct reading *r, const char *name, struct bytes *text);

/* ---- small pieces of text ---------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c != '\n' && isspace((unsigned char)c);
}

static char *skip_blanks(char *text)
{
    while (is_blank(*text))
        text++;
    return text;
}

static void cut_blanks_at_end(char *text)
{
    size_t length = strlen(text);

    while (length > 0 && is_blank(text[length - 1]))
        length--;
    text[length] = '\0';
}

static bool is_comment(const char *text)
{
    return *text == ';' || *text == '#';
}

static bool is_quote(char c)
{
    return c == '\'' || c == '"';
}

static bool is_of_name(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("_.-*", c) != NULL);
}

char *ini_unquote(char **text)
{
    char quote = **text;
    char *start = *text + 1, *to = start;

    for (char *from = start; *from != '\0'; from++) {
        if (*from == quote && from[1] != quote) {
            *text = from + 1;
            *to = '\0';
            return start;
        }
        if (*from == quote)
            from++;
        *to++ = *from;
    }
    return NULL;
}

/* ---- lines ------------------------------------------------------------------------------- */

static void show(struct reading *r, const char *key, char *value)
{
    struct ini_entry entry = {r->section, key, value};

    r->reader->on_entry(r->reader->owner, &entry);
}

static void begin_section(struct reading *r, char *line)
{
    struct mistake_list *mistakes = r->reader->mistakes;
    char *name = line + 1, *end = strchr(name, ']');
    char *behind = end ? skip_blanks(end + 1) : NULL;

    if (end == NULL || end == name) {
        mistake_add(mistakes, "a section is written [name]");
    } else if (*behind != '\0' && !is_comment(behind)) {
        mistake_add(mistakes, "nothing may follow the ] of a section");
    } else if (end - name > INI_LONGEST_SECTION) {
        mistake_add(mistakes, "a section's name has at most %d characters", INI_LONGEST_SECTION);
    } else {
        *end = '\0';
        memcpy(r->section, name, (size_t)(end - name) + 1);
        show(r, NULL, NULL);
    }
}

/* Cuts the name off *line; NULL, and the mistake noted, if there is none before a '='. */
static char *cut_name(struct reading *r, char **line)
{
    struct mistake_list *mistakes = r->reader->mistakes;
    char *name = *line, *end = *line;

    if (is_quote(*name)) {
        name = ini_unquote(&end);
        if (name == NULL) {
            mistake_add(mistakes, "the quote is never closed");
            return NULL;
        }
    } else {
        while (is_of_name(*end))
            end++;
    }
    *line = skip_blanks(end);
    if (**line != '=' || *name == '\0' || name == end) {
        mistake_add(mistakes, "expected: name = value (an odd name needs double quotes)");
        return NULL;
    }
    *(*line)++ = '\0';
    *end = '\0';
    return name;
}

static void read_entry(struct reading *r, char *line)
{
    char *name = cut_name(r, &line);

    if (name == NULL)
        return;
    if (r->section[0] == '\0')
        mistake_add(r->reader->mistakes, "\"%s\" stands before any [section]", name);
    else
        show(r, name, skip_blanks(line));
}

static void read_file(struct reading *r, const char *path)
{
    struct mistake_list *mistakes = r->reader->mistakes;
    struct bytes text = {0};
    enum err e = file_read(path, &text);

    if (e == ERR_IO)
        mistake_add(mistakes, "cannot read \"%s\": %s", path, strerror(errno));
    else if (e != ERR_OK)
        mistake_add_no_memory(mistakes);
    else
        read_lines(r, path, &text);
    bytes_free(&text);
}

static void include(struct reading *r, const char *path)
{
    struct mistake_list *mistakes = r->reader->mistakes;
    struct mistake_place here = mistakes->at;

    if (!r->may_include) {
        mistake_add(mistakes, "%%include is not possible here");
    } else if (r->depth == INI_DEEPEST_INCLUDE) {
        mistake_add(mistakes, "files may include each other %d deep", INI_DEEPEST_INCLUDE);
    } else {
        r->depth++;
        read_file(r, path);
        r->depth--;
    }
    mistakes->at = here;
}

static void read_line(struct reading *r, char *line)
{
    static const char order[] = "%include";
    size_t length = sizeof(order) - 1;

    line = skip_blanks(line);
    cut_blanks_at_end(line);
    if (*line == '\0' || is_comment(line))
        return;
    if (*line == '[')
        begin_section(r, line);
    else if (strncmp(line, order, length) == 0 && is_blank(line[length]))
        include(r, skip_blanks(line + length));
    else
        read_entry(r, line);
}

static void read_lines(struct reading *r, const char *name, struct bytes *text)
{
    struct mistake_list *mistakes = r->reader->mistakes;
    size_t number = 0;
    char *line, *end, *stop;

    bytes_add(text, "\n", 2); /* the last line ends like the others */
    if (text->failed) {
        mistake_add_no_memory(mistakes);
        return;
    }
    line = (char *)text->at;
    stop = line + text->length - 1;
    for (; line < stop; line = end + 1) {
        end = memchr(line, '\n', (size_t)(stop - line));
        *end = '\0';
        mistakes->at = (struct mistake_place){name, ++number};
        if (strlen(line) < (size_t)(end - line))
            mistake_add(mistakes, "a zero byte in a line: is this a text file?");
        else
            read_line(r, line);
    }
}

void ini_read_file(const struct ini_reader *reader, const char *path)
{
    struct reading reading = {.reader = reader, .may_include = true};

    reader->mistakes->at = (struct mistake_place){0};
    read_file(&reading, path);
    reader->mistakes->at = (struct mistake_place){path, 0};
}

void ini_read_text(const struct ini_reader *reader, const char *name, struct slice text)
{
    struct reading reading = {.reader = reader};
    struct bytes copy = {0};

    bytes_add(&copy, text.at, text.length);
    read_lines(&reading, name, &copy);
    bytes_free(&copy);
    reader->mistakes->at = (struct mistake_place){name, 0};
}

/* ---- lists of key=value ------------------------------------------------------------------ */

static char *cut_value(char **list)
{
    char *value = skip_blanks(*list), *end = value;

    if (*value == '\'') {
        value = ini_unquote(&end);
        if (value == NULL || (*end != '\0' && !is_blank(*end)))
            return NULL;
    } else {
        while (*end != '\0' && !is_blank(*end))
            end++;
    }
    *list = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return value;
}

bool ini_next_pair(char **list, struct ini_pair *pair, struct mistake_list *mistakes)
{
    char *key, *end;

    for (;;) {
        key = end = skip_blanks(*list);
        if (*key == '\0')
            return false;
        while (*end != '\0' && *end != '=' && !is_blank(*end))
            end++;
        *list = skip_blanks(end);
        if (**list != '=' || end == key) {
            mistake_add(mistakes,
                        "expected a list of key=value, each value in '' if it has blanks");
            return false;
        }
        ++*list;
        *end = '\0';
        pair->key = key;
        pair->value = cut_value(list);
        if (pair->value == NULL) {
            mistake_add(mistakes, "%s: the quote is not closed, or something follows it", key);
            return false;
        }
        if (*pair->value != '\0')
            return true;
        mistake_add(mistakes, "%s: the value is empty", key);
    }
}
