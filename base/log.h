/*
 * base/log.h - what happened, a line each.
 *
 *      struct log log;
 *      if (log_open(&log, &(struct log_options){.file = "/var/log/weir.log"}) != ERR_OK)
 *          ...                                         errno says why
 *      log_write(&log, LOG_LEVEL_INFO, &who, "login attempt: tls=%s", "no");
 *      log_close(&log);
 *
 * As text, which reads like PgBouncer's so that tools for its log go on working:
 *
 *      2026-11-21 10:00:00.123 UTC [4711] LOG C-12: app/ana@127.0.0.1:5555 login attempt: tls=no
 *
 * or as JSON, an object a line, without the members that are not known:
 *
 *      {"time":"2026-11-21T10:00:00.123+0000","level":"LOG","pid":4711,"id":"C-12",
 *       "database":"app","user":"ana","address":"127.0.0.1:5555","message":"login attempt..."}
 *
 * A line is one write(2) and has at most LOG_LINE_MOST bytes; what is longer ends in "...".
 * Whatever is in a name or a message, a line stays a line: control characters and what is
 * not UTF-8 are escaped; in JSON what is not UTF-8 becomes U+FFFD.
 *
 * The log never stops the program. It allocates nothing, and a line that cannot be
 * written, or would have to wait, is counted and dropped; the next one that can be
 * written is followed by how many were lost. log_open ignores SIGPIPE to this end.
 *
 * Threads may share a log: nothing in it changes while it is open but two atomics.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/contract.h"
#include "base/err.h"

enum { LOG_LINE_MOST = 4096 }; /* PIPE_BUF: so much a pipe takes whole or not at all */

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO, /* its word is LOG, as in PostgreSQL and PgBouncer */
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_FATAL, /* the caller stops, the log does not */
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct log_options {
    enum log_level level; /* what is below is not written */
    enum log_format format;
    const char *file;            /* NULL: standard error, unless syslog is wanted */
    const char *syslog_ident;    /* NULL: no syslog; it may be wanted besides a file */
    const char *syslog_facility; /* auth authpriv daemon user local0..local7; NULL: daemon */
};

/* Whom a line is about. Every text may be NULL: not known yet. */
struct log_who {
    char kind; /* C a client, S a server, - neither: then there is no id */
    uint64_t id;
    const char *database, *user, *address;
};

struct log {
    _Atomic enum log_level level;
    enum log_format format;
    int fd; /* -1: syslog alone */
    char *file, *syslog_ident;
    _Atomic uint64_t lost;
};

/* ERR_IO: the file cannot be opened (errno). ERR_CONFIG: no such facility. What options
 * point to is copied. Only one open log at a time may use syslog: that is libc's. */
enum err log_open(struct log *log, const struct log_options *options) MUST_CHECK;
void log_close(struct log *log);

/* Opens the file anew, for logrotate. On ERR_IO (errno) the log goes on as it was. */
enum err log_reopen(struct log *log) MUST_CHECK;
void log_set_level(struct log *log, enum log_level level);

/* who may be NULL. */
void log_write(struct log *log, enum log_level level, const struct log_who *who, const char *format,
               ...) PRINTF_LIKE(4, 5);

static inline bool log_wants(const struct log *log, enum log_level level)
{
    return level >= atomic_load_explicit(&log->level, memory_order_relaxed);
}

#endif
