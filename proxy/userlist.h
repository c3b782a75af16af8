/*
 * proxy/userlist.h - auth_file: users and their secrets.
 *
 *      ; a comment
 *      "ana" "md50123..."
 *      "say ""hi""" "in plain text"     what follows is ignored
 *
 *      struct userlist *list = userlist_load("userlist.txt", &mistakes);
 *      const struct userlist_user *user = userlist_find(list, "ana");
 *      userlist_destroy(list);
 *
 * What a secret is, a password or what was made of one, shows its beginning; whoever
 * checks it looks. A quote within quotes is written twice. A broken line is a mistake
 * that names its line and never its text, which may hold half a password.
 */
#ifndef PROXY_USERLIST_H
#define PROXY_USERLIST_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/mistake.h"
#include "proxy/named.h"

/* In characters, as PgBouncer has them. */
enum { USERLIST_LONGEST_NAME = 127, USERLIST_LONGEST_SECRET = 65530 };

struct userlist;

struct userlist_user {
    struct named named; /* named.name */
    const char *secret;
};

/* Gives a list of all lines that were right, or NULL for want of memory. */
struct userlist *userlist_load(const char *path, struct mistake_list *mistakes) MUST_CHECK;

/* The same from memory; the name stands for the file's in messages. */
struct userlist *userlist_parse(const char *name, struct slice text,
                                struct mistake_list *mistakes) MUST_CHECK;

/* Lent for as long as the list lives; NULL if there is none of that name. */
const struct userlist_user *userlist_find(const struct userlist *list, const char *name);
size_t userlist_count(const struct userlist *list);

/* The one behind user, the first for NULL; NULL behind the last. */
const struct userlist_user *userlist_next(const struct userlist *list,
                                          const struct userlist_user *user);

/* Takes the list; NULL is none. */
void userlist_destroy(struct userlist *list);

#endif
