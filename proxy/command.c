#include "proxy/command.h"

#include <getopt.h>
#include <string.h>

#include "proxy/metrics.h"

static const char help[] =
    "weir stands in front of PostgreSQL and Redis: many clients, few connections.\n"
    "\n"
    "usage: weir [-q] [-v] CONFIG.ini\n"
    "       weir [-q] [-v] [--postgres URL [--listen HOST:PORT] [--pool-size N]]\n"
    "            [--redis URL [--redis-listen HOST:PORT]] [--http HOST:PORT] [--auth-file FILE]\n"
    "       weir --check CONFIG.ini\n"
    "       weir --settings | --metrics | --help | --version\n"
    "\n"
    "CONFIG.ini is a pgbouncer.ini, or the same with weir's own settings.\n"
    "\n"
    "  --postgres URL      serve this server's database to this machine, as the URL's user;\n"
    "                      URL is postgres://user:password@host/database, or another\n"
    "                      connection string of libpq\n"
    "  --listen HOST:PORT  where clients come in: [::1]:6432, or /folder of a Unix socket;\n"
    "                      127.0.0.1:6432 if not given\n"
    "  --pool-size N       how many connections to the server there may be\n"
    "  --redis URL         serve this Redis, alone or beside --postgres; URL is\n"
    "                      redis://user:password@host:6379/0, rediss:// for TLS, or\n"
    "                      unix:///path; without a password clients' AUTH passes to Redis,\n"
    "                      with one all of this machine are served as its user\n"
    "  --redis-listen HOST:PORT\n"
    "                      where clients of Redis come in, or /path of a Unix socket;\n"
    "                      127.0.0.1:6380 if not given\n"
    "  --http HOST:PORT    the same for HTTP: 127.0.0.1:8080 if not given, port 0 for none\n"
    "  --auth-file FILE    let in only the users of this userlist.txt, by their passwords;\n"
    "                      needed to listen on any address that is not loopback\n"
    "  --check             say all that is wrong with the configuration, and start nothing\n"
    "  --settings          print all settings as Markdown\n"
    "  --metrics           print all metrics as Markdown\n"
    "  -q, --quiet         do not log to standard error\n"
    "  -v, --verbose       log more; twice for still more\n"
    "  -h, --help          print this\n"
    "  -V, --version       print the version\n";

enum {
    POSTGRES = 256,
    REDIS,
    LISTEN,
    REDIS_LISTEN,
    HTTP,
    POOL_SIZE,
    AUTH_FILE,
    CHECK,
    SETTINGS,
    METRICS
};

static const struct option options[] = {
    {"postgres", required_argument, NULL, POSTGRES},
    {"redis", required_argument, NULL, REDIS},
    {"listen", required_argument, NULL, LISTEN},
    {"redis-listen", required_argument, NULL, REDIS_LISTEN},
    {"http", required_argument, NULL, HTTP},
    {"pool-size", required_argument, NULL, POOL_SIZE},
    {"auth-file", required_argument, NULL, AUTH_FILE},
    {"check", no_argument, NULL, CHECK},
    {"settings", no_argument, NULL, SETTINGS},
    {"metrics", no_argument, NULL, METRICS},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* ---- reading ----------------------------------------------------------------------------- */

/* The string that an option with an argument is kept in; NULL for the others. */
static const char **argument_of(int option, struct config_urls *urls)
{
    switch (option) {
    case POSTGRES:
        return &urls->postgres;
    case REDIS:
        return &urls->redis;
    case LISTEN:
        return &urls->listen;
    case REDIS_LISTEN:
        return &urls->redis_listen;
    case HTTP:
        return &urls->http;
    case POOL_SIZE:
        return &urls->pool_size;
    case AUTH_FILE:
        return &urls->auth_file;
    default:
        return NULL;
    }
}

static void take_flag(int option, struct command *command)
{
    switch (option) {
    case CHECK:
        command->what = COMMAND_CHECK;
        break;
    case SETTINGS:
        command->what = COMMAND_SETTINGS;
        break;
    case METRICS:
        command->what = COMMAND_METRICS;
        break;
    case 'h':
        command->what = COMMAND_HELP;
        break;
    case 'V':
        command->what = COMMAND_VERSION;
        break;
    case 'q':
        command->quiet = true;
        break;
    case 'v':
        command->verbose++;
        break;
    }
}

static void check_urls(const struct config_urls *urls, struct mistake_list *mistakes)
{
    if (urls->postgres == NULL && (urls->listen || urls->pool_size))
        mistake_add(mistakes, "--listen and --pool-size go with --postgres");
    if (urls->redis == NULL && urls->redis_listen)
        mistake_add(mistakes, "--redis-listen goes with --redis");
}

static void check_whole(const struct command *command, int names, struct mistake_list *mistakes)
{
    const struct config_urls *urls = &command->urls;
    bool has_url = urls->postgres || urls->redis;
    bool has_more =
        urls->listen || urls->redis_listen || urls->http || urls->pool_size || urls->auth_file;

    if (command->what != COMMAND_RUN && command->what != COMMAND_CHECK)
        return;
    if (names > 1)
        mistake_add(mistakes, "more than one configuration file");
    else if (names == 1 && has_url)
        mistake_add(mistakes, "a configuration file or %s, not both",
                    urls->postgres != NULL ? "--postgres" : "--redis");
    else if (names == 0 && !has_url)
        mistake_add(mistakes, "a configuration file, --postgres URL or --redis URL is needed; "
                              "see weir --help");
    else if (names == 1 && has_more)
        mistake_add(mistakes, "--listen, --redis-listen, --http, --pool-size and --auth-file go "
                              "with a URL; a configuration file says these itself");
    else if (names == 0)
        check_urls(urls, mistakes);
}

enum err command_parse(int argc, char *const argv[], struct command *command,
                       struct mistake_list *mistakes)
{
    struct command read = {0};
    int option;

    mistakes->at = (struct mistake_place){0};
    optind = 0; /* glibc: begin anew */
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":qvhV", options, NULL)) != -1) {
        const char **argument = argument_of(option, &read.urls);

        if (option == ':')
            mistake_add(mistakes, "%s needs an argument", argv[optind - 1]);
        else if (option == '?' && optopt > 0 && optopt < POSTGRES)
            mistake_add(mistakes, "unknown option -%c; see weir --help", optopt);
        else if (option == '?')
            mistake_add(mistakes, "unknown option %s; see weir --help", argv[optind - 1]);
        else if (argument != NULL)
            *argument = optarg;
        else
            take_flag(option, &read);
    }
    read.config_path = optind < argc ? argv[optind] : NULL;
    if (mistakes->errors == 0)
        check_whole(&read, argc - optind, mistakes);
    if (mistake_verdict(mistakes) == ERR_OK)
        *command = read;
    return mistake_verdict(mistakes);
}

/* ---- answering --------------------------------------------------------------------------- */

enum err command_load(const struct command *command, struct config **config,
                      struct mistake_list *mistakes)
{
    if (command->config_path != NULL)
        return config_load(command->config_path, config, mistakes);
    return config_from_urls(&command->urls, config, mistakes);
}

static int check(const struct command *command, FILE *out, FILE *errors)
{
    const char *url = command->urls.postgres != NULL ? "--postgres" : "--redis";
    const char *name = command->config_path != NULL ? command->config_path : url;
    struct mistake_list mistakes = {0};
    struct config *config = NULL;
    enum err e = command_load(command, &config, &mistakes);

    fputs(mistake_text(&mistakes), errors);
    if (e == ERR_OK)
        fprintf(out, "%s: ok\n", name);
    mistake_free(&mistakes);
    config_destroy(config);
    return e == ERR_OK ? 0 : 1;
}

/* Takes text. */
static int print(struct bytes *text, FILE *out, FILE *errors)
{
    int status = text->failed || fwrite(text->at, 1, text->length, out) != text->length;

    if (status != 0)
        fputs("weir: the table could not be written\n", errors);
    bytes_free(text);
    return status;
}

static int print_metrics(FILE *out, FILE *errors)
{
    struct bytes text = {0};

    metrics_describe(&text);
    return print(&text, out, errors);
}

static int print_settings(FILE *out, FILE *errors)
{
    static const struct {
        const char *title;
        const struct option_table *table;
    } parts[] = {
        {"[weir], or [pgbouncer]", &settings_table},
        {"[databases]", &config_database_table},
        {"[users]", &config_user_table},
        {"[redis]", &config_redis_table},
        {"[redis]: an upstream, behind its URL", &config_redis_upstream_table},
        {"[http]", &config_http_table},
        {"[http]: a token, behind its secret", &config_http_token_table},
    };
    struct bytes text = {0};

    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        bytes_print(&text, "%s### %s\n\n", i > 0 ? "\n" : "", parts[i].title);
        option_document(parts[i].table, &text);
    }
    return print(&text, out, errors);
}

int command_answer(const struct command *command, FILE *out, FILE *errors)
{
    switch (command->what) {
    case COMMAND_CHECK:
        return check(command, out, errors);
    case COMMAND_SETTINGS:
        return print_settings(out, errors);
    case COMMAND_METRICS:
        return print_metrics(out, errors);
    case COMMAND_HELP:
        return fputs(help, out) < 0;
    case COMMAND_VERSION:
        return fputs("weir " WEIR_VERSION "\n", out) < 0;
    case COMMAND_RUN:
        break;
    }
    return 0;
}
