/*
 * proxy/settings.h - what [weir], or [pgbouncer], can say.
 *
 *      struct settings settings = {0};
 *      option_reset(&settings_table, &settings, &mistakes);
 *      option_assign(&settings_table, &settings, "pool_mode", "transaction", &mistakes);
 *      option_free(&settings_table, &settings);
 *
 * Each field has its setting's name, and a time its unit besides. What they mean, may be
 * and are by default stands in the rows of settings.c; `weir --settings` prints them. The
 * rows are in the order of PgBouncer's SHOW CONFIG, then come weir's own.
 */
#ifndef PROXY_SETTINGS_H
#define PROXY_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"

/* Each as its setting's words. */
enum settings_auth_type {
    SETTINGS_AUTH_ANY,
    SETTINGS_AUTH_TRUST,
    SETTINGS_AUTH_PLAIN,
    SETTINGS_AUTH_MD5,
    SETTINGS_AUTH_SCRAM,
};

enum settings_pool_mode {
    SETTINGS_POOL_MODE_UNSET = -1,
    SETTINGS_POOL_MODE_SESSION,
    SETTINGS_POOL_MODE_TRANSACTION,
    SETTINGS_POOL_MODE_STATEMENT,
};

/* As enum state_mode has them. */
enum settings_session_state {
    SETTINGS_SESSION_STATE_UNSET = -1,
    SETTINGS_SESSION_STATE_FOLLOW,
    SETTINGS_SESSION_STATE_PIN,
    SETTINGS_SESSION_STATE_REJECT,
    SETTINGS_SESSION_STATE_IGNORE,
};

#define SETTINGS_SESSION_STATES "follow pin reject ignore"

enum settings_log_format { SETTINGS_LOG_TEXT, SETTINGS_LOG_JSON };

#define SETTINGS_POOL_MODES "session transaction statement"

struct settings {
    /* who comes in */
    char *listen_addr;
    uint64_t listen_port, listen_backlog;
    char *unix_socket_dir;
    uint64_t unix_socket_mode;
    bool tcp_keepalive;
    uint64_t tcp_keepcnt, tcp_keepidle, tcp_keepintvl;
    enum settings_auth_type auth_type;
    char *auth_file; /* NULL: none */
    uint64_t scram_iterations;
    char *ignore_startup_parameters;
    char *admin_users, *stats_users; /* of the console; "": nobody */
    uint64_t max_client_conn;

    /* who gets a server */
    enum settings_pool_mode pool_mode; /* always set */
    uint64_t default_pool_size, min_pool_size, max_waiting_clients;
    enum settings_session_state session_state;              /* always set */
    uint64_t max_listen_channels, max_queued_notifications; /* the latter in bytes */
    char *server_reset_query;
    bool server_reset_query_always;
    uint64_t max_prepared_statements, max_client_prepared_statements;

    /* how long */
    uint64_t cancel_wait_timeout_ms;
    uint64_t client_idle_timeout_ms, client_login_timeout_ms, client_message_timeout_ms;
    uint64_t idle_transaction_timeout_ms, query_timeout_ms, query_wait_timeout_ms;
    uint64_t server_connect_timeout_ms, server_idle_timeout_ms;
    uint64_t server_lifetime_ms, server_login_retry_ms, server_reset_timeout_ms;
    uint64_t shutdown_timeout_ms;

    /* what is written down */
    bool log_connections, log_disconnections, log_pooler_errors;
    uint64_t stats_period; /* in seconds, at least 1 */
    uint64_t verbose;
    char *logfile; /* "": standard error */
    enum settings_log_format log_format;
    bool syslog;
    char *syslog_ident;
    int syslog_facility; /* a place in words; ask settings_facility() */

    /* the process */
    char *pidfile, *user; /* user may be NULL */
    uint64_t workers;
};

extern const struct option_table settings_table;

/* For openlog(): LOG_DAEMON... */
int settings_facility(const struct settings *settings);

#endif
