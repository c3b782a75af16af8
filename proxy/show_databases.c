#include <stdlib.h>
#include <string.h>

#include "proxy/show_parts.h"

/* A database or a user, and what it has. */
struct database_sum {
    const char *name;
    size_t servers, clients;
};

struct tallies {
    struct database_sum *all; /* by name, each once */
    size_t length, size;
    bool failed;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct database_sum *)a)->name, ((const struct database_sum *)b)->name);
}

static void add(struct tallies *tallies, const char *name)
{
    if (tallies->length == tallies->size) {
        size_t size = tallies->size > 0 ? tallies->size * 2 : 64;
        struct database_sum *all = realloc(tallies->all, size * sizeof(*all));

        if (all == NULL) {
            tallies->failed = true;
            return;
        }
        tallies->all = all;
        tallies->size = size;
    }
    tallies->all[tallies->length++] = (struct database_sum){.name = name};
}

static void sort(struct tallies *tallies)
{
    size_t length = 0;

    if (tallies->length == 0)
        return;
    qsort(tallies->all, tallies->length, sizeof(*tallies->all), compare);
    for (size_t i = 0; i < tallies->length; i++)
        if (i == 0 || strcmp(tallies->all[i].name, tallies->all[length - 1].name) != 0)
            tallies->all[length++] = tallies->all[i];
    tallies->length = length;
}

static struct database_sum *find(const struct tallies *tallies, const char *name)
{
    struct database_sum wanted = {.name = name};

    if (tallies->length == 0)
        return NULL;
    return bsearch(&wanted, tallies->all, tallies->length, sizeof(wanted), compare);
}

static size_t count_servers(const struct broker_place *place)
{
    size_t count = 0;

    for (unsigned state = POOL_SERVER_VACANT + 1; state < POOL_SERVER_STATE_COUNT; state++)
        count += pool_count(place->pool, (enum pool_server_state)state);
    return count;
}

/* ---- databases --------------------------------------------------------------------------- */

/* Those of the configuration, those that "*" stood in for, and the console. */
static void gather_databases(const struct worker *worker, struct tallies *databases)
{
    const struct named *named = named_first(&worker->config->databases);

    for (; named != NULL; named = named_next(named))
        if (strcmp(named->name, "*") != 0)
            add(databases, named->name);
    for (const struct broker_place *place = worker->broker.places; place; place = place->hh.next)
        add(databases, place->terms.database);
    add(databases, SHOW_CONSOLE);
    sort(databases);
}

static void count_by_database(const struct worker *worker, struct tallies *databases)
{
    const struct front *front = &worker->front;
    struct database_sum *found;

    for (const struct broker_place *place = worker->broker.places; place; place = place->hh.next)
        if ((found = find(databases, place->terms.database)) != NULL)
            found->servers += count_servers(place);
    for (unsigned state = 0; state < SESSION_LEAVING; state++) {
        const struct list *list = &front->sessions[state];

        for (struct link *link = list_front(list); link != NULL; link = list_after(list, link)) {
            const struct broker_place *place =
                CONTAINER_OF(link, struct session, link)->lease.place;

            found = place != NULL ? find(databases, place->terms.database) : NULL;
            if (found != NULL)
                found->clients++;
        }
    }
    if ((found = find(databases, SHOW_CONSOLE)) != NULL)
        found->clients = front->sessions[SESSION_CONSOLE].length;
}

/* What is the same for all but the console: no pool has a reserve, no database its own limits. */
static void write_rest(const struct database_sum *tally, struct console_rows *rows)
{
    console_rows_number(rows, 0); /* no limit */
    console_rows_number(rows, tally->servers);
    console_rows_number(rows, 0);
    console_rows_number(rows, tally->clients);
    console_rows_number(rows, 0);
    console_rows_number(rows, 0);
}

static uint64_t either(uint64_t particular, uint64_t general)
{
    return particular != OPTION_UNSET ? particular : general;
}

static void write_sizes(const struct config_database *entry, const struct settings *settings,
                        struct console_rows *rows)
{
    uint64_t lifetime_ms = either(entry->server_lifetime_ms, 0);

    if (lifetime_ms == 0)
        lifetime_ms = settings->server_lifetime_ms;
    console_rows_number(rows, either(entry->pool_size, settings->default_pool_size));
    console_rows_number(rows, either(entry->min_pool_size, settings->min_pool_size));
    console_rows_number(rows, 0);
    console_rows_number(rows, lifetime_ms / 1000);
    console_rows_text(rows, show_mode(entry->pool_mode));
}

static void write_conninfo(const struct config_database *entry, struct console_rows *rows)
{
    char host[256], port[16], database[64], user[128];

    login_conninfo_value(entry->conninfo, "host", host, sizeof(host));
    login_conninfo_value(entry->conninfo, "port", port, sizeof(port));
    login_conninfo_value(entry->conninfo, "dbname", database, sizeof(database));
    login_conninfo_value(entry->conninfo, "user", user, sizeof(user));
    console_rows_text(rows, host);
    console_rows_number(rows, strtoul(port, NULL, 10));
    console_rows_text(rows, database);
    console_rows_text(rows, user);
}

static void write_database(const struct worker *worker, const struct database_sum *tally,
                           struct console_rows *rows)
{
    const struct config_database *entry = config_find_database(worker->config, tally->name);

    if (entry == NULL) /* there is none without an entry, or "*" */
        return;
    console_rows_text(rows, tally->name);
    if (entry->conninfo != NULL) {
        write_conninfo(entry, rows);
    } else {
        console_rows_text(rows, entry->host);
        console_rows_number(rows, entry->port);
        console_rows_text(rows, config_dbname(entry, tally->name));
        console_rows_text(rows, entry->user);
    }
    write_sizes(entry, &worker->config->settings, rows);
    console_rows_text(rows, show_balance(entry->host));
    write_rest(tally, rows);
}

static void write_console(const struct worker *worker, const struct database_sum *tally,
                          struct console_rows *rows)
{
    console_rows_text(rows, SHOW_CONSOLE);
    console_rows_text(rows, NULL);
    console_rows_number(rows, worker->config->settings.listen_port);
    console_rows_text(rows, SHOW_CONSOLE);
    console_rows_text(rows, SHOW_CONSOLE);
    console_rows_number(rows, 2); /* as PgBouncer says */
    console_rows_number(rows, 0);
    console_rows_number(rows, 0);
    console_rows_number(rows, worker->config->settings.server_lifetime_ms / 1000);
    console_rows_text(rows, show_mode(SETTINGS_POOL_MODE_STATEMENT));
    console_rows_text(rows, NULL);
    write_rest(tally, rows);
}

void show_databases(const struct worker *worker, struct console_rows *rows)
{
    struct tallies databases = {0};

    gather_databases(worker, &databases);
    count_by_database(worker, &databases);
    for (size_t i = 0; i < databases.length; i++) {
        if (strcmp(databases.all[i].name, SHOW_CONSOLE) == 0)
            write_console(worker, &databases.all[i], rows);
        else
            write_database(worker, &databases.all[i], rows);
    }
    rows->out->failed |= databases.failed;
    free(databases.all);
}

size_t show_databases_count(const struct worker *worker)
{
    struct tallies databases = {0};
    size_t length;

    gather_databases(worker, &databases);
    length = databases.length;
    free(databases.all);
    return length;
}

/* ---- users ------------------------------------------------------------------------------- */

static void gather_users(const struct worker *worker, struct tallies *users)
{
    const struct userlist_user *user = NULL;
    const struct named *named = named_first(&worker->config->users);

    while ((user = userlist_next(worker->config->userlist, user)) != NULL)
        add(users, user->named.name);
    for (; named != NULL; named = named_next(named))
        add(users, named->name);
    for (const struct broker_place *place = worker->broker.places; place; place = place->hh.next)
        add(users, place->terms.user);
    add(users, SHOW_CONSOLE);
    sort(users);
}

static void count_by_user(const struct worker *worker, struct tallies *users)
{
    const struct front *front = &worker->front;
    struct database_sum *found;

    for (const struct broker_place *place = worker->broker.places; place; place = place->hh.next)
        if ((found = find(users, place->terms.user)) != NULL)
            found->servers += count_servers(place);
    for (unsigned state = 0; state < SESSION_LEAVING; state++) {
        const struct list *list = &front->sessions[state];

        for (struct link *link = list_front(list); link != NULL; link = list_after(list, link)) {
            const struct session *session = CONTAINER_OF(link, struct session, link);
            const char *name = session->login;

            if (name == NULL && session->lease.place != NULL)
                name = session->lease.place->terms.user;
            if (name != NULL && (found = find(users, name)) != NULL)
                found->clients++;
        }
    }
}

/* PgBouncer's "%9d", or nothing. */
static void write_size(uint64_t size, struct console_rows *rows)
{
    char text[24] = "";

    if (size != OPTION_UNSET)
        snprintf(text, sizeof(text), "%9llu", (unsigned long long)size);
    console_rows_text(rows, text);
}

static void write_user(const struct worker *worker, const struct database_sum *tally,
                       struct console_rows *rows)
{
    const struct config_user *user = config_find_user_settings(worker->config, tally->name);

    console_rows_text(rows, tally->name);
    write_size(user != NULL ? user->pool_size : OPTION_UNSET, rows);
    write_size(OPTION_UNSET, rows);
    console_rows_text(rows, show_mode(user != NULL ? user->pool_mode : SETTINGS_POOL_MODE_UNSET));
    console_rows_number(rows, 0); /* no limit */
    console_rows_number(rows, tally->servers);
    console_rows_number(rows, 0);
    console_rows_number(rows, tally->clients);
}

void show_databases_users(const struct worker *worker, struct console_rows *rows)
{
    struct tallies users = {0};

    gather_users(worker, &users);
    count_by_user(worker, &users);
    for (size_t i = 0; i < users.length; i++)
        write_user(worker, &users.all[i], rows);
    rows->out->failed |= users.failed;
    free(users.all);
}

size_t show_databases_count_users(const struct worker *worker)
{
    struct tallies users = {0};
    size_t length;

    gather_users(worker, &users);
    length = users.length;
    free(users.all);
    return length;
}
