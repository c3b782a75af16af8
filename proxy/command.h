/*
 * proxy/command.h - the command line.
 *
 *      struct command command;
 *      if (command_parse(argc, argv, &command, &mistakes) != ERR_OK)
 *          fputs(mistake_text(&mistakes), stderr), exit 1;
 *      if (command.what != COMMAND_RUN)
 *          return command_answer(&command, stdout, stderr);
 *      e = command_load(&command, &config, &mistakes);         and run
 */
#ifndef PROXY_COMMAND_H
#define PROXY_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "base/contract.h"
#include "base/err.h"
#include "base/mistake.h"
#include "proxy/config.h"

enum command_what {
    COMMAND_RUN,
    COMMAND_CHECK,
    COMMAND_SETTINGS,
    COMMAND_METRICS,
    COMMAND_HELP,
    COMMAND_VERSION,
};

struct command {
    enum command_what what;
    const char *config_path; /* lent from argv, as all here; NULL: urls say it all */
    struct config_urls urls;
    bool quiet;
    unsigned verbose; /* how often -v was given */
};

/* ERR_CONFIG: mistakes say what is wrong, without a place. */
enum err command_parse(int argc, char *const argv[], struct command *command,
                       struct mistake_list *mistakes) MUST_CHECK;

/* Does what needs no running proxy, and gives the status to exit with. */
int command_answer(const struct command *command, FILE *out, FILE *errors);

/* Gives the config that the command line asks for; see proxy/config.h. */
enum err command_load(const struct command *command, struct config **config,
                      struct mistake_list *mistakes) MUST_CHECK;

#endif
