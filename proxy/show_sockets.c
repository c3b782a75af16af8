#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "proxy/fronts/postgres/startup.h"
#include "proxy/show_parts.h"

/* Who looks at what, and when: the same moment on three clocks. */
struct look {
    const struct worker *worker;
    struct console_rows *rows;
    enum console_show show;
    bool is_debug; /* more columns, and states have other names */
    uint64_t wall_us, loop_ms, fine_us;
};

/* A connection as it is shown. */
struct socket {
    bool is_server;
    const char *user, *database, *state, *replication, *application;
    const struct stream *stream;           /* NULL: it is not connected yet */
    uint64_t came_us, asked_us, waited_us; /* the first two in wall time */
    uint64_t id, link_id;                  /* link_id 0: none */
    uint32_t pinned;
    bool close_needed;
    uint32_t process;
    size_t statements, remaining;
    char tls[96];
};

static struct look look_at(const struct worker *worker, enum console_show show,
                           struct console_rows *rows)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (struct look){
        .worker = worker,
        .rows = rows,
        .show = show,
        .is_debug = show != CONSOLE_SHOWS_CLIENTS && show != CONSOLE_SHOWS_SERVERS,
        .wall_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
        .loop_ms = uv_now(&worker->loop),
        .fine_us = uv_hrtime() / 1000,
    };
}

static uint64_t wall_of_ms(const struct look *look, uint64_t ms)
{
    return look->wall_us - (look->loop_ms - ms) * 1000;
}

/* ---- writing ----------------------------------------------------------------------------- */

static void write_end(const struct look *look, const struct peer *peer)
{
    bool is_unix = peer->family != AF_INET && peer->family != AF_INET6;
    char host[64];

    peer_write_host(peer, host, sizeof(host));
    console_rows_text(look->rows, host);
    console_rows_number(look->rows,
                        is_unix ? look->worker->config->settings.listen_port : peer->port);
}

static void write_ends(const struct look *look, const struct socket *socket)
{
    struct peer peer, local;

    if (socket->stream == NULL) {
        for (int i = 0; i < 2; i++) {
            console_rows_text(look->rows, "");
            console_rows_number(look->rows, 0);
        }
        return;
    }
    peer_get(socket->stream, &peer);
    peer_get_local(socket->stream, &local);
    write_end(look, &peer);
    write_end(look, &local);
}

/* Whom it is paired with, and what for if that is to last: "S-3 pinned: lock, temporary". */
static void write_link(const struct socket *socket, struct console_rows *rows)
{
    const uint32_t by_mode = 1u << RELAY_PIN_MODE | 1u << RELAY_PIN_REPLICATION;
    const char *comma = " pinned: ";
    char text[256] = "";
    size_t length = 0;

    if (socket->link_id > 0)
        length = (size_t)snprintf(text, sizeof(text), "%c-%llu", socket->is_server ? 'C' : 'S',
                                  (unsigned long long)socket->link_id);
    for (unsigned pin = 0; pin < RELAY_PIN_COUNT && length > 0; pin++) {
        if ((socket->pinned & ~by_mode & 1u << pin) == 0)
            continue;
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", comma,
                                   view_pools_pins[pin]);
        comma = ", ";
    }
    console_rows_text(rows, text);
}

static void write_buffers(const struct socket *socket, struct console_rows *rows)
{
    size_t kept = socket->stream != NULL ? socket->stream->kept_length : 0;

    console_rows_number(rows, kept);
    console_rows_number(rows, 0);
    console_rows_number(rows, socket->remaining);
    console_rows_number(rows, 0);
    console_rows_number(rows, 0);
    console_rows_number(rows, kept);
    console_rows_number(rows, socket->stream != NULL ? stream_queued(socket->stream) : 0);
}

static void write_socket(const struct look *look, const struct socket *socket)
{
    struct console_rows *rows = look->rows;
    char pointer[32];

    snprintf(pointer, sizeof(pointer), "%c-%llu", socket->is_server ? 'S' : 'C',
             (unsigned long long)socket->id);
    console_rows_text(rows, socket->is_server ? "S" : "C");
    console_rows_text(rows, socket->user);
    console_rows_text(rows, socket->database);
    console_rows_text(rows, socket->replication);
    console_rows_text(rows, socket->state);
    write_ends(look, socket);
    console_rows_time(rows, socket->came_us);
    console_rows_time(rows, socket->asked_us);
    console_rows_number(rows, socket->waited_us / 1000000);
    console_rows_number(rows, socket->waited_us % 1000000);
    console_rows_number(rows, socket->close_needed);
    console_rows_text(rows, pointer);
    write_link(socket, rows);
    console_rows_number(rows, socket->process);
    console_rows_text(rows, socket->tls);
    console_rows_text(rows, socket->application != NULL ? socket->application : "");
    console_rows_number(rows, socket->statements);
    console_rows_number(rows, socket->id);
    if (look->is_debug)
        write_buffers(socket, rows);
}

/* ---- clients ----------------------------------------------------------------------------- */

/* What PgBouncer calls it, in the order it shows them; those that are gone it does not. */
enum rank { ACTIVE, WAITING, CANCELING, LOGIN, GONE };

static const uint8_t ranks[SESSION_STATE_COUNT] = {
    [SESSION_GREETING] = LOGIN,      [SESSION_WELCOMING] = WAITING, [SESSION_QUEUEING] = WAITING,
    [SESSION_CANCELING] = CANCELING, [SESSION_LEAVING] = GONE,      [SESSION_CLOSING] = GONE,
};

struct client {
    const struct session *session;
    const char *database, *user;
    enum rank rank;
};

static int compare(const void *a, const void *b)
{
    const struct client *one = a, *other = b;
    int order = (one->rank == LOGIN) - (other->rank == LOGIN);

    if (order == 0)
        order = strcmp(one->database, other->database);
    if (order == 0)
        order = strcmp(one->user, other->user);
    if (order == 0)
        order = (one->rank > other->rank) - (one->rank < other->rank);
    if (order == 0)
        order = (one->session->id > other->session->id) - (one->session->id < other->session->id);
    return order;
}

static struct client client_of(const struct worker *worker, const struct session *session)
{
    const struct broker_place *place = session->lease.place;
    struct client client = {session, "(nodb)", "(nouser)", (enum rank)ranks[session->state]};

    if (session->state == SESSION_CANCELING)
        place = show_place_of(worker, session->canceling);
    if (place != NULL)
        client.database = place->terms.database;
    if (session->state == SESSION_CONSOLE)
        client.database = SHOW_CONSOLE;
    if (session->login != NULL)
        client.user = session->login;
    else if (session->lease.place != NULL)
        client.user = session->lease.place->terms.user;
    return client;
}

static const char *client_state(const struct client *client, bool is_debug)
{
    static const char *const names[][2] = {
        [ACTIVE] = {"active", "cl_active"},
        [WAITING] = {"waiting", "cl_waiting"},
        [CANCELING] = {"active_cancel_req", "cl_active_cancel_req"},
        [LOGIN] = {"login", "cl_login"},
    };

    if (client->rank == ACTIVE && client->session->lease.backend == NULL && !is_debug)
        return "idle";
    return names[client->rank][is_debug];
}

static const char *replication_of(const struct session *session)
{
    if (session == NULL || session->replication == STARTUP_NO_REPLICATION)
        return "none";
    return session->replication == STARTUP_LOGICAL ? "logical" : "physical";
}

static uint64_t last_request(const struct session *session, const struct look *look)
{
    uint64_t last = session->tally.asked_us > session->tally.query_us ? session->tally.asked_us
                                                                      : session->tally.query_us;

    return last > 0 ? look->wall_us - (look->fine_us - last)
                    : wall_of_ms(look, (uint64_t)session->came_s * 1000);
}

static void write_client(const struct look *look, const struct client *client)
{
    const struct session *session = client->session;
    const struct broker_lease *lease = &session->lease;
    struct socket socket = {
        .user = client->user,
        .database = client->database,
        .state = client_state(client, look->is_debug),
        .replication = replication_of(session),
        .stream = &session->stream,
        .came_us = wall_of_ms(look, (uint64_t)session->came_s * 1000),
        .asked_us = last_request(session, look),
        .id = session->id,
        .link_id = lease->backend != NULL ? lease->backend->id : 0,
        .pinned = lease->backend != NULL ? lease->backend->relay.pinned : 0,
        .statements = session->sent.names.count,
        .remaining = session->sent.remaining,
    };
    pid_t process;
    uid_t user;

    if (client->rank == WAITING)
        socket.waited_us = (look->loop_ms - lease->client.since) * 1000;
    if (lease->wanted != NULL)
        socket.application = parameters_value(lease->wanted, PARAMETERS_APPLICATION_NAME);
    if (session->peer.family == AF_UNIX && peer_user(&session->stream, &user, &process))
        socket.process = (uint32_t)process;
    write_socket(look, &socket);
}

static bool is_shown(const struct client *client, enum console_show show)
{
    if (show == CONSOLE_SHOWS_CLIENTS)
        return client->rank <= CANCELING;
    if (client->rank == GONE || client->rank == CANCELING)
        return false;
    return show == CONSOLE_SHOWS_SOCKETS || client->session->stream.kept_length > 0 ||
           stream_queued(&client->session->stream) > 0;
}

static void show_clients(const struct look *look)
{
    const struct list *lists = look->worker->front.sessions;
    size_t length = 0, size = 1;
    struct client *clients;

    for (unsigned state = 0; state < SESSION_STATE_COUNT; state++)
        size += lists[state].length;
    clients = calloc(size, sizeof(*clients));
    if (clients == NULL) {
        look->rows->out->failed = true;
        return;
    }
    for (unsigned state = 0; state < SESSION_STATE_COUNT; state++) {
        struct link *link = list_front(&lists[state]);

        for (; link != NULL; link = list_after(&lists[state], link)) {
            clients[length] = client_of(look->worker, CONTAINER_OF(link, struct session, link));
            length += is_shown(&clients[length], look->show);
        }
    }
    qsort(clients, length, sizeof(*clients), compare);
    for (size_t i = 0; i < length; i++)
        write_client(look, &clients[i]);
    free(clients);
}

/* ---- servers ----------------------------------------------------------------------------- */

static const struct {
    enum pool_server_state state;
    const char *name, *debug;
} server_states[] = {
    {POOL_SERVER_LEASED, "active", "sv_active"},
    {POOL_SERVER_IDLE, "idle", "sv_idle"},
    {POOL_SERVER_CLEANING, "tested", "sv_tested"},
    {POOL_SERVER_OPENING, "new", "sv_login"},
};

static const char *server_state(const struct look *look, size_t i, const struct backend *backend)
{
    if (server_states[i].state == POOL_SERVER_CLEANING && backend->canceling > 0)
        return look->is_debug ? "sv_being_canceled" : "being_canceled";
    return look->is_debug ? server_states[i].debug : server_states[i].name;
}

static void write_server(const struct look *look, const struct broker_place *place,
                         const struct pool_server *server, const char *state)
{
    const struct backend *backend = pool_server_connection(server);
    const struct session *session = session_with(backend->client);
    const struct parameters *has = backend->upkeep.settings.has;
    uint64_t since;
    struct socket socket = {
        .is_server = true,
        .user = place->terms.user,
        .database = place->terms.database,
        .state = state,
        .replication = replication_of(session),
        .stream = backend->adopted ? &backend->stream : NULL,
        .came_us = wall_of_ms(look, backend->since),
        .id = backend->id,
        .link_id = session != NULL ? session->id : 0,
        .close_needed = pool_server_is_expired(server, look->loop_ms) || backend->relay.tainted,
        .process = (uint32_t)backend_pid(backend),
        .statements = backend->relay.names.on_server.count,
        .remaining = backend->relay.remaining,
    };

    (void)pool_server_state(server, &since);
    socket.asked_us = session != NULL ? last_request(session, look) : wall_of_ms(look, since);
    if (has != NULL)
        socket.application = parameters_value(has, PARAMETERS_APPLICATION_NAME);
    backend_write_tls(backend, socket.tls, sizeof(socket.tls));
    write_socket(look, &socket);
}

static bool is_busy(const struct backend *backend)
{
    return backend->adopted &&
           (backend->stream.kept_length > 0 || stream_queued(&backend->stream) > 0);
}

static void show_servers_of(const struct look *look, const struct broker_place *place)
{
    for (size_t i = 0; i < COUNT_OF(server_states); i++) {
        const struct pool_server *server = NULL;

        while ((server = pool_server_after(place->pool, server_states[i].state, server))) {
            const struct backend *backend = pool_server_connection(server);

            if (backend != NULL && (look->show != CONSOLE_SHOWS_ACTIVE_SOCKETS || is_busy(backend)))
                write_server(look, place, server, server_state(look, i, backend));
        }
    }
}

static void show_servers(const struct look *look)
{
    struct view_pools pools;

    if (view_pools_init(&pools, look->worker) != ERR_OK)
        look->rows->out->failed = true;
    for (size_t i = 0; i < pools.length; i++)
        show_servers_of(look, pools.places[i]);
    view_pools_fini(&pools);
}

void show_sockets(const struct worker *worker, enum console_show show, struct console_rows *rows)
{
    struct look look = look_at(worker, show, rows);

    if (show != CONSOLE_SHOWS_SERVERS)
        show_clients(&look);
    if (show != CONSOLE_SHOWS_CLIENTS)
        show_servers(&look);
}
