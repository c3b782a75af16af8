#include "proxy/fronts/postgres/greeting.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/postgres/wire.h"
#include "proxy/fronts/postgres/auth.h"
#include "proxy/fronts/postgres/brought.h"
#include "proxy/fronts/postgres/console.h"
#include "proxy/fronts/postgres/front.h"
#include "proxy/fronts/postgres/session_console.h"
#include "proxy/fronts/postgres/startup.h"

/* SSLRequest and GSSENCRequest, each once. */
enum { MOST_ENCRYPTION_REQUESTS = 2 };

struct greeting {
    struct session *session; /* NULL: it is gone, a thread still works for us */
    struct terms_wanted wanted;
    struct terms_user *user; /* whose keys may be kept; NULL: nobody's */
    struct auth *auth;       /* after the first packet */
    struct bytes parameters; /* of it */
    struct bytes options;    /* of a client that wants a server of its own */
    struct login_wishes wishes;
    struct offload_job job;
    struct link waiting; /* in user->waiting */
    bool is_own;         /* user pgbouncer for the console, by our own uid: it needs no password */
    bool deriving;       /* keys are being derived, here or for another login of the user */
    unsigned encryption_requests;
};

struct greeting *greeting_begin(struct session *session)
{
    struct greeting *greeting = calloc(1, sizeof(*greeting));

    if (greeting != NULL)
        greeting->session = session;
    return greeting;
}

static void destroy(struct greeting *greeting)
{
    auth_destroy(greeting->auth);
    bytes_free(&greeting->parameters);
    bytes_free(&greeting->options);
    free(greeting);
}

void greeting_abandon(struct greeting *greeting)
{
    if (greeting == NULL)
        return;
    greeting->session = NULL;
    if (link_is_linked(&greeting->waiting)) {
        list_remove(&greeting->user->waiting, &greeting->waiting);
        greeting->deriving = false;
    }
    if (!greeting->deriving) /* else the thread comes back to it */
        destroy(greeting);
}

static const struct front_options *with(const struct greeting *greeting)
{
    return &greeting->session->front->with;
}

/* ---- the end of it ----------------------------------------------------------------------- */

static void refuse(struct greeting *greeting, enum err why, const char *text)
{
    struct session *session = greeting->session;
    char address[64];
    struct log_who who = session_who(session, address);

    with(greeting)->metrics->logins_failed++;
    who.user = greeting->wanted.user[0] ? greeting->wanted.user : NULL;
    who.database = greeting->wanted.database[0] ? greeting->wanted.database : NULL;
    log_write(with(greeting)->log, LOG_LEVEL_WARNING, &who, "login failed: %s", text);
    session_fail(session, why, text);
}

/* What the client's first packet says, else what the database's entry says. */
static const char *wish(const struct greeting *greeting, enum parameters_name name)
{
    struct slice parameters = {greeting->parameters.at, greeting->parameters.length};
    struct slice said = startup_value(parameters, parameters_names[name]);

    return said.at != NULL ? (const char *)said.at
                           : greeting->session->lease.place->terms.settings[name];
}

/* A server for replication is logged in to with all that its client has asked for. */
static enum err want_own_server(struct greeting *greeting)
{
    struct broker_lease *lease = &greeting->session->lease;
    static const enum parameters_name others[] = {PARAMETERS_DATE_STYLE, PARAMETERS_TIME_ZONE};
    struct bytes *options = &greeting->options;

    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (lease->place->terms.settings[others[i]] != NULL)
            startup_add_option(parameters_names[others[i]], lease->place->terms.settings[others[i]],
                               options);
    startup_add_options((struct slice){greeting->parameters.at, greeting->parameters.length},
                        options);
    bytes_add(options, "", 1);
    greeting->wishes.options = (const char *)options->at;
    greeting->wishes.application_name = wish(greeting, PARAMETERS_APPLICATION_NAME);
    greeting->wishes.client_encoding = wish(greeting, PARAMETERS_CLIENT_ENCODING);
    lease->wishes = &greeting->wishes;
    return options->failed ? ERR_NO_MEMORY : ERR_OK;
}

static void log_login(struct greeting *greeting)
{
    char address[64];
    struct log_who who = session_who(greeting->session, address);

    if (!with(greeting)->log_connections)
        return;
    who.user = greeting->wanted.user;
    if (who.database == NULL)
        who.database = greeting->wanted.database;
    log_write(with(greeting)->log, LOG_LEVEL_INFO, &who, "login attempt: db=%s user=%s tls=no",
              greeting->wanted.database, greeting->wanted.user);
}

/* Its settings are only shown; but for its name there are none. */
static bool note_settings(struct greeting *greeting)
{
    struct parameters_set *set = &with(greeting)->broker->home.parameters;
    const struct parameters *none = parameters_empty(set);

    if (none == NULL)
        return false;
    greeting->session->lease.wanted = brought_settings(
        set, none, (struct slice){greeting->parameters.at, greeting->parameters.length},
        with(greeting)->terms->config->settings.ignore_startup_parameters);
    parameters_release(set, none);
    return true;
}

/* admin_users hold for whoever is who he says, and for any name where everybody is. */
static void let_in_console(struct greeting *greeting)
{
    const struct settings *settings = &with(greeting)->terms->config->settings;
    const char *user = greeting->wanted.user;
    bool is_admin = greeting->is_own || console_is_listed(settings->admin_users, user);
    bool may_watch = is_admin || console_is_listed(settings->stats_users, user) ||
                     settings->auth_type == SETTINGS_AUTH_ANY;
    enum err e = ERR_NO_MEMORY;

    if (!may_watch) {
        refuse(greeting, ERR_NO_ENTRY, "not allowed");
        return;
    }
    log_login(greeting);
    if (note_settings(greeting))
        e = session_console_begin(greeting->session, user, is_admin);
    if (e != ERR_OK)
        refuse(greeting, e, err_text(e));
}

/* Whom a server is logged in as may be somebody else. */
static enum err note_login(struct greeting *greeting)
{
    struct session *session = greeting->session;

    if (strcmp(session->lease.place->terms.user, greeting->wanted.user) == 0)
        return ERR_OK;
    session->login = strdup(greeting->wanted.user);
    return session->login != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static void let_in_place(struct greeting *greeting)
{
    struct session *session = greeting->session;
    char text[128];
    enum err e = terms_find_place(with(greeting)->terms, &greeting->wanted, &session->lease.place);

    if (e == ERR_OK)
        e = note_login(greeting);
    if (e == ERR_OK && greeting->wishes.replication != NULL)
        e = want_own_server(greeting);
    if (e == ERR_NO_DATABASE) {
        snprintf(text, sizeof(text), "no such database: %s", greeting->wanted.database);
        refuse(greeting, e, text);
    } else if (e != ERR_OK) {
        refuse(greeting, e, err_text(e));
    } else {
        log_login(greeting);
        session_welcome(session);
    }
}

static void let_in(struct greeting *greeting)
{
    if (console_is_database(greeting->wanted.database))
        let_in_console(greeting);
    else
        let_in_place(greeting);
}

enum err greeting_welcome(const struct greeting *greeting)
{
    struct session *session = greeting->session;
    struct broker_lease *lease = &session->lease;
    struct bytes out = {0};
    enum err e = ERR_OK;

    if (session->slot == SESSION_NO_SLOT && (e = front_enroll(session->front, session)) != ERR_OK)
        return e;
    if (lease->backend != NULL) { /* its own, which knows all that it wants already */
        lease->wanted = parameters_hold(lease->backend->upkeep.settings.has);
        backend_write_parameters(lease->backend, &out);
    } else {
        lease->wanted =
            brought_settings(&lease->place->broker->home.parameters, lease->place->standard,
                             (struct slice){greeting->parameters.at, greeting->parameters.length},
                             with(greeting)->terms->config->settings.ignore_startup_parameters);
        bytes_add(&out, lease->place->welcome.at, lease->place->welcome.length);
    }
    lease->own = parameters_hold(lease->wanted);
    for (unsigned i = 0; i < PARAMETERS_COUNT; i++)
        wire_add_parameter_status(&out, parameters_names[i],
                                  parameters_value(lease->wanted, (enum parameters_name)i));
    wire_add_backend_key(&out, session->slot, (struct slice){session->key, session->key_size});
    wire_add_ready_for_query(&out, 'I');
    if (out.failed)
        e = ERR_NO_MEMORY;
    else
        stream_write(&session->stream, &(struct slice){out.at, out.length}, 1);
    bytes_free(&out);
    return e;
}

/* ---- who are you? ------------------------------------------------------------------------ */

static void advance(struct greeting *greeting, enum auth_step step, struct bytes *out);

static void work(struct offload_job *job)
{
    auth_derive(CONTAINER_OF(job, struct greeting, job)->auth);
}

static void have_keys(struct greeting *greeting)
{
    struct bytes out = {0};
    enum auth_step step = auth_derived(greeting->auth, &out); /* keeps them for others, too */

    greeting->deriving = false;
    if (greeting->session != NULL) {
        advance(greeting, step, &out);
        return;
    }
    bytes_free(&out);
    destroy(greeting);
}

static void on_derived(struct offload_job *job)
{
    struct greeting *greeting = CONTAINER_OF(job, struct greeting, job), *other;
    struct terms_user *user = auth_shares_keys(greeting->auth) ? greeting->user : NULL;

    have_keys(greeting);
    if (user == NULL)
        return;
    user->deriving = false;
    while ((other = LIST_FRONT(&user->waiting, struct greeting, waiting)) != NULL) {
        list_remove(&user->waiting, &other->waiting);
        have_keys(other);
    }
}

/* Once per user: whoever logs in as the same user meanwhile waits for the same keys. */
static void derive(struct greeting *greeting)
{
    bool shared = auth_shares_keys(greeting->auth);

    greeting->deriving = true;
    if (shared && greeting->user->deriving) {
        list_push_back(&greeting->user->waiting, &greeting->waiting);
        return;
    }
    if (offload_run(with(greeting)->hashing, &greeting->job, work, on_derived) != ERR_OK) {
        greeting->deriving = false;
        refuse(greeting, ERR_TOO_MANY_CLIENTS, "too many logins at once");
        return;
    }
    if (shared)
        greeting->user->deriving = true;
}

/* Takes out. The greeting may be gone afterwards. */
static void advance(struct greeting *greeting, enum auth_step step, struct bytes *out)
{
    struct stream *stream = &greeting->session->stream;

    if (out->failed) {
        refuse(greeting, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
        bytes_free(out);
        return;
    }
    if (out->length > 0)
        stream_write(stream, &(struct slice){out->at, out->length}, 1);
    bytes_free(out);
    switch (step) {
    case AUTH_SEND:
        break;
    case AUTH_DERIVE:
        derive(greeting);
        break;
    case AUTH_OK:
        let_in(greeting);
        break;
    case AUTH_REFUSED:
        refuse(greeting, auth_why(greeting->auth), auth_reason(greeting->auth));
        break;
    }
}

/* What an answer to our question may look like. False: it does not. */
static bool is_answer(const struct wire_header *header)
{
    return header->type == WIRE_PASSWORD && header->length <= WIRE_HEADER_SIZE + AUTH_ANSWER_MOST;
}

static size_t read_answer(struct greeting *greeting, struct slice in)
{
    struct wire_header header;
    enum wire_sight sight = wire_header(in, &header);
    struct bytes out = {0};
    struct slice body;

    if (sight == WIRE_MORE)
        return 0;
    if (sight == WIRE_BROKEN || !is_answer(&header)) {
        if (sight == WIRE_MESSAGE && header.type == WIRE_TERMINATE)
            session_close(greeting->session);
        else
            refuse(greeting, ERR_PROTOCOL, "expected a password message");
        return in.length;
    }
    if (in.length < header.length)
        return 0;
    body = (struct slice){in.at + WIRE_HEADER_SIZE, header.length - WIRE_HEADER_SIZE};
    advance(greeting, auth_answer(greeting->auth, body, &out), &out);
    return header.length;
}

/* ---- the first packet -------------------------------------------------------------------- */

static enum auth_type auth_type(const struct greeting *greeting)
{
    switch (with(greeting)->terms->config->settings.auth_type) {
    case SETTINGS_AUTH_ANY:
        return AUTH_ANY;
    case SETTINGS_AUTH_TRUST:
        return AUTH_TRUST;
    case SETTINGS_AUTH_PLAIN:
        return AUTH_PLAIN;
    case SETTINGS_AUTH_MD5:
        return AUTH_MD5;
    case SETTINGS_AUTH_SCRAM:
        break;
    }
    return AUTH_SCRAM_SHA_256;
}

/* What a client may ask for in its first packet. */
static bool has_unsupported(const struct greeting *greeting, const struct startup *startup,
                            char *text, size_t size)
{
    const char *ignored = with(greeting)->terms->config->settings.ignore_startup_parameters;

    if (greeting->wishes.replication != NULL) /* its server is logged in to with all of it */
        return false;
    return !brought_is_valid(startup->parameters, ignored, text, size);
}

/* False: it makes no sense, for the reason in text. */
static bool read_replication(struct greeting *greeting, const struct startup *startup, char *text,
                             size_t size)
{
    enum startup_replication wanted = startup_replication(startup);

    if (wanted == STARTUP_LOGICAL)
        greeting->wishes.replication = "database";
    if (wanted == STARTUP_PHYSICAL)
        greeting->wishes.replication = "true";
    greeting->session->replication = (uint8_t)wanted;
    if (wanted != STARTUP_NO_REPLICATION && wanted != STARTUP_BAD_REPLICATION &&
        console_is_database(greeting->wanted.database)) {
        snprintf(text, size, "the console has nothing to replicate");
        return false;
    }
    snprintf(text, size, "invalid value for parameter \"replication\": \"%.*s\"",
             (int)startup->replication.length,
             startup->replication.at ? (const char *)startup->replication.at : "");
    return wanted != STARTUP_BAD_REPLICATION;
}

static void look_up(struct greeting *greeting, const struct startup *startup)
{
    char user[STARTUP_USER_MOST + 1], database[STARTUP_DATABASE_MOST + 1];

    snprintf(user, sizeof(user), "%.*s", (int)startup->user.length, (const char *)startup->user.at);
    snprintf(database, sizeof(database), "%.*s", (int)startup->database.length,
             (const char *)startup->database.at);
    terms_look_up(with(greeting)->terms, user, database, &greeting->wanted);
    if (greeting->wanted.known != NULL)
        greeting->user = terms_user(with(greeting)->terms, user);
}

/* As PgBouncer has it: who runs us may look after us. */
static bool is_own(const struct greeting *greeting)
{
    uid_t user;
    pid_t process;

    return console_is_database(greeting->wanted.database) &&
           strcmp(greeting->wanted.user, "pgbouncer") == 0 &&
           peer_user(&greeting->session->stream, &user, &process) && user == getuid();
}

static bool set_up_auth(struct greeting *greeting)
{
    const struct terms *terms = with(greeting)->terms;
    const struct userlist_user *known = greeting->wanted.known;
    const struct front *front = greeting->session->front;
    struct secret secret;
    struct auth_request request = {
        .type = auth_type(greeting),
        .user = {(const uint8_t *)greeting->wanted.user, strlen(greeting->wanted.user)},
        .usual = terms->usual,
        .kept = greeting->user != NULL ? &greeting->user->keys : NULL,
        .iterations = (uint32_t)terms->config->settings.scram_iterations,
        .process_key = {front->secret, sizeof(front->secret)},
    };

    if (known != NULL &&
        secret_parse((struct slice){(const uint8_t *)known->secret, strlen(known->secret)},
                     &secret) == ERR_OK)
        request.secret = &secret;
    if (greeting->is_own)
        request.type = AUTH_ANY;
    if (RAND_bytes(request.random, sizeof(request.random)) == 1)
        greeting->auth = auth_create(&request);
    return greeting->auth != NULL;
}

static void begin_login(struct greeting *greeting, const struct startup *startup)
{
    struct session *session = greeting->session;
    struct front *front = session->front;
    struct bytes out = {0};
    char text[160];

    look_up(greeting, startup);
    greeting->is_own = is_own(greeting);
    if (front->clients >= front->with.max_clients && !greeting->is_own) {
        front->with.metrics->turned_away++;
        refuse(greeting, ERR_TOO_MANY_CLIENTS, err_text(ERR_TOO_MANY_CLIENTS));
        return;
    }
    front->clients++;
    session->counted = true;
    session->key_size = startup->minor >= 2 ? SESSION_KEY_SIZE : WIRE_KEY_LEAST;
    if (!read_replication(greeting, startup, text, sizeof(text))) {
        refuse(greeting, ERR_SETTING, text);
        return;
    }
    if (has_unsupported(greeting, startup, text, sizeof(text))) {
        refuse(greeting, ERR_NOT_SUPPORTED, text);
        return;
    }
    startup_add_negotiation(startup, &out);
    bytes_add(&greeting->parameters, startup->parameters.at, startup->parameters.length);
    out.failed |= greeting->parameters.failed;
    if (set_up_auth(greeting)) {
        advance(greeting, auth_begin(greeting->auth, &out), &out);
    } else {
        bytes_free(&out);
        refuse(greeting, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
    }
}

static void pass_on_cancel(struct greeting *greeting, const struct startup *startup)
{
    struct session *session = greeting->session;
    struct session *target = front_find(session->front, startup->pid, startup->key);

    session->front->with.metrics->cancel_requests++;
    session_wait_for_cancel(session, target != NULL ? session_cancel(target) : NULL);
}

/* Encryption is not offered: the client goes on in the clear, or not at all. */
static void refuse_encryption(struct greeting *greeting)
{
    if (++greeting->encryption_requests > MOST_ENCRYPTION_REQUESTS)
        refuse(greeting, ERR_PROTOCOL, "too many requests for encryption");
    else
        stream_write(&greeting->session->stream, &SLICE("N"), 1);
}

static size_t read_first_packet(struct greeting *greeting, struct slice in)
{
    struct startup startup;

    switch (startup_read(in, &startup)) {
    case STARTUP_MORE:
        return 0;
    case STARTUP_SSL:
    case STARTUP_GSSENC:
        refuse_encryption(greeting);
        break;
    case STARTUP_CANCEL:
        pass_on_cancel(greeting, &startup);
        break;
    case STARTUP_LOGIN:
        begin_login(greeting, &startup);
        break;
    case STARTUP_BAD:
        refuse(greeting, startup.why, startup.reason);
        return in.length;
    }
    return startup.length;
}

size_t greeting_bytes(struct greeting *greeting, struct slice in)
{
    if (greeting->deriving)
        return 0;
    return greeting->auth == NULL ? read_first_packet(greeting, in) : read_answer(greeting, in);
}
