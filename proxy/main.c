/* weir - from the command line to a running worker, and back to an exit status. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/command.h"
#include "proxy/worker.h"

/* Clients are descriptors: as many as we are allowed. */
static void raise_descriptor_limit(struct log *log, const struct config *config)
{
    bool has_redis = config_redis_is_served(&config->redis);
    uint64_t postgres = config_serves_postgres(config) ? config->settings.max_client_conn : 0;
    uint64_t redis = has_redis ? config->redis.max_clients : 0;
    uint64_t http = config->http.listen_port > 0 ? config->http.max_connections : 0;
    unsigned long long wanted = postgres + redis + http;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted + 100)
        log_write(log, LOG_LEVEL_WARNING, NULL,
                  "max_client_conn%s%s %s %llu, but only %llu descriptors are allowed",
                  has_redis ? ", max_clients" : "", http > 0 ? ", max_connections" : "",
                  has_redis || http > 0 ? "are together" : "is", wanted,
                  (unsigned long long)limit.rlim_cur);
}

static bool become_user(const char *name, struct log *log)
{
    const struct passwd *user;

    if (name == NULL || name[0] == '\0')
        return true;
    user = getpwnam(name);
    if (user != NULL && initgroups(name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 &&
        setuid(user->pw_uid) == 0)
        return true;
    log_write(log, LOG_LEVEL_FATAL, NULL, "cannot become user %s: %s", name,
              user == NULL ? "there is no such user" : strerror(errno));
    return false;
}

static bool write_pidfile(const char *path, struct log *log)
{
    FILE *file;

    if (path == NULL || path[0] == '\0')
        return true;
    file = fopen(path, "we");
    if (file == NULL || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0) {
        log_write(log, LOG_LEVEL_FATAL, NULL, "cannot write pidfile %s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static int run(const struct config *config, struct log *log)
{
    const struct settings *settings = &config->settings;
    struct worker worker;
    char why[256] = "";
    int status = 1;

    raise_descriptor_limit(log, config);
    if (worker_init(&worker, config, log) != ERR_OK) {
        log_write(log, LOG_LEVEL_FATAL, NULL, "cannot start: out of memory or descriptors");
        return 1;
    }
    if (worker_listen(&worker, why) != ERR_OK) {
        log_write(log, LOG_LEVEL_FATAL, NULL, "%s", why);
    } else if (become_user(settings->user, log) && write_pidfile(settings->pidfile, log)) {
        log_write(log, LOG_LEVEL_INFO, NULL, "process up: weir %s, libuv %s, libpq %d",
                  WEIR_VERSION, uv_version_string(), PQlibVersion());
        worker_run(&worker);
        if (settings->pidfile != NULL && settings->pidfile[0] != '\0')
            unlink(settings->pidfile);
        status = 0;
    }
    if (worker.stuck) /* exit() would wait for libuv's threads, and those wait for a server */
        _exit(status);
    worker_fini(&worker);
    return status;
}

static enum err open_log(struct log *log, const struct command *command,
                         const struct settings *settings)
{
    struct bytes facility = {0};
    enum log_level level = command->quiet ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
    struct log_options options = {
        .level = command->verbose + settings->verbose > 0 ? LOG_LEVEL_DEBUG : level,
        .format = settings->log_format == SETTINGS_LOG_JSON ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
        .file = settings->logfile != NULL && settings->logfile[0] ? settings->logfile : NULL,
        .syslog_ident = settings->syslog ? settings->syslog_ident : NULL,
    };
    enum err e;

    option_print(option_find(&settings_table, "syslog_facility"), settings, &facility);
    bytes_add(&facility, "", 1);
    if (facility.failed)
        return ERR_NO_MEMORY;
    options.syslog_facility = (const char *)facility.at;
    e = log_open(log, &options);
    bytes_free(&facility);
    return e;
}

static int load_and_run(const struct command *command, struct mistake_list *mistakes)
{
    struct config *config;
    struct log log;
    int status = 1;
    enum err e = command_load(command, &config, mistakes);

    fputs(mistake_text(mistakes), stderr); /* warnings, perhaps */
    if (e != ERR_OK)
        return 1;
    if (open_log(&log, command, &config->settings) == ERR_OK) {
        status = run(config, &log);
        log_close(&log);
    } else {
        fprintf(stderr, "weir: cannot open the log: %s\n", strerror(errno));
    }
    config_destroy(config);
    return status;
}

int main(int argc, char **argv)
{
    struct mistake_list mistakes = {0};
    struct command command;
    int status = 1;

    signal(SIGPIPE, SIG_IGN);
    if (command_parse(argc, argv, &command, &mistakes) != ERR_OK)
        fputs(mistake_text(&mistakes), stderr);
    else if (command.what != COMMAND_RUN)
        status = command_answer(&command, stdout, stderr);
    else
        status = load_and_run(&command, &mistakes);
    mistake_free(&mistakes);
    return status;
}
