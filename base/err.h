/*
 * base/err.h - everything that can go wrong, once.
 *
 * What a client, a backend, a file or the kernel can cause is returned as an enum err;
 * results go to out parameters, which are left alone on failure. Each front door tells
 * its clients in its own words, so each error has a column per protocol: a new error is
 * one new line here and no change anywhere else.
 *
 *      if ((e = pool_ask(pool, client, now)) != ERR_OK)
 *          say(client, err_sqlstate(e), err_text(e));
 *
 * SQLSTATEs: PostgreSQL manual, appendix A. RESP prefixes: those Redis itself uses.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

/* clang-format off */
#define ERR_LIST(X) \
    /* name                   SQLSTATE  RESP      HTTP  what a person reads                                  */ \
    X(ERR_NO_MEMORY,          "53200",  "OOM",    503,  "out of memory")                                        \
    X(ERR_IO,                 "58030",  "ERR",    500,  "input/output error")                                   \
    X(ERR_CONFIG,             "F0000",  "ERR",    500,  "the configuration is wrong")                           \
    X(ERR_PROTOCOL,           "08P01",  "ERR",    400,  "protocol violation")                                   \
    X(ERR_NOT_SUPPORTED,      "0A000",  "ERR",    501,  "not supported")                                        \
    X(ERR_WRONG_PASSWORD,     "28P01",  "WRONGPASS", 401, "password authentication failed")                     \
    X(ERR_NO_ENTRY,           "28000",  "NOAUTH", 403,  "not allowed")                                          \
    X(ERR_SETTING,            "22023",  "ERR",    400,  "the server does not take a setting of this client") \
    X(ERR_SYNTAX,             "42601",  "ERR",    400,  "syntax error")                                         \
    X(ERR_NO_RIGHT,           "42501",  "NOPERM", 403,  "admin access needed")                                  \
    X(ERR_ARGUMENT,           "22023",  "ERR",    400,  "invalid argument")                                     \
    X(ERR_NO_STATEMENT,       "26000",  "ERR",    404,  "no such prepared statement")                           \
    X(ERR_NO_PORTAL,          "34000",  "ERR",    404,  "no such portal")                                       \
    X(ERR_NAME_TAKEN,         "42P05",  "ERR",    409,  "the name is taken")                                    \
    X(ERR_NO_DATABASE,        "3D000",  "ERR",    404,  "no such database")                                     \
    X(ERR_TOO_MANY_STATEMENTS, "53400", "ERR",   503,  "too many prepared statements (max_client_prepared_statements)") \
    X(ERR_TOO_MANY_CLIENTS,   "53300",  "ERR",    503,  "no more connections allowed (max_client_conn)")        \
    X(ERR_QUEUE_FULL,         "53300",  "BUSY",   503,  "too many clients wait for a connection")               \
    X(ERR_WAIT_TOO_LONG,      "53300",  "BUSY",   504,  "no connection became free in time (query_wait_timeout)") \
    X(ERR_BACKEND_DOWN,       "08006",  "ERR",    502,  "the server cannot be reached")                         \
    X(ERR_BACKEND_LOST,       "08006",  "ERR",    502,  "server closed the connection unexpectedly")            \
    X(ERR_BACKEND_TOO_SLOW,   "08006",  "ERR",    504,  "the server did not answer in time (server_connect_timeout)") \
    X(ERR_LOGIN_TOO_LONG,     "08P01",  "ERR",    408,  "login took too long (client_login_timeout)")           \
    X(ERR_IDLE_TOO_LONG,      "57P05",  "ERR",    408,  "idle for too long (client_idle_timeout)")              \
    X(ERR_IN_TRANSACTION_TOO_LONG, "25P03", "ERR", 408, "idle in transaction for too long (idle_transaction_timeout)") \
    X(ERR_QUERY_TOO_LONG,     "57014",  "ERR",    504,  "canceling statement due to query_timeout")             \
    X(ERR_MESSAGE_TOO_LONG,   "08P01",  "ERR",    408,  "half a message, and then nothing (client_message_timeout)") \
    X(ERR_NOTIFICATIONS,      "53400",  "ERR",    503,  "notifications were not taken in time (max_queued_notifications)") \
    X(ERR_IN_BLOCK,           "08P01",  "ERR",    400,  "transaction blocks not allowed in statement pooling mode") \
    X(ERR_TRANSACTION_ENDED,  "25P01",  "ERR",    400,  "a query has ended the transaction, and nothing behind it was executed") \
    X(ERR_CANCELED,           "57014",  "ERR",    499,  "canceling statement due to user request")              \
    X(ERR_KILLED,             "57P01",  "ERR",    503,  "admin forced disconnect")                              \
    X(ERR_SHUTTING_DOWN,      "57P01",  "ERR",    503,  "terminating connection: weir is shutting down")        \
    X(ERR_CLOSED,             "08003",  "ERR",    499,  "the connection was closed")
/* clang-format on */

enum err {
    ERR_OK = 0,
#define X(name, ...) name,
    ERR_LIST(X)
#undef X
        ERR_COUNT
};

const char *err_text(enum err e);
const char *err_sqlstate(enum err e);
const char *err_resp_prefix(enum err e);
int err_http_status(enum err e);

#endif
