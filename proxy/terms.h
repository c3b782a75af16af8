/*
 * proxy/terms.h - who may come in, and on what terms: the configuration as sessions see it.
 *
 *      terms_look_up(terms, "ana", "shop", &wanted);      how to check this client
 *      ... the client has proved who it is ...
 *      e = terms_find_place(terms, &wanted, &place);      what it may use
 *
 * Looking up says nothing about whether a user or database exists: whoever asks must
 * authenticate first, and unknown users go through the same exchange as known ones.
 *
 * The keys of users with plain passwords are derived once, on a thread, and kept here.
 */
#ifndef PROXY_TERMS_H
#define PROXY_TERMS_H

#include "proxy/broker.h"
#include "proxy/config.h"
#include "proxy/fronts/postgres/secret.h"
#include "proxy/named.h"

/* What is kept of a user between logins. */
struct terms_user {
    struct secret_keys keys;
    bool deriving;
    struct list waiting; /* of whoever needs the keys; links are theirs */
    struct named named;
    char name[];
};

struct terms {
    const struct config *config;
    struct broker *broker;
    struct named_set users;
    enum secret_kind usual; /* what most users have: a stranger is asked for that */
};

/* What a client asks for. Lent from the configuration, but for the names. */
struct terms_wanted {
    char user[CONFIG_LONGEST_USER + 1];
    char database[CONFIG_LONGEST_DATABASE + 1];
    const struct userlist_user *known;   /* NULL: nobody of that name */
    const struct config_database *entry; /* NULL: nothing of that name */
};

void terms_init(struct terms *terms, const struct config *config, struct broker *broker);
void terms_fini(struct terms *terms);

void terms_look_up(const struct terms *terms, const char *user, const char *database,
                   struct terms_wanted *wanted);

/* The one of that name, made if need be; NULL for want of memory. */
struct terms_user *terms_user(struct terms *terms, const char *name) MUST_CHECK;

/* Opens the minimum of servers where it is known beforehand as whom: databases with a user of
 * their own. Others get theirs when the first client has come. */
void terms_warm(struct terms *terms);

/* ERR_NO_DATABASE, ERR_NO_MEMORY, or the pool for it. */
enum err terms_find_place(struct terms *terms, const struct terms_wanted *wanted,
                          struct broker_place **place) MUST_CHECK;

#endif
