#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/utf8.h"

enum {
    NAME_MOST = 256, /* of each name, escaped, so that there is room for the message */
    TAIL_MOST = 8,   /* what closes a line: "}\n */
    SHOWN_MOST = 8   /* of one character, escaped, and its end */
};

static const struct {
    const char *word;
    int priority;
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"DEBUG", LOG_DEBUG},       [LOG_LEVEL_INFO] = {"LOG", LOG_INFO},
    [LOG_LEVEL_WARNING] = {"WARNING", LOG_WARNING}, [LOG_LEVEL_ERROR] = {"ERROR", LOG_ERR},
    [LOG_LEVEL_FATAL] = {"FATAL", LOG_CRIT},
};

static const struct {
    const char *name;
    int facility;
} facilities[] = {
    {"daemon", LOG_DAEMON}, {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV},
    {"user", LOG_USER},     {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},
    {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
};

/* A line being built. It is never longer than it may be, so it is never checked. */
struct line {
    char at[LOG_LINE_MOST];
    size_t length;
    size_t body; /* where syslog begins: it adds time and pid itself */
};

/* Writes how the first character of text is shown, and ends it; returns how many bytes of
 * text that was. */
typedef size_t show(struct slice text, char to[SHOWN_MOST]);

/* ---- pieces of a line -------------------------------------------------------------------- */

static void put(struct line *line, const char *text, size_t length)
{
    size_t room = sizeof(line->at) - line->length;

    if (length > room)
        length = room;
    memcpy(line->at + line->length, text, length);
    line->length += length;
}

static void put_plain(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static void put_print(struct line *line, const char *format, ...) PRINTF_LIKE(2, 3);

/* What is put is short: numbers and our own words. */
static void put_print(struct line *line, const char *format, ...)
{
    char text[64];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    put_plain(line, text);
}

/* What a terminal or a reader of lines would take for more than a letter: C0, DEL, C1. */
static bool is_control(const uint8_t *at, size_t length)
{
    if (length == 1)
        return at[0] < 0x20 || at[0] == 0x7f;
    return length == 2 && at[0] == 0xc2 && at[1] < 0xa0;
}

static size_t show_as_is(const uint8_t *at, size_t length, char to[SHOWN_MOST])
{
    memcpy(to, at, length);
    to[length] = '\0';
    return length;
}

static size_t show_text(struct slice text, char to[SHOWN_MOST])
{
    static const char named[] = {['\t'] = 't', ['\n'] = 'n', ['\r'] = 'r'};
    size_t length = utf8_length(text);
    uint8_t byte = text.at[0];

    if (length > 0 && !is_control(text.at, length))
        return show_as_is(text.at, length, to);
    if (byte < sizeof(named) && named[byte] != '\0')
        snprintf(to, SHOWN_MOST, "\\%c", named[byte]);
    else
        snprintf(to, SHOWN_MOST, "\\x%02x", byte);
    return 1;
}

static size_t show_json(struct slice text, char to[SHOWN_MOST])
{
    size_t length = utf8_length(text);

    if (length == 0) {
        snprintf(to, SHOWN_MOST, "\\ufffd");
        return 1;
    }
    if (is_control(text.at, length))
        snprintf(to, SHOWN_MOST, "\\u%04x", text.at[length - 1]);
    else if (text.at[0] == '"' || text.at[0] == '\\')
        snprintf(to, SHOWN_MOST, "\\%c", text.at[0]);
    else
        return show_as_is(text.at, length, to);
    return length;
}

/* Puts untrusted text; what would end behind end, marks and all, is cut off. */
static void put_shown(struct line *line, const char *text, size_t end, show *shown)
{
    static const char cut[] = "...";
    struct slice rest = {(const uint8_t *)text, strlen(text)};
    char character[SHOWN_MOST];

    while (rest.length > 0) {
        size_t took = shown(rest, character);

        if (line->length + strlen(character) + strlen(cut) > end) {
            put_plain(line, cut);
            return;
        }
        put_plain(line, character);
        rest.at += took;
        rest.length -= took;
    }
}

static void put_name(struct line *line, const char *name, const char *unknown)
{
    put_shown(line, name ? name : unknown, line->length + NAME_MOST, show_text);
}

static void put_member(struct line *line, const char *name, const char *value)
{
    if (value == NULL)
        return;
    put_print(line, ",\"%s\":\"", name);
    put_shown(line, value, line->length + NAME_MOST, show_json);
    put_plain(line, "\"");
}

static void put_time(struct line *line, const char *format_before_ms, const char *format_after_ms)
{
    struct timespec now;
    struct tm local;
    char text[64];

    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    put(line, text, strftime(text, sizeof(text), format_before_ms, &local));
    put_print(line, ".%03d", (int)(now.tv_nsec / 1000000));
    put(line, text, strftime(text, sizeof(text), format_after_ms, &local));
}

/* ---- lines ------------------------------------------------------------------------------- */

static void build_text(struct line *line, enum log_level level, const struct log_who *who,
                       const char *message)
{
    put_time(line, "%Y-%m-%d %H:%M:%S", " %Z");
    put_print(line, " [%d] ", (int)getpid());
    line->body = line->length;
    put_print(line, "%s ", levels[level].word);
    if (who != NULL) {
        if (who->kind != '-')
            put_print(line, "%c-%" PRIu64 ": ", who->kind, who->id);
        put_name(line, who->database, "(nodb)");
        put_plain(line, "/");
        put_name(line, who->user, "(nouser)");
        put_plain(line, "@");
        put_name(line, who->address, "(unknown)");
        put_plain(line, " ");
    }
    put_shown(line, message, sizeof(line->at) - TAIL_MOST, show_text);
    put_plain(line, "\n");
}

static void build_json(struct line *line, enum log_level level, const struct log_who *who,
                       const char *message)
{
    put_plain(line, "{\"time\":\"");
    put_time(line, "%Y-%m-%dT%H:%M:%S", "%z");
    put_print(line, "\",\"level\":\"%s\",\"pid\":%d", levels[level].word, (int)getpid());
    if (who != NULL) {
        if (who->kind != '-')
            put_print(line, ",\"id\":\"%c-%" PRIu64 "\"", who->kind, who->id);
        put_member(line, "database", who->database);
        put_member(line, "user", who->user);
        put_member(line, "address", who->address);
    }
    put_plain(line, ",\"message\":\"");
    put_shown(line, message, sizeof(line->at) - TAIL_MOST, show_json);
    put_plain(line, "\"}\n");
}

static void build(const struct log *log, struct line *line, enum log_level level,
                  const struct log_who *who, const char *message)
{
    line->length = line->body = 0;
    if (log->format == LOG_FORMAT_JSON)
        build_json(line, level, who, message);
    else
        build_text(line, level, who, message);
}

/* Whether the whole line went out. A pipe that is full would stop the loop, and with it
 * all clients, until someone reads: hence the look before. */
static bool write_line(const struct log *log, const struct line *line)
{
    struct pollfd fd = {.fd = log->fd, .events = POLLOUT};

    return poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT) != 0 &&
           write(log->fd, line->at, line->length) == (ssize_t)line->length;
}

static void tell_lost(struct log *log, struct line *line)
{
    uint64_t lost = atomic_exchange(&log->lost, 0);
    char message[64];

    if (lost == 0)
        return;
    snprintf(message, sizeof(message), "%" PRIu64 " lines of this log were lost", lost);
    build(log, line, LOG_LEVEL_WARNING, NULL, message);
    if (!write_line(log, line))
        atomic_fetch_add(&log->lost, lost);
}

void log_write(struct log *log, enum log_level level, const struct log_who *who, const char *format,
               ...)
{
    char message[LOG_LINE_MOST];
    struct line line;
    va_list arguments;
    int was = errno;

    if (!log_wants(log, level))
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);

    build(log, &line, level, who, message);
    if (log->syslog_ident != NULL)
        syslog(levels[level].priority, "%.*s", (int)(line.length - line.body), line.at + line.body);
    if (log->fd >= 0 && !write_line(log, &line))
        atomic_fetch_add(&log->lost, 1);
    else if (log->fd >= 0)
        tell_lost(log, &line);
    errno = was;
}

/* ---- where to ---------------------------------------------------------------------------- */

/* Not O_NONBLOCK: it would mean nothing for a file, and for a terminal or a pipe that we
 * were given it would change the other programs' end too. */
static int open_file(const char *name)
{
    return open(name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static enum err open_syslog(struct log *log, const struct log_options *options)
{
    const char *name = options->syslog_facility ? options->syslog_facility : "daemon";
    size_t i = 0;

    while (i < COUNT_OF(facilities) && strcmp(facilities[i].name, name) != 0)
        i++;
    if (i == COUNT_OF(facilities))
        return ERR_CONFIG;
    if ((log->syslog_ident = strdup(options->syslog_ident)) == NULL)
        return ERR_NO_MEMORY;
    openlog(log->syslog_ident, LOG_PID, facilities[i].facility);
    return ERR_OK;
}

enum err log_open(struct log *log, const struct log_options *options)
{
    enum err e = ERR_OK;

    *log = (struct log){.format = options->format, .fd = -1};
    log_set_level(log, options->level);
    signal(SIGPIPE, SIG_IGN);
    if (options->file != NULL) {
        if ((log->file = strdup(options->file)) == NULL)
            e = ERR_NO_MEMORY;
        else if ((log->fd = open_file(log->file)) < 0)
            e = ERR_IO;
    } else if (options->syslog_ident == NULL) {
        log->fd = STDERR_FILENO;
    }
    if (e == ERR_OK && options->syslog_ident != NULL)
        e = open_syslog(log, options);
    if (e != ERR_OK)
        log_close(log);
    return e;
}

void log_close(struct log *log)
{
    int was = errno;

    if (log->syslog_ident != NULL)
        closelog();
    if (log->file != NULL && log->fd >= 0)
        close(log->fd);
    free(log->syslog_ident);
    free(log->file);
    log->syslog_ident = log->file = NULL;
    log->fd = -1;
    errno = was;
}

/* dup3 puts the new file where the old one was in one step, so a thread that is writing a
 * line writes it to one or the other. */
enum err log_reopen(struct log *log)
{
    int fd, put_there;

    if (log->file == NULL)
        return ERR_OK;
    if ((fd = open_file(log->file)) < 0)
        return ERR_IO;
    put_there = dup3(fd, log->fd, O_CLOEXEC);
    close(fd);
    return put_there < 0 ? ERR_IO : ERR_OK;
}

void log_set_level(struct log *log, enum log_level level)
{
    atomic_store_explicit(&log->level, level, memory_order_relaxed);
}
