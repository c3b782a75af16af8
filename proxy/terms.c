#include "proxy/terms.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct slice secret_of(const struct userlist_user *user)
{
    return (struct slice){(const uint8_t *)user->secret, strlen(user->secret)};
}

static enum secret_kind most_usual(const struct userlist *list)
{
    const struct userlist_user *user = NULL;
    size_t counts[] = {[SECRET_PLAIN] = 0, [SECRET_MD5] = 0, [SECRET_SCRAM] = 0};
    struct secret secret;

    while ((user = userlist_next(list, user)) != NULL)
        if (secret_parse(secret_of(user), &secret) == ERR_OK)
            counts[secret.kind]++;
    return counts[SECRET_SCRAM] > counts[SECRET_PLAIN] + counts[SECRET_MD5] ? SECRET_SCRAM
                                                                            : SECRET_PLAIN;
}

void terms_init(struct terms *terms, const struct config *config, struct broker *broker)
{
    *terms =
        (struct terms){.config = config, .broker = broker, .usual = most_usual(config->userlist)};
}

void terms_fini(struct terms *terms)
{
    struct named *named;

    while ((named = named_take_first(&terms->users)) != NULL) {
        struct terms_user *user = CONTAINER_OF(named, struct terms_user, named);

        OPENSSL_cleanse(&user->keys, sizeof(user->keys));
        free(user);
    }
}

void terms_look_up(const struct terms *terms, const char *user, const char *database,
                   struct terms_wanted *wanted)
{
    snprintf(wanted->user, sizeof(wanted->user), "%s", user);
    snprintf(wanted->database, sizeof(wanted->database), "%s", database);
    wanted->known = userlist_find(terms->config->userlist, wanted->user);
    wanted->entry = config_find_database(terms->config, wanted->database);
}

struct terms_user *terms_user(struct terms *terms, const char *name)
{
    struct named *found = named_find(&terms->users, name);
    struct terms_user *user;

    if (found != NULL)
        return CONTAINER_OF(found, struct terms_user, named);
    user = calloc(1, sizeof(*user) + strlen(name) + 1);
    if (user == NULL)
        return NULL;
    strcpy(user->name, name);
    user->named.name = user->name;
    list_init(&user->waiting);
    if (named_add(&terms->users, &user->named) == ERR_OK)
        return user;
    free(user);
    return NULL;
}

/* ---- from settings to a pool ------------------------------------------------------------- */

/* The password a server is shown: the database's own, or the user's if we know it. */
static const char *server_password(const struct terms *terms, const struct terms_wanted *wanted)
{
    const char *user = wanted->entry->user != NULL ? wanted->entry->user : wanted->user;
    const struct userlist_user *known = userlist_find(terms->config->userlist, user);
    struct secret secret;

    if (wanted->entry->password != NULL || known == NULL)
        return wanted->entry->password;
    /* libpq wants the password itself; of what can only check one, it can make nothing. */
    if (secret_parse(secret_of(known), &secret) != ERR_OK || secret.kind != SECRET_PLAIN)
        return NULL;
    return known->secret;
}

/* Of a pool and not of a client: who is served as somebody else is served by the rules of
 * that one, whoever came first. So a pool has one mode. */
static void set_limits(const struct terms *terms, const struct terms_wanted *wanted,
                       struct broker_terms *to)
{
    const struct settings *settings = &terms->config->settings;
    struct config_rules rules;

    config_get_rules(terms->config, wanted->entry, to->user, &rules);
    to->limits = (struct pool_limits){
        .max_servers = rules.pool_size > 0 ? rules.pool_size : settings->max_client_conn,
        .max_waiting = settings->max_waiting_clients,
        .wait_ms = rules.query_wait_timeout_ms,
        .open_ms = settings->server_connect_timeout_ms,
        .clean_ms = settings->server_reset_timeout_ms,
        .idle_ms = settings->server_idle_timeout_ms,
        .lifetime_ms = rules.server_lifetime_ms,
        .retry_ms = settings->server_login_retry_ms,
        .seed = uv_hrtime(),
        .single_use = rules.server_lifetime_ms == 0,
    };
    if (to->limits.max_servers == 0)
        to->limits.max_servers = 1;
    to->limits.min_servers =
        rules.min_pool_size < to->limits.max_servers ? rules.min_pool_size : to->limits.max_servers;
    to->mode = rules.pool_mode;
    to->max_prepared_statements = settings->max_prepared_statements;
    to->session_state = (enum state_mode)rules.session_state;
    if (rules.pool_mode == SETTINGS_POOL_MODE_SESSION) /* there it is nobody else's */
        to->session_state = STATE_FOLLOW;
    to->reset_query = settings->server_reset_query[0] ? settings->server_reset_query : NULL;
    to->reset_always = settings->server_reset_query_always;
}

enum err terms_find_place(struct terms *terms, const struct terms_wanted *wanted,
                          struct broker_place **place)
{
    const struct config_database *entry = wanted->entry;
    struct broker_terms new = {.database = wanted->database, .user = wanted->user};
    char port[16], database[64], user[64];

    if (entry == NULL)
        return ERR_NO_DATABASE;
    if (entry->user != NULL)
        new.user = entry->user;
    if (entry->conninfo != NULL) { /* one server user for all, whatever they call themselves */
        login_conninfo_value(entry->conninfo, "dbname", database, sizeof(database));
        login_conninfo_value(entry->conninfo, "user", user, sizeof(user));
        new.database = database;
        new.user = user;
    }
    *place = broker_find(terms->broker, new.database, new.user);
    if (*place != NULL)
        return ERR_OK;

    snprintf(port, sizeof(port), "%u", (unsigned)entry->port);
    new.target = (struct login_target){.conninfo = entry->conninfo};
    if (entry->conninfo == NULL)
        new.target = (struct login_target){
            .host = entry->host,
            .port = port,
            .dbname = config_dbname(entry, wanted->database),
            .user = new.user,
            .password = server_password(terms, wanted),
        };
    new.settings[PARAMETERS_APPLICATION_NAME] = entry->application_name;
    new.settings[PARAMETERS_CLIENT_ENCODING] = entry->client_encoding;
    new.settings[PARAMETERS_DATE_STYLE] = entry->datestyle;
    new.settings[PARAMETERS_TIME_ZONE] = entry->timezone;
    set_limits(terms, wanted, &new);
    *place = broker_place(terms->broker, &new);
    return *place != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static void warm(struct terms *terms, const struct config_database *entry)
{
    bool is_known =
        entry->conninfo != NULL || (entry->user != NULL && strcmp(entry->named.name, "*") != 0);
    struct terms_wanted wanted;
    struct broker_place *place;

    if (!is_known)
        return;
    terms_look_up(terms, entry->user != NULL ? entry->user : "", entry->named.name, &wanted);
    if (terms_find_place(terms, &wanted, &place) == ERR_OK)
        broker_warm(place);
}

void terms_warm(struct terms *terms)
{
    const struct named *entry = named_first(&terms->config->databases);

    for (; entry != NULL; entry = named_next(entry))
        warm(terms, CONTAINER_OF(entry, struct config_database, named));
}
