#include "proxy/userlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/ini.h"

/* Names and secrets point into text, which was cut up where it lay: two allocations a
 * list and one a user. */
struct userlist {
    struct bytes text;
    struct named_set users; /* of struct userlist_user */
};

static struct userlist_user *find(const struct userlist *list, const char *name)
{
    return NAMED_ITEM(named_find(&list->users, name), struct userlist_user, named);
}

static void add_user(struct userlist *list, const char *name, const char *secret,
                     struct mistake_list *mistakes)
{
    struct userlist_user *user = find(list, name);

    if (user != NULL) {
        mistake_warn(mistakes, "user \"%s\" comes a second time, and this one counts", name);
        user->secret = secret;
        return;
    }
    user = calloc(1, sizeof(*user));
    if (user == NULL) {
        mistake_add_no_memory(mistakes);
        return;
    }
    user->named.name = name;
    user->secret = secret;
    if (named_add(&list->users, &user->named) != ERR_OK) {
        mistake_add_no_memory(mistakes);
        free(user);
    }
}

/* Cuts the next quoted text off *line; NULL if there is none. */
static char *cut_quoted(char **line)
{
    *line += strspn(*line, " \t\r");
    return **line == '"' ? ini_unquote(line) : NULL;
}

static void read_line(struct userlist *list, char *line, struct mistake_list *mistakes)
{
    char *name, *secret;

    line += strspn(line, " \t\r\v\f");
    if (*line == '\0' || *line == ';')
        return;
    name = cut_quoted(&line);
    secret = name != NULL ? cut_quoted(&line) : NULL;
    if (secret == NULL)
        mistake_add(mistakes, "expected: \"user\" \"secret\"");
    else if (*name == '\0' || strlen(name) > USERLIST_LONGEST_NAME)
        mistake_add(mistakes, "a user's name has 1 to %d characters", USERLIST_LONGEST_NAME);
    else if (strlen(secret) > USERLIST_LONGEST_SECRET)
        mistake_add(mistakes, "a secret has at most %d characters", USERLIST_LONGEST_SECRET);
    else
        add_user(list, name, secret, mistakes);
}

static void read_lines(struct userlist *list, const char *file, struct mistake_list *mistakes)
{
    char *line, *end, *stop;

    bytes_add(&list->text, "\n", 1);
    if (list->text.failed) {
        mistake_add_no_memory(mistakes);
        return;
    }
    mistakes->at = (struct mistake_place){file, 0};
    line = (char *)list->text.at;
    stop = line + list->text.length;
    for (; line < stop; line = end + 1) {
        end = memchr(line, '\n', (size_t)(stop - line));
        *end = '\0';
        mistakes->at.line++;
        if (strlen(line) < (size_t)(end - line))
            mistake_add(mistakes, "a zero byte in a line: is this a text file?");
        else
            read_line(list, line, mistakes);
    }
    mistakes->at.line = 0;
}

struct userlist *userlist_parse(const char *name, struct slice text, struct mistake_list *mistakes)
{
    struct userlist *list = calloc(1, sizeof(*list));

    if (list == NULL) {
        mistake_add_no_memory(mistakes);
        return NULL;
    }
    bytes_add(&list->text, text.at, text.length);
    read_lines(list, name, mistakes);
    return list;
}

struct userlist *userlist_load(const char *path, struct mistake_list *mistakes)
{
    struct userlist *list = calloc(1, sizeof(*list));
    enum err e = list != NULL ? file_read(path, &list->text) : ERR_NO_MEMORY;

    if (e == ERR_OK)
        read_lines(list, path, mistakes);
    else if (e == ERR_IO)
        mistake_add(mistakes, "cannot read \"%s\" (auth_file): %s", path, strerror(errno));
    else
        mistake_add_no_memory(mistakes);
    return list;
}

const struct userlist_user *userlist_find(const struct userlist *list, const char *name)
{
    return find(list, name);
}

size_t userlist_count(const struct userlist *list)
{
    return named_count(&list->users);
}

void userlist_destroy(struct userlist *list)
{
    struct named *named;

    if (list == NULL)
        return;
    while ((named = named_take_first(&list->users)) != NULL)
        free(CONTAINER_OF(named, struct userlist_user, named));
    bytes_free(&list->text);
    free(list);
}

const struct userlist_user *userlist_next(const struct userlist *list,
                                          const struct userlist_user *user)
{
    const struct named *next = user != NULL ? named_next(&user->named) : named_first(&list->users);

    return NAMED_ITEM(next, const struct userlist_user, named);
}
