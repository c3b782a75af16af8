#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/fronts/redis/pubsub.h"
#include "proxy/show_parts.h"

enum { NAME_SIZE = 256 };

/* ---- whom lines are logged in as --------------------------------------------------------- */

static void name_user(const struct upstream *upstream, const struct identity *identity,
                      char to[NAME_SIZE])
{
    if (identity == NULL)
        snprintf(to, NAME_SIZE, "(nouser)");
    else if (identity->name_length > 0)
        snprintf(to, NAME_SIZE, "%.*s", (int)identity->name_length, (const char *)identity->name);
    else if (identity == upstream->configured && upstream->config->url.user != NULL)
        snprintf(to, NAME_SIZE, "%s", upstream->config->url.user);
    else
        snprintf(to, NAME_SIZE, "default");
}

/* ---- pools: what has the same user, database and protocol -------------------------------- */

/* Compared byte by byte, so made of all zero. */
struct key {
    const struct identity *identity; /* NULL: who has not said who he is */
    int32_t db;
    uint32_t protocol;
};

struct group {
    struct key key;
    size_t active, waiting;
    size_t shared, subscribing, leased, idle, cleaning, opening;
    uint64_t longest_wait_ms, owed, commands, reads;
    UT_hash_handle hh;
};

struct groups {
    struct group *first;
    bool failed;
};

/* uthash's macros are large. */
/* NOLINTBEGIN(readability-function-size, clang-analyzer-unix.Malloc) */

/* NULL for want of memory, which the groups remember. */
static struct group *group_of(struct groups *groups, const struct identity *identity, int32_t db,
                              unsigned protocol)
{
    struct group *group;
    struct key key;

    memset(&key, 0, sizeof(key));
    key.identity = identity;
    key.db = db;
    key.protocol = protocol;
    HASH_FIND(hh, groups->first, &key, sizeof(key), group);
    if (group != NULL)
        return group;
    group = calloc(1, sizeof(*group));
    if (group != NULL) {
        group->key = key;
        HASH_ADD(hh, groups->first, key, sizeof(key), group);
        if (group->hh.tbl != NULL)
            return group;
        free(group);
    }
    groups->failed = true;
    return NULL;
}

static struct group *take_first(struct groups *groups)
{
    struct group *first = groups->first;

    if (first != NULL)
        HASH_DEL(groups->first, first);
    return first;
}

static int compare(struct group *a, struct group *b)
{
    if (a->key.db != b->key.db)
        return a->key.db < b->key.db ? -1 : 1;
    return (a->key.protocol > b->key.protocol) - (a->key.protocol < b->key.protocol);
}

static void sort(struct groups *groups)
{
    HASH_SORT(groups->first, compare);
}

/* NOLINTEND(readability-function-size, clang-analyzer-unix.Malloc) */

static void add_line(struct group *group, const struct line *line)
{
    if (group == NULL || line == NULL)
        return;
    group->owed += line->trunk.replies;
    group->commands += line->asked;
    group->reads += line->reads;
}

static void add_guests(struct groups *groups, const struct upstream *upstream)
{
    const struct door *door = upstream->door;
    struct group *group;

    for (unsigned state = 0; state < GUEST_LEAVING; state++) {
        const struct list *list = &door->guests[state];

        for (struct link *link = list_front(list); link != NULL; link = list_after(list, link)) {
            const struct guest *guest = CONTAINER_OF(link, struct guest, link);
            uint64_t waited = door_now(door) - guest->since;

            if (guest->upstream != upstream)
                continue;
            group = group_of(groups, guest->identity, guest->follow.db, guest->follow.protocol);
            if (group == NULL)
                return;
            group->active += state != GUEST_WAITING;
            group->waiting += state == GUEST_WAITING;
            if (state == GUEST_WAITING && waited > group->longest_wait_ms)
                group->longest_wait_ms = waited;
        }
    }
}

static void add_shared(struct groups *groups, const struct upstream *upstream)
{
    const struct shared *shared = upstream->shares;

    for (; shared != NULL; shared = shared->hh.next) {
        struct group *group =
            group_of(groups, shared->key.identity, shared->key.db, shared->key.protocol);

        for (size_t i = 0; i < shared->length && group != NULL; i++) {
            const struct shared_lane *lane = &shared->lanes[i];

            group->shared += shared_lane_is_open(lane);
            group->opening += lane->line != NULL && !shared_lane_is_open(lane);
            add_line(group, lane->line);
        }
    }
}

static void add_server(struct groups *groups, const struct dedicated *dedicated,
                       const struct pool_server *server, enum pool_server_state state)
{
    const struct line *line = pool_server_connection(server);
    struct group *group =
        group_of(groups, dedicated->identity, line != NULL ? line->db : 0, dedicated->protocol);

    if (group == NULL)
        return;
    group->leased += state == POOL_SERVER_LEASED;
    group->idle += state == POOL_SERVER_IDLE;
    group->cleaning += state == POOL_SERVER_CLEANING;
    group->opening += state == POOL_SERVER_OPENING;
    add_line(group, line);
}

static void add_own(struct groups *groups, const struct identity *identity)
{
    struct group *group;

    for (int i = 0; i < 2; i++) {
        const struct dedicated *dedicated = identity->dedicated[i];

        for (unsigned state = POOL_SERVER_OPENING; dedicated && state < POOL_SERVER_CLOSING;
             state++) {
            const struct pool_server *server = NULL;

            while ((server =
                        pool_server_after(dedicated->pool, (enum pool_server_state)state, server)))
                add_server(groups, dedicated, server, (enum pool_server_state)state);
        }
    }
    if (identity->pubsub == NULL || identity->pubsub->line == NULL)
        return;
    group = group_of(groups, identity, 0, 2); /* that is what it is logged in to */
    if (group != NULL)
        group->subscribing++;
    add_line(group, identity->pubsub->line);
}

static void write_group(const struct upstream *upstream, const struct group *group,
                        struct console_rows *rows)
{
    char user[NAME_SIZE], ratio[32] = "";

    name_user(upstream, group->key.identity, user);
    if (group->commands > 0)
        snprintf(ratio, sizeof(ratio), "%.3f", (double)group->reads / (double)group->commands);
    console_rows_text(rows, upstream->config->named.name);
    console_rows_text(rows, user);
    console_rows_number(rows, (uint64_t)group->key.db);
    console_rows_number(rows, group->key.protocol);
    console_rows_number(rows, group->active);
    console_rows_number(rows, group->waiting);
    console_rows_number(rows, group->shared);
    console_rows_number(rows, group->subscribing);
    console_rows_number(rows, group->leased);
    console_rows_number(rows, group->idle);
    console_rows_number(rows, group->cleaning);
    console_rows_number(rows, group->opening);
    console_rows_number(rows, group->owed);
    console_rows_number(rows, group->longest_wait_ms / 1000);
    console_rows_number(rows, group->longest_wait_ms % 1000 * 1000);
    console_rows_number(rows, group->commands);
    console_rows_number(rows, group->reads);
    console_rows_text(rows, ratio);
}

static void show_upstream(const struct upstream *upstream, struct console_rows *rows)
{
    const struct identity *identity = upstream->identities;
    struct groups groups = {0};
    struct group *group;

    add_guests(&groups, upstream);
    add_shared(&groups, upstream);
    add_own(&groups, upstream->anonymous);
    add_own(&groups, upstream->configured);
    for (; identity != NULL; identity = identity->hh.next)
        add_own(&groups, identity);
    sort(&groups);
    while ((group = take_first(&groups)) != NULL) {
        write_group(upstream, group, rows);
        free(group);
    }
    rows->out->failed |= groups.failed;
}

void show_redis_pools(const struct worker *worker, struct console_rows *rows)
{
    for (size_t i = 0; i < worker->door.upstreams_length; i++)
        show_upstream(&worker->door.upstreams[i], rows);
}

/* ---- clients ----------------------------------------------------------------------------- */

static size_t count_subscriptions(const struct guest *guest)
{
    size_t count = 0;

    for (unsigned kind = 0; kind < HEARD_KIND_COUNT && guest->ear != NULL; kind++)
        count += guest->ear->subscriber.subscriptions[kind].length;
    return count;
}

static void write_guest(const struct guest *guest, uint64_t came_us, struct console_rows *rows)
{
    char user[NAME_SIZE], host[64], line[32] = "";
    struct peer peer;

    peer_get(&guest->stream, &peer);
    peer_write_host(&peer, host, sizeof(host));
    name_user(guest->upstream, guest->identity, user);
    if (guest->own.line != NULL)
        snprintf(line, sizeof(line), "S-%llu", (unsigned long long)guest->own.line->id);
    console_rows_number(rows, guest->id);
    console_rows_text(rows, guest->upstream->config->named.name);
    console_rows_text(rows, user);
    console_rows_text(rows, host);
    console_rows_number(rows, peer.port);
    console_rows_text(rows, guest_state_names[guest->state]);
    console_rows_number(rows, (uint64_t)guest->follow.db);
    console_rows_number(rows, guest->follow.protocol);
    console_rows_text(rows, guest->name != NULL ? guest->name : "");
    console_rows_number(rows, guest->owed);
    console_rows_number(rows, count_subscriptions(guest));
    console_rows_text(rows, line);
    console_rows_time(rows, came_us);
}

void show_redis_clients(const struct worker *worker, struct console_rows *rows)
{
    const struct door *door = &worker->door;
    struct timespec now;
    uint64_t wall_us;

    clock_gettime(CLOCK_REALTIME, &now);
    wall_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    for (unsigned state = 0; state < GUEST_LEAVING; state++) {
        const struct list *list = &door->guests[state];

        for (struct link *link = list_front(list); link != NULL; link = list_after(list, link)) {
            const struct guest *guest = CONTAINER_OF(link, struct guest, link);

            write_guest(guest, wall_us - (door_now(door) - guest->came) * 1000, rows);
        }
    }
}
