#include "drivers/postgres/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "drivers/watch.h"

enum { MOST_ADDRESSES = 8 }; /* of one host name */

struct login {
    uv_loop_t *loop;
    void *owner;
    login_done *done;
    PQconninfoOption *options; /* libpq's own table, filled in */
    PGconn *conn;
    struct watch *watch;
    uv_timer_t soon;             /* so that done is never called from inside login_start */
    uv_getaddrinfo_t resolution; /* of the host at next */
    bool resolving, stopped;
    unsigned next; /* the host in line, of those in the host option */
    struct bytes hosts, addresses, ports, why;
};

static void go_on(struct login *login);

/* ---- the end ----------------------------------------------------------------------------- */

static void stop_watching(struct login *login)
{
    watch_stop(login->watch);
    login->watch = NULL;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct login *login = CONTAINER_OF(handle, struct login, soon);

    PQconninfoFree(login->options);
    bytes_free(&login->hosts);
    bytes_free(&login->addresses);
    bytes_free(&login->ports);
    bytes_free(&login->why);
    free(login);
}

static void destroy(struct login *login)
{
    stop_watching(login);
    PQfinish(login->conn);
    login->conn = NULL;
    login->stopped = true;
    if (!login->resolving) /* else the resolver still writes here; its callback comes back */
        uv_close((uv_handle_t *)&login->soon, on_timer_closed);
}

void login_stop(struct login *login)
{
    if (login->resolving)
        uv_cancel((uv_req_t *)&login->resolution);
    destroy(login);
}

/* libpq's messages are lines; ours is a part of one. */
static void fail(struct login *login, const char *why)
{
    char text[512];
    size_t length;

    snprintf(text, sizeof(text), "%s", why);
    length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == ' '))
        text[--length] = '\0';
    for (char *newline; (newline = strchr(text, '\n')) != NULL;)
        *newline = ' ';
    login->done(login->owner, NULL, text);
    destroy(login);
}

/* ---- options ----------------------------------------------------------------------------- */

static PQconninfoOption *option(struct login *login, const char *name)
{
    PQconninfoOption *o = login->options;

    while (o->keyword != NULL && strcmp(o->keyword, name) != 0)
        o++;
    return o->keyword != NULL ? o : NULL;
}

static const char *value_of(struct login *login, const char *name)
{
    const PQconninfoOption *o = option(login, name);

    return o != NULL && o->val != NULL && o->val[0] != '\0' ? o->val : NULL;
}

/* PQconninfoFree frees it as libpq would its own. */
static bool set(struct login *login, const char *name, const char *value)
{
    PQconninfoOption *o = option(login, name);
    char *copy;

    if (value == NULL || o == NULL)
        return true;
    copy = strdup(value);
    if (copy == NULL)
        return false;
    free(o->val);
    o->val = copy;
    return true;
}

static bool set_default(struct login *login, const char *name, const char *value)
{
    return value_of(login, name) != NULL || set(login, name, value);
}

static bool add_options(struct login *login, const char *options)
{
    const char *before = value_of(login, "options");
    struct bytes both = {0};
    bool done;

    if (options == NULL || before == NULL)
        return set(login, "options", options);
    bytes_print(&both, "%s %s", before, options);
    done = !both.failed && set(login, "options", (const char *)both.at);
    bytes_free(&both);
    return done;
}

static bool add_wishes(struct login *login, const struct login_wishes *wishes)
{
    return set(login, "replication", wishes->replication) &&
           set(login, "application_name", wishes->application_name) &&
           set(login, "client_encoding", wishes->client_encoding) &&
           add_options(login, wishes->options);
}

static bool fill_in(struct login *login, const struct login_target *target)
{
    return set(login, "host", target->host) && set(login, "port", target->port) &&
           set(login, "dbname", target->dbname) && set(login, "user", target->user) &&
           set(login, "password", target->password) && set(login, "gssencmode", "disable") &&
           set_default(login, "fallback_application_name", "weir") &&
           add_wishes(login, &target->wishes);
}

/* ---- connecting -------------------------------------------------------------------------- */

static void on_ready(void *owner)
{
    go_on(owner);
}

static void watch(struct login *login, int events)
{
    login->watch = watch_start(login->loop, PQsocket(login->conn), events, login, on_ready);
    if (login->watch == NULL)
        fail(login, "the socket cannot be watched");
}

static void succeed(struct login *login)
{
    PGconn *conn = login->conn;

    login->conn = NULL;
    login->done(login->owner, conn, NULL);
    destroy(login);
}

static void go_on(struct login *login)
{
    stop_watching(login);
    switch (PQconnectPoll(login->conn)) {
    case PGRES_POLLING_READING:
        watch(login, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        watch(login, UV_WRITABLE);
        break;
    case PGRES_POLLING_OK:
        succeed(login);
        break;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
    default:
        fail(login, PQerrorMessage(login->conn));
        break;
    }
}

static void ignore_notice(void *arg, const PGresult *result)
{
    (void)arg;
    (void)result;
}

static void connect_now(struct login *login)
{
    const char *names[64], *values[64];
    size_t count = 0;

    for (PQconninfoOption *o = login->options; o->keyword != NULL && count < 63; o++) {
        if (o->val == NULL)
            continue;
        names[count] = o->keyword;
        values[count++] = o->val;
    }
    names[count] = values[count] = NULL;
    login->conn = PQconnectStartParams(names, values, 0);
    if (login->conn == NULL) {
        fail(login, err_text(ERR_NO_MEMORY));
        return;
    }
    PQsetNoticeReceiver(login->conn, ignore_notice, NULL);
    if (PQstatus(login->conn) == CONNECTION_BAD)
        fail(login, PQerrorMessage(login->conn));
    else
        watch(login, UV_WRITABLE);
}

/* ---- resolving --------------------------------------------------------------------------- */

static void resolve(struct login *login);

/* The nth of a comma list, in a buffer of the caller's; false past the last. A list of one
 * port stands for all hosts. */
static bool nth(const char *list, unsigned n, char *to, size_t size)
{
    for (; n > 0; n--) {
        list = strchr(list, ',');
        if (list == NULL)
            return false;
        list++;
    }
    snprintf(to, size, "%.*s", (int)strcspn(list, ","), list);
    return true;
}

static void add_to_list(struct bytes *list, const char *text)
{
    bytes_print(list, "%s%s", list->length > 0 ? "," : "", text);
}

/* One entry in each list for one address of the host in line. */
static void add_address(struct login *login, const char *host, const char *address)
{
    const char *list = value_of(login, "port");
    char port[16] = "";

    if (list != NULL && !nth(list, login->next, port, sizeof(port)))
        nth(list, 0, port, sizeof(port));
    if (login->hosts.length > 0 || login->addresses.failed)
        bytes_add(&login->addresses, ",", 1);
    bytes_add(&login->addresses, address, strlen(address));
    add_to_list(&login->ports, port[0] != '\0' ? port : "5432");
    add_to_list(&login->hosts, host);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct login *login = request->data;
    char host[256], address[INET6_ADDRSTRLEN];
    unsigned count = 0;

    login->resolving = false;
    if (login->stopped) {
        uv_freeaddrinfo(found);
        destroy(login);
        return;
    }
    nth(value_of(login, "host"), login->next, host, sizeof(host));
    for (struct addrinfo *a = found; status == 0 && a != NULL && count < MOST_ADDRESSES;
         a = a->ai_next, count++)
        if (uv_ip_name(a->ai_addr, address, sizeof(address)) == 0)
            add_address(login, host, address);
    uv_freeaddrinfo(found);
    if (status != 0)
        bytes_print(&login->why, "%scould not translate host name \"%s\" to address: %s",
                    login->why.length > 0 ? "; " : "", host, uv_strerror(status));
    login->next++;
    resolve(login);
}

static bool needs_resolving(const char *host)
{
    struct sockaddr_in in;
    struct sockaddr_in6 in6;

    return host[0] != '\0' && host[0] != '/' && host[0] != '@' && uv_ip4_addr(host, 0, &in) != 0 &&
           uv_ip6_addr(host, 0, &in6) != 0;
}

static void hand_over_addresses(struct login *login)
{
    bytes_add(&login->hosts, "", 1);
    bytes_add(&login->addresses, "", 1);
    bytes_add(&login->ports, "", 1);
    bytes_add(&login->why, "", 1);
    if (login->hosts.length == 1)
        fail(login, (char *)login->why.at);
    else if (login->hosts.failed || login->addresses.failed || login->ports.failed ||
             !set(login, "host", (char *)login->hosts.at) ||
             !set(login, "hostaddr", (char *)login->addresses.at) ||
             !set(login, "port", (char *)login->ports.at))
        fail(login, err_text(ERR_NO_MEMORY));
    else
        connect_now(login);
}

/* Goes through the hosts; comes back from the resolver for each that is a name. */
static void resolve(struct login *login)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    char host[256];

    for (; nth(value_of(login, "host"), login->next, host, sizeof(host)); login->next++) {
        if (!needs_resolving(host)) {
            add_address(login, host, host[0] == '/' || host[0] == '@' ? "" : host);
            continue;
        }
        login->resolution.data = login;
        login->resolving = true;
        if (uv_getaddrinfo(login->loop, &login->resolution, on_resolved, host, NULL, &hints) == 0)
            return;
        login->resolving = false;
    }
    hand_over_addresses(login);
}

/* ---- the beginning ----------------------------------------------------------------------- */

static void on_soon(uv_timer_t *timer)
{
    struct login *login = CONTAINER_OF(timer, struct login, soon);

    if (value_of(login, "hostaddr") != NULL || value_of(login, "host") == NULL)
        connect_now(login);
    else
        resolve(login);
}

struct login *login_start(uv_loop_t *loop, const struct login_target *target, void *owner,
                          login_done *done)
{
    struct login *login = calloc(1, sizeof(*login));

    if (login == NULL)
        return NULL;
    login->loop = loop;
    login->owner = owner;
    login->done = done;
    login->options = PQconninfoParse(target->conninfo ? target->conninfo : "", NULL);
    if (login->options == NULL || !fill_in(login, target)) {
        PQconninfoFree(login->options);
        free(login);
        return NULL;
    }
    uv_timer_init(loop, &login->soon);
    uv_timer_start(&login->soon, on_soon, 0, 0);
    return login;
}

bool login_conninfo_is_valid(const char *conninfo, char *why, size_t size)
{
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(conninfo, &message);
    bool valid = options != NULL;

    snprintf(why, size, "%.*s", message ? (int)strcspn(message, "\n") : 0, message ? message : "");
    PQfreemem(message);
    PQconninfoFree(options);
    return valid;
}

static const char *value_in(const PQconninfoOption *options, const char *name)
{
    for (; options != NULL && options->keyword != NULL; options++)
        if (strcmp(options->keyword, name) == 0)
            return options->val;
    return NULL;
}

void login_conninfo_value(const char *conninfo, const char *name, char *to, size_t size)
{
    PQconninfoOption *said = PQconninfoParse(conninfo, NULL), *standard = PQconndefaults();
    const char *value = value_in(said, name);

    if (value == NULL)
        value = value_in(standard, name);
    if (value == NULL && strcmp(name, "dbname") == 0) /* libpq's rule: as the user */
        value = value_in(said, "user") ? value_in(said, "user") : value_in(standard, "user");
    snprintf(to, size, "%s", value != NULL ? value : "");
    PQconninfoFree(said);
    PQconninfoFree(standard);
}
