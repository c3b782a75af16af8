#include "proxy/fronts/postgres/console.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct statement {
    struct statement *next;
    struct console_task task;
    char name[];
};

struct portal {
    struct portal *next;
    struct console_task task;
    struct wire_column columns[CONSOLE_ROWS_COLUMNS_MOST];
    uint16_t count;
    bool is_run, is_over;
    struct bytes rows; /* once it is run */
    size_t at;         /* of them */
    char name[];
};

struct console {
    struct console_task_with with;
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
        console->with = (struct console_task_with){events, owner, is_admin};
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

/* ---- answers -------------------------------------------------------------------------------- */

static void complain(struct bytes *out, const struct console_outcome *outcome)
{
    wire_add_error(out, &(struct wire_error){.severity = "ERROR",
                                             .code = err_sqlstate(outcome->why),
                                             .message = outcome->text});
}

static void complete(struct bytes *out, const struct console_task *task,
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
    struct console_task task;
    uint16_t count = 0;

    close_portals(console);
    close_statement(console, "");
    if (console_task_read(&task, text, &outcome)) {
        count = console_task_columns(&task, columns);
        console_task_run(&task, &console->with, columns, &rows, &outcome);
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

    console_task_fail(&outcome, why, text);
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
    struct console_task task;

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
    } else if (!console_task_read(&task, text, &outcome)) {
        refuse(console, out, outcome.why, outcome.text);
    } else if ((statement = malloc(sizeof(*statement) + strlen(name) + 1)) == NULL) {
        refuse(console, out, ERR_NO_MEMORY, err_text(ERR_NO_MEMORY));
    } else {
        *statement = (struct statement){.next = console->statements, .task = task};
        memcpy(statement->name, name, strlen(name) + 1);
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
    memcpy(portal->name, name, strlen(name) + 1);
    portal->task = statement->task;
    portal->count = console_task_columns(&portal->task, portal->columns);
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
        describe_rows(columns, console_task_columns(&statement->task, columns), out);
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
        console_task_run(&portal->task, &console->with, portal->columns, &portal->rows, &outcome);
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
