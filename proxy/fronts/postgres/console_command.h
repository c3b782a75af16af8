/*
 * proxy/fronts/postgres/console_command.h - what a command of the console says.
 *
 *      switch (console_command_parse("KILL_CLIENT 12;", &command)) {
 *      case CONSOLE_COMMAND_READ:      command.verb, command.argument, command.value
 *      case CONSOLE_COMMAND_UNKNOWN:   it is none
 *      case CONSOLE_COMMAND_TOO_LONG:  a word of it is longer than any can be
 *      }
 *
 * PgBouncer's grammar, and no more: one command a text, words in any case.
 *
 *      command   = word [word] [;]
 *                | SET word (= or TO) (word or 'string') [;]
 *      word      = letters, digits and _, or "anything in quotes, where "" is one"
 *
 * SELECT is another word for SHOW. Whether a command's argument makes sense is for whoever
 * carries it out.
 *
 * Source: PgBouncer, doc/usage.md, "Admin console", and its cmd_normal_rx and cmd_set_..._rx.
 */
#ifndef PROXY_FRONTS_POSTGRES_CONSOLE_COMMAND_H
#define PROXY_FRONTS_POSTGRES_CONSOLE_COMMAND_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/contract.h"

/* With quotes, as PgBouncer counts. */
enum {
    CONSOLE_COMMAND_VERB_MOST = 15,
    CONSOLE_COMMAND_ARGUMENT_MOST = 63,
    CONSOLE_COMMAND_VALUE_MOST = 255,
};

/* NONE: a second word makes it no command; NEEDED: only who may give it hears that it is missing.
 */
enum console_argument { CONSOLE_ARGUMENT_NONE, CONSOLE_ARGUMENT_MAY, CONSOLE_ARGUMENT_NEEDED };

/* clang-format off */
#define CONSOLE_COMMANDS(X) \
    /* verb        what it is called  argument   done  what it is for */ \
    X(DISABLE,     "DISABLE",         NEEDED,    false) /* no new clients of a database */ \
    X(ENABLE,      "ENABLE",          NEEDED,    false) /* ... again */ \
    X(KILL,        "KILL",            MAY,       false) /* a database's clients and servers, all */ \
    X(KILL_CLIENT, "KILL_CLIENT",     MAY,       true)  /* one client, by its id */ \
    X(PAUSE,       "PAUSE",           MAY,       false) /* servers are left, and nobody gets one */ \
    X(RECONNECT,   "RECONNECT",       MAY,       true)  /* servers are closed as they are left */ \
    X(RELOAD,      "RELOAD",          NONE,      true)  /* as SIGHUP */ \
    X(RESUME,      "RESUME",          MAY,       false) /* after PAUSE, KILL or SUSPEND */ \
    X(SHUTDOWN,    "SHUTDOWN",        MAY,       true)  /* at once, or when servers, or clients, are gone */ \
    X(SUSPEND,     "SUSPEND",         NONE,      false) /* what is buffered is sent, and no more is read */ \
    X(WAIT_CLOSE,  "WAIT_CLOSE",      MAY,       false) /* until RECONNECT has closed all */
/* clang-format on */

enum console_verb {
#define X(verb, ...) CONSOLE_##verb,
    CONSOLE_COMMANDS(X)
#undef X
        CONSOLE_VERB_COUNT,
    CONSOLE_SHOW = CONSOLE_VERB_COUNT,
    CONSOLE_SET,
};

struct console_command {
    enum console_verb verb;
    char argument[CONSOLE_COMMAND_ARGUMENT_MOST + 1]; /* "": none; of SET: its key */
    char value[CONSOLE_COMMAND_VALUE_MOST + 1];       /* of SET */
};

enum console_command_sense {
    CONSOLE_COMMAND_READ,
    CONSOLE_COMMAND_UNKNOWN,
    CONSOLE_COMMAND_TOO_LONG,
};

enum console_command_sense console_command_parse(const char *text,
                                                 struct console_command *command) MUST_CHECK;

/* "SHOW"; what a command that was carried out is answered with. */
const char *console_command_name(enum console_verb verb);

/* Not of SHOW and SET. */
enum console_argument console_command_argument(enum console_verb verb);
bool console_command_is_done(enum console_verb verb); /* implemented */

#endif
