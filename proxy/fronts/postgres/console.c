#include "proxy/fronts/postgres/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_ECHOED = 200 /* of a command that is none */ };

/* What drivers set and ask for without being told to; a console has nothing to set. */
static const struct fake {
    const char *name, *value;
} fakes[] = {
    {"client_encoding", "UTF-8"},
    {"default_transaction_isolation", "read committed"},
    {"standard_conforming_strings", "on"},
    {"datestyle", "ISO"},
    {"timezone", "GMT"},
    {"extra_float_digits", "2"},
};

static const char help[] = "\n\tSHOW HELP|CONFIG|DATABASES|POOLS|CLIENTS|SERVERS|USERS|VERSION\n"
                           "\tSHOW PEERS|PEER_POOLS\n"
                           "\tSHOW SOCKETS|ACTIVE_SOCKETS|LISTS|MEM|STATE\n"
                           "\tSHOW DNS_HOSTS|DNS_ZONES\n"
                           "\tSHOW STATS|STATS_TOTALS|STATS_AVERAGES|TOTALS\n"
                           "\tSHOW REDIS_POOLS|REDIS_CLIENTS\n"
                           "\tRELOAD\n"
                           "\tRECONNECT [<db>]\n"
                           "\tKILL_CLIENT <client_id>\n"
                           "\tSHUTDOWN\n"
                           "\tSHUTDOWN WAIT_FOR_SERVERS|WAIT_FOR_CLIENTS";

/* A command, and what it is about. */
struct task {
    struct console_command command;
    const struct console_table *table; /* of SHOW; NULL: what is faked */
    const struct fake *fake;           /* of SHOW and SET; NULL: none */
};

struct statement {
    struct statement *next;
    struct task task;
    char name[];
};

struct portal {
    struct portal *next;
    struct task task;
    struct wire_column columns[CONSOLE_ROWS_COLUMNS_MOST];
    uint16_t count;
    bool is_run, is_over;
    struct bytes rows; /* once it is run */
    size_t at;         /* of them */
    char name[];
};

struct console {
    const struct console_events *events;
    void *owner;
    bool is_admin;
    bool skipping; /* up to the next Sync */
    bool is_broken;
    struct statement *statements;
    struct portal *portals;
};

/* ---- what it is called, and who may come ------------------------------------------------- */

bool console_is_database(const char *database)
{
    return strcmp(database, "pgbouncer") == 0 || strcmp(database, "weir") == 0;
}

bool console_is_listed(const char *list, const char *user)
{
    size_t length = strlen(user), word;

    for (; list != NULL && *list != '\0'; list += word) {
        list += strspn(list, ", \t");
        word = strcspn(list, ", \t");
        if (word > 0 && word == length && memcmp(list, user, word) == 0)
            return true;
    }
    return false;
}

void console_greet(struct bytes *out)
{
    wire_add_parameter_status(out, "server_version", CONSOLE_VERSION "/bouncer");
    wire_add_parameter_status(out, "client_encoding", "UTF8");
    wire_add_parameter_status(out, "server_encoding", "UTF8");
    wire_add_parameter_status(out, "DateStyle", "ISO");
    wire_add_parameter_status(out, "TimeZone", "GMT");
    wire_add_parameter_status(out, "standard_conforming_strings", "on");
    wire_add_parameter_status(out, "is_superuser", "on");
}

/* ---- names ------------------------------------------------------------------------------- */

static struct statement *find_statement(const struct console *console, const char *name)
{
    struct statement *statement = console->statements;

    while (statement != NULL && strcmp(statement->name, name) != 0)
        statement = statement->next;
    return statement;
}

static struct portal *find_portal(const struct console *console, const char *name)
{
    struct portal *portal = console->portals;

    while (portal != NULL && strcmp(portal->name, name) != 0)
        portal = portal->next;
    return portal;
}

static void close_statement(struct console *console, const char *name)
{
    for (struct statement **at = &console->statements; *at != NULL; at = &(*at)->next) {
        struct statement *statement = *at;

        if (strcmp(statement->name, name) != 0)
            continue;
        *at = statement->next;
        free(statement);
        return;
    }
}

static void close_portal(struct console *console, const char *name)
{
    for (struct portal **at = &console->portals; *at != NULL; at = &(*at)->next) {
        struct portal *portal = *at;

        if (strcmp(portal->name, name) != 0)
            continue;
        *at = portal->next;
        bytes_free(&portal->rows);
        free(portal);
        return;
    }
}

static void close_portals(struct console *console)
{
    while (console->portals != NULL)
        close_portal(console, console->portals->name);
}

struct console *console_create(const struct console_events *events, void *owner, bool is_admin)
{
    struct console *console = calloc(1, sizeof(*console));

    if (console != NULL)
        *console = (struct console){.events = events, .owner = owner, .is_admin = is_admin};
    return console;
}

void console_destroy(struct console *console)
{
    if (console == NULL)
        return;
    close_portals(console);
    while (console->statements != NULL)
        close_statement(console, console->statements->name);
    free(console);
}

/* ---- what a text means ------------------------------------------------------------------- */

static void fail(struct console_outcome *outcome, enum err why, const char *text)
{
    outcome->why = why;
    snprintf(outcome->text, sizeof(outcome->text), "%s", text);
}

/* A character is not cut in two. */
static void fail_syntax(struct console_outcome *outcome, const char *text)
{
    size_t length = strlen(text);

    if (length > MOST_ECHOED)
        for (length = MOST_ECHOED; length > 0 && ((uint8_t)text[length] & 0xc0) == 0x80;)
            length--;
    outcome->why = ERR_SYNTAX;
    snprintf(outcome->text, sizeof(outcome->text), "invalid command '%.*s', use SHOW HELP;",
             (int)length, text);
}

static const struct fake *find_fake(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(fakes); i++)
        if (strcasecmp(name, fakes[i].name) == 0)
            return &fakes[i];
    return NULL;
}

static bool argument_makes_sense(const struct console_command *command)
{
    const char *argument = command->argument;

    if (argument[0] == '\0')
        return true;
    if (command->verb == CONSOLE_SHUTDOWN)
        return strcasecmp(argument, "WAIT_FOR_SERVERS") == 0 ||
               strcasecmp(argument, "WAIT_FOR_CLIENTS") == 0;
    return console_command_argument(command->verb) != CONSOLE_ARGUMENT_NONE;
}

static bool is_one(struct task *task)
{
    enum console_verb verb = task->command.verb;

    if (verb != CONSOLE_SHOW && verb != CONSOLE_SET)
        return argument_makes_sense(&task->command);
    task->fake = find_fake(task->command.argument);
    if (verb == CONSOLE_SHOW && task->fake == NULL)
        task->table = console_shows_find(task->command.argument);
    return verb == CONSOLE_SET || task->fake != NULL || task->table != NULL;
}

static bool understand(const char *text, struct task *task, struct console_outcome *outcome)
{
    *task = (struct task){0};
    switch (console_command_parse(text, &task->command)) {
    case CONSOLE_COMMAND_READ:
        if (is_one(task))
            return true;
        break;
    case CONSOLE_COMMAND_TOO_LONG:
        fail(outcome, ERR_ARGUMENT, "bad arguments");
        return false;
    case CONSOLE_COMMAND_UNKNOWN:
        break;
    }
    fail_syntax(outcome, text);
    return false;
}

/* Copied, since a client may want them in binary; 0: there are no rows. */
static uint16_t columns_of(const struct task *task, struct wire_column *columns)
{
    if (task->command.verb != CONSOLE_SHOW)
        return 0;
    if (task->fake != NULL) {
        columns[0] = (struct wire_column){task->fake->name, WIRE_TEXT, false};
        return 1;
    }
    memcpy(columns, task->table->columns, task->table->count * sizeof(*columns));
    return task->table->count;
}

/* ---- doing it ---------------------------------------------------------------------------- */

static bool may_show(const struct console *console, const struct task *task,
                     struct console_outcome *outcome)
{
    if (task->table == NULL || task->table->show != CONSOLE_SHOWS_FDS)
        return true;
    if (console->is_admin)
        fail(outcome, ERR_NOT_SUPPORTED, "SHOW FDS is not supported yet");
    else
        fail(outcome, ERR_NO_RIGHT, err_text(ERR_NO_RIGHT));
    return false;
}

static bool may_act(const struct console *console, const struct console_command *command,
                    struct console_outcome *outcome)
{
    enum console_verb verb = command->verb;

    if (!console->is_admin) {
        fail(outcome, ERR_NO_RIGHT, err_text(ERR_NO_RIGHT));
    } else if (verb != CONSOLE_SET && command->argument[0] == '\0' &&
               console_command_argument(verb) == CONSOLE_ARGUMENT_NEEDED) {
        fail(outcome, ERR_ARGUMENT, "a database is required");
    } else if (verb == CONSOLE_SET || !console_command_is_done(verb)) {
        outcome->why = ERR_NOT_SUPPORTED;
        snprintf(outcome->text, sizeof(outcome->text), "%s is not supported yet",
                 console_command_name(verb));
    } else {
        return true;
    }
    return false;
}

static void show(struct console *console, const struct task *task,
                 const struct wire_column *columns, uint16_t count, struct bytes *out)
{
    struct console_rows rows;

    if (count == 0)
        return;
    console_rows_begin(&rows, out, columns, count);
    if (task->fake != NULL)
        console_rows_text(&rows, task->fake->value);
    else
        console->events->show(console->owner, task->table->show, &rows);
    console_rows_end(&rows);
}

/* Rows go into out. */
static void run(struct console *console, const struct task *task, const struct wire_column *columns,
                uint16_t count, struct bytes *out, struct console_outcome *outcome)
{
    struct wire_error usage = {
        .severity = "NOTICE", .code = "00000", .message = "Console usage", .detail = help};

    if (task->command.verb == CONSOLE_SHOW) {
        if (!may_show(console, task, outcome))
            return;
        if (task->table != NULL && task->table->show == CONSOLE_SHOWS_HELP)
            wire_add_notice(out, &usage);
        show(console, task, columns, count, out);
    } else if (task->command.verb == CONSOLE_SET && task->fake != NULL) {
        outcome->notice = "SET ignored";
    } else if (may_act(console, &task->command, outcome)) {
        console->events->act(console->owner, &task->command, outcome);
    }
}

static void complain(struct bytes *out, const struct console_outcome *outcome)
{
    wire_add_error(out, &(struct wire_error){.severity = "ERROR",
                                             .code = err_sqlstate(outcome->why),
                                             .message = outcome->text});
}

static void complete(struct bytes *out, const struct task *task,
                     const struct console_outcome *outcome)
{
    if (outcome->notice != NULL)
        wire_add_notice(out, &(struct wire_error){.severity = "NOTICE",
                                                  .code = "00000",
                                                  .message = outcome->notice});
    wire_add_command_complete(out, console_command_name(task->command.verb));
}

static void answer_query(struct console *console, const char *text, struct bytes *out)
{
    struct wire_column columns[CONSOLE_ROWS_COLUMNS_MOST];
    struct console_outcome outcome = {0};
    struct bytes rows = {0};
    struct task task;
    uint16_t count = 0;

    close_portals(console);
    close_statement(console, "");
    if (understand(text, &task, &outcome)) {
        count = columns_of(&task, columns);
        run(console, &task, columns, count, &rows, &outcome);
    }
    if (outcome.why == ERR_OK) {
        if (count > 0)
            wire_add_row_description(out, columns, count);
        bytes_add(out, rows.at, rows.length);
        complete(out, &task, &outcome);
    } else {
        complain(out, &outcome);
    }
    out->failed |= rows.failed;
    bytes_free(&rows);
    wire_add_ready_for_query(out, 'I');
}

/* ---- reading a message ------------------------------------------------------------------- */

/* What is not there breaks the console's reading for good. */
static const uint8_t *take(struct console *console, struct slice *body, size_t length)
{
    static const uint8_t nothing[4];
    const uint8_t *at = body->at;

    if (body->length < length) {
        console->is_broken = true;
        return nothing;
    }
    body->at += length;
    body->length -= length;
    return at;
}

static const char *take_text(struct console *console, struct slice *body)
{
    const uint8_t *end = body->length > 0 ? memchr(body->at, '\0', body->length) : NULL;

    if (end == NULL) {
        console->is_broken = true;
        return "";
    }
    return (const char *)take(console, body, (size_t)(end - body->at) + 1);
}

static unsigned take_u16(struct console *console, struct slice *body)
{
    const uint8_t *at = take(console, body, 2);

    return (unsigned)at[0] << 8 | at[1];
}

/* ---- extended messages ------------------------------------------------------------------- */

static void refuse(struct console *console, struct bytes *out, enum err why, const char *text)
{
    struct console_outcome outcome = {0};

    fail(&outcome, why, text);
    complain(out, &outcome);
    console->skipping = true;
}

static size_t count_names(const struct console *console)
{
    size_t count = 0;

    for (const struct statement *s = console->statements; s != NULL; s = s->next)
        count++;
    for (const struct portal *p = console->portals; p != NULL; p = p->next)
        count++;
    return count;
}

static void parse(struct console *console, struct slice body, struct bytes *out)
{
    const char *name = take_text(console, &body), *text = take_text(console, &body);
    unsigned types = take_u16(console, &body);
    struct console_outcome outcome = {0};
    struct statement *statement;
    struct task task;

    if (console->is_broken)
        return;
    if (name[0] == '\0')
        close_statement(console, "");
    if (types > 0) {
        refuse(console, out, ERR_NOT_SUPPORTED, "a command of the console takes no parameters");
    } else if (find_statement(console, name) != NULL) {
        refuse(console, out, ERR_NAME_TAKEN, "prepared statement already exists");
    } else if (count_names(console) >= CONSOLE_NAMES_MOST) {
        refuse(console, out, ERR_TOO_MANY_STATEMENTS, "too many prepared statements");
    } else if (!understand(text, &task, &outcome)) {
        refuse(console, out, outcome.why, outcome.text);
    } else if ((statement = malloc(sizeof(*statement) + strlen(name) + 1)) == NULL) {
        refuse(console, out, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
    } else {
        *statement = (struct statement){.next = console->statements, .task = task};
        strcpy(statement->name, name);
        console->statements = statement;
        wire_add_bare(out, WIRE_PARSE_COMPLETE);
    }
}

/* No format: text; one: for all columns; else one for each. */
static void take_formats(struct console *console, struct slice *body, struct portal *portal)
{
    unsigned length = take_u16(console, body), format = 0;

    if (length > 1 && length != portal->count)
        console->is_broken = true;
    for (unsigned i = 0; i < portal->count && length > 0 && !console->is_broken; i++) {
        if (i < length)
            format = take_u16(console, body);
        portal->columns[i].is_binary = format == 1;
        console->is_broken |= format > 1;
    }
}

static struct portal *create_portal(struct console *console, const char *name,
                                    const struct statement *statement)
{
    struct portal *portal = calloc(1, sizeof(*portal) + strlen(name) + 1);

    if (portal == NULL)
        return NULL;
    strcpy(portal->name, name);
    portal->task = statement->task;
    portal->count = columns_of(&portal->task, portal->columns);
    portal->next = console->portals;
    console->portals = portal;
    return portal;
}

static void bind_portal(struct console *console, struct slice body, struct bytes *out)
{
    const char *name = take_text(console, &body), *of = take_text(console, &body);
    unsigned formats = take_u16(console, &body), parameters;
    const struct statement *statement = find_statement(console, of);
    struct portal *portal;

    take(console, &body, (size_t)2 * formats);
    parameters = take_u16(console, &body);
    if (console->is_broken)
        return;
    if (name[0] == '\0')
        close_portal(console, "");
    if (statement == NULL) {
        refuse(console, out, ERR_NO_STATEMENT, err_text(ERR_NO_STATEMENT));
    } else if (parameters > 0) {
        refuse(console, out, ERR_NOT_SUPPORTED, "a command of the console takes no parameters");
    } else if (find_portal(console, name) != NULL) {
        refuse(console, out, ERR_NAME_TAKEN, "portal already exists");
    } else if (count_names(console) >= CONSOLE_NAMES_MOST) {
        refuse(console, out, ERR_TOO_MANY_STATEMENTS, "too many portals");
    } else if ((portal = create_portal(console, name, statement)) == NULL) {
        refuse(console, out, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
    } else {
        take_formats(console, &body, portal);
        wire_add_bare(out, WIRE_BIND_COMPLETE);
    }
}

static void describe_rows(const struct wire_column *columns, uint16_t count, struct bytes *out)
{
    if (count > 0)
        wire_add_row_description(out, columns, count);
    else
        wire_add_bare(out, WIRE_NO_DATA);
}

static void describe(struct console *console, struct slice body, struct bytes *out)
{
    struct wire_column columns[CONSOLE_ROWS_COLUMNS_MOST];
    uint8_t what = take(console, &body, 1)[0];
    const char *name = take_text(console, &body);
    const struct statement *statement = find_statement(console, name);
    const struct portal *portal = find_portal(console, name);

    if (what != 'S' && what != 'P')
        console->is_broken = true;
    if (console->is_broken)
        return;
    if (what == 'S' && statement != NULL) {
        wire_add_no_parameters(out);
        describe_rows(columns, columns_of(&statement->task, columns), out);
    } else if (what == 'S') {
        refuse(console, out, ERR_NO_STATEMENT, err_text(ERR_NO_STATEMENT));
    } else if (portal != NULL) {
        describe_rows(portal->columns, portal->count, out);
    } else {
        refuse(console, out, ERR_NO_PORTAL, err_text(ERR_NO_PORTAL));
    }
}

/* Rows are messages: so many of them, 0 for all. True: that was the last. */
static bool give_rows(struct portal *portal, uint32_t most, struct bytes *out)
{
    uint32_t count = 0;

    while (portal->at < portal->rows.length && (most == 0 || count < most)) {
        struct slice rest = {portal->rows.at + portal->at, portal->rows.length - portal->at};
        struct wire_header header = {0};

        REQUIRE(wire_header(rest, &header) == WIRE_MESSAGE && header.length <= rest.length);
        bytes_add(out, rest.at, header.length);
        portal->at += header.length;
        count += header.type == WIRE_DATA_ROW;
    }
    return portal->at == portal->rows.length;
}

static void execute(struct console *console, struct slice body, struct bytes *out)
{
    struct console_outcome outcome = {0};
    struct portal *portal = find_portal(console, take_text(console, &body));
    uint32_t most = bytes_u32(take(console, &body, 4));

    if (console->is_broken)
        return;
    if (portal == NULL || (portal->is_over && portal->count == 0)) { /* nothing is done twice */
        refuse(console, out, ERR_NO_PORTAL, err_text(ERR_NO_PORTAL));
        return;
    }
    if (!portal->is_run)
        run(console, &portal->task, portal->columns, portal->count, &portal->rows, &outcome);
    portal->is_run = true;
    out->failed |= portal->rows.failed;
    if (outcome.why != ERR_OK) {
        refuse(console, out, outcome.why, outcome.text);
        return;
    }
    portal->is_over = !out->failed && give_rows(portal, most, out);
    if (portal->is_over)
        complete(out, &portal->task, &outcome);
    else
        wire_add_bare(out, WIRE_PORTAL_SUSPENDED);
}

static void close_name(struct console *console, struct slice body, struct bytes *out)
{
    uint8_t what = take(console, &body, 1)[0];
    const char *name = take_text(console, &body);

    if (what == 'S')
        close_statement(console, name);
    else if (what == 'P')
        close_portal(console, name);
    else
        console->is_broken = true;
    wire_add_bare(out, WIRE_CLOSE_COMPLETE);
}

static void end_batch(struct console *console, struct bytes *out)
{
    console->skipping = false;
    close_portals(console);
    wire_add_ready_for_query(out, 'I');
}

/* ---- all messages ------------------------------------------------------------------------ */

static void call_function(struct console *console, struct bytes *out)
{
    refuse(console, out, ERR_NOT_SUPPORTED, "the console has no functions");
    console->skipping = false; /* no Sync follows */
    wire_add_ready_for_query(out, 'I');
}

static void hear(struct console *console, uint8_t type, struct slice body, struct bytes *out)
{
    switch (type) {
    case WIRE_QUERY:
        answer_query(console, take_text(console, &body), out);
        break;
    case WIRE_PARSE:
        parse(console, body, out);
        break;
    case WIRE_BIND:
        bind_portal(console, body, out);
        break;
    case WIRE_DESCRIBE:
        describe(console, body, out);
        break;
    case WIRE_EXECUTE:
        execute(console, body, out);
        break;
    case WIRE_CLOSE:
        close_name(console, body, out);
        break;
    case WIRE_FUNCTION_CALL:
        call_function(console, out);
        break;
    case WIRE_FLUSH: /* nothing is ever kept back */
    case WIRE_COPY_DATA:
    case WIRE_COPY_DONE:
    case WIRE_COPY_FAIL: /* of a COPY that failed, as a server sees it */
        break;
    default:
        console->is_broken = true;
        break;
    }
}

size_t console_bytes(struct console *console, struct slice in, struct bytes *out,
                     enum console_verdict *verdict)
{
    struct wire_header header;
    enum wire_sight sight = wire_header(in, &header);
    struct slice body;

    *verdict = CONSOLE_BROKEN;
    if (sight == WIRE_BROKEN ||
        (sight == WIRE_MESSAGE && header.length > WIRE_HEADER_SIZE + CONSOLE_MESSAGE_MOST))
        return 0;
    *verdict = CONSOLE_WANTS_MORE;
    if (sight == WIRE_MORE || in.length < header.length)
        return 0;
    body = (struct slice){in.at + WIRE_HEADER_SIZE, header.length - WIRE_HEADER_SIZE};
    *verdict = CONSOLE_ENDS;
    if (header.type == WIRE_TERMINATE)
        return header.length;
    if (header.type == WIRE_SYNC)
        end_batch(console, out);
    else if (!console->skipping)
        hear(console, header.type, body, out);
    *verdict = console->is_broken ? CONSOLE_BROKEN : CONSOLE_GOES_ON;
    return header.length;
}
