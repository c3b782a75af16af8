/*
 * Clients that learn once what rows look like, two servers that have prepared the same texts under
 * the same names at different times, and tables that change meanwhile. Whatever happens in whatever
 * pieces: a row that comes to a client looks as it was told last, everything is answered, and where
 * no table has changed nobody hears of one. See drivers/postgres/relay_shapes.h.
 */
#include <string.h>

#include "fuzz.h"

#include "drivers/postgres/relay.h"
#include "drivers/postgres/wire.h"

enum {
    CLIENTS = 3,
    SERVERS = 2,
    NAMES = 3,
    TEXTS = 3,
    SHAPES = 3, /* 0: no rows at all */
    MOST_NAMED = 64,
    MOST_OPS = 16,
    MOST_EVENTS = 250,
    HEADER = 5,
    UNTOLD = -1
};

struct known {
    char name[STATEMENT_NAME_MOST + 1];
    int text, shape;
};

struct server {
    struct relay relay;
    struct bytes in, out, shown;
    struct known named[MOST_NAMED];
    size_t count;
    struct known portal;
    bool skipping;
    struct client *lessee;
};

/* What a client has asked and has no answer to. */
struct op {
    uint8_t type, what; /* 'D': of a statement 'S' or portal 'P' */
    int name, text;
};

struct client {
    struct relay_sent sent;
    struct bytes unsent, shown, got;
    struct server *server;
    bool waits;
    struct op ops[MOST_OPS];
    size_t count;
    int told[NAMES], text[NAMES]; /* by name; UNTOLD */
    int bound;
};

struct world {
    const uint8_t *data;
    size_t size;
    struct statement_set statements;
    struct server servers[SERVERS];
    struct client clients[CLIENTS];
    int shapes[TEXTS]; /* of the tables, now */
    bool changed;
};

static uint8_t choose(struct world *w)
{
    if (w->size == 0)
        return 0;
    w->size--;
    return *w->data++;
}

static void drop(struct bytes *bytes, size_t length)
{
    if (length > 0)
        memmove(bytes->at, bytes->at + length, bytes->length - length);
    bytes->length -= length;
}

static void move(struct bytes *to, struct bytes *from, size_t length)
{
    if (length > from->length)
        length = from->length;
    if (length > 0)
        bytes_add(to, from->at, length);
    drop(from, length);
}

static void say(struct bytes *to, uint8_t type, const void *body, size_t length)
{
    uint8_t header[HEADER] = {type};

    bytes_put_u32(header + 1, (uint32_t)length + 4);
    bytes_add(to, header, sizeof(header));
    if (length > 0)
        bytes_add(to, body, length);
}

static size_t whole(const struct bytes *bytes)
{
    size_t length = bytes->length >= HEADER ? 1 + (size_t)bytes_u32(bytes->at + 1) : 0;

    return length <= bytes->length ? length : 0;
}

/* ---- the server -------------------------------------------------------------------------- */

static void fail(struct server *s, const char *code, const char *routine)
{
    struct bytes body = {0};

    bytes_print(&body, "SERROR%cVERROR%cC%s%cR%s%c", 0, 0, code, 0, routine, 0);
    bytes_add(&body, "", 1);
    say(&s->out, WIRE_ERROR_RESPONSE, body.at, body.length);
    bytes_free(&body);
    s->skipping = true;
}

static struct known *find(struct server *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->named[i].name, name) == 0)
            return &s->named[i];
    return NULL;
}

static void describe(struct server *s, int shape)
{
    char columns[] = {0, 1, (char)('a' + shape), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 4, 0, 0, 0, 0,
                      0, 0};

    if (shape == 0)
        say(&s->out, WIRE_NO_DATA, NULL, 0);
    else
        say(&s->out, WIRE_ROW_DESCRIPTION, columns, sizeof(columns));
}

/* The one that the message is about, if it is there and no table has changed since. */
static struct known *look(struct world *w, struct server *s, const char *name)
{
    struct known *known = find(s, name);

    if (known == NULL)
        fail(s, "26000", "FetchPreparedStatement");
    else if (known->shape != w->shapes[known->text])
        fail(s, "0A000", "RevalidateCachedQuery");
    else
        return known;
    return NULL;
}

static void parse(struct world *w, struct server *s, const char *body)
{
    const char *sql = body + strlen(body) + 1;

    if (sql[0] < '0' || sql[0] >= '0' + TEXTS) {
        fail(s, "42601", "scanner_yyerror");
    } else if (find(s, body) != NULL) {
        fail(s, "42P05", "StorePreparedStatement");
    } else {
        struct known *known = &s->named[s->count++];

        REQUIRE(s->count <= MOST_NAMED);
        strcpy(known->name, body);
        known->text = sql[0] - '0';
        known->shape = w->shapes[known->text];
        say(&s->out, WIRE_PARSE_COMPLETE, NULL, 0);
    }
}

static void bind(struct world *w, struct server *s, const char *body)
{
    struct known *known = look(w, s, body + 1);

    if (known == NULL)
        return;
    s->portal = *known;
    say(&s->out, WIRE_BIND_COMPLETE, NULL, 0);
}

static void describe_it(struct world *w, struct server *s, const char *body)
{
    struct known *known;

    if (body[0] == 'P') {
        describe(s, s->portal.shape);
        return;
    }
    if (find(s, body + 1) != NULL)
        say(&s->out, WIRE_PARAMETER_DESCRIPTION, "\0", 2);
    known = look(w, s, body + 1);
    if (known != NULL)
        describe(s, known->shape);
}

static void forget(struct server *s, const char *name)
{
    struct known *known = find(s, name);

    if (known != NULL)
        *known = s->named[--s->count];
    say(&s->out, WIRE_CLOSE_COMPLETE, NULL, 0);
}

static void serve(struct world *w, struct server *s)
{
    size_t length = whole(&s->in);
    const char *body;

    if (length == 0)
        return;
    body = (const char *)s->in.at + HEADER;
    if (s->in.at[0] == WIRE_SYNC) {
        s->skipping = false;
        say(&s->out, WIRE_READY_FOR_QUERY, "I", 1);
    } else if (!s->skipping) {
        switch (s->in.at[0]) {
        case WIRE_PARSE:
            parse(w, s, body);
            break;
        case WIRE_BIND:
            bind(w, s, body);
            break;
        case WIRE_DESCRIBE:
            describe_it(w, s, body);
            break;
        case WIRE_CLOSE:
            forget(s, body + 1);
            break;
        case WIRE_EXECUTE:
            if (s->portal.shape > 0)
                say(&s->out, WIRE_DATA_ROW, (char[]){(char)s->portal.text, (char)s->portal.shape},
                    2);
            say(&s->out, WIRE_COMMAND_COMPLETE, "X", 2);
            break;
        default:
            REQUIRE(s->in.at[0] == WIRE_FLUSH);
        }
    }
    drop(&s->in, length);
}

/* ---- the client -------------------------------------------------------------------------- */

static void ask(struct client *c, uint8_t type, uint8_t what, int name, int text)
{
    char body[] = {(char)what, (char)('x' + name), 0, (char)('0' + text), 0, 0, 0, 0, 0, 0};

    REQUIRE(c->count < MOST_OPS);
    c->ops[c->count++] = (struct op){type, what, name, text};
    if (type == WIRE_PARSE)
        say(&c->unsent, type, body + 1, 6);
    else if (type == WIRE_BIND)
        say(&c->unsent, type, (char[]){0, body[1], 0, 0, 0, 0, 0, 0, 0}, 9);
    else if (type == WIRE_DESCRIBE && what == 'P')
        say(&c->unsent, type, "P", 2);
    else if (type == WIRE_EXECUTE)
        say(&c->unsent, type, "\0\0\0\0", 5);
    else
        say(&c->unsent, type, body, type == WIRE_SYNC ? 0 : 3);
}

/* A batch: C close, P parse, S describe the statement, B bind, D describe the portal, E execute. */
static void ask_all(struct world *w, struct client *c)
{
    static const char *const batches[] = {"CPS", "PS",   "CPBDE", "CPBE", "BE",  "BE",
                                          "BE",  "BDE",  "S",     "C",    "SBE", "CP",
                                          "BE",  "BEBE", "BE",    "BDEBE"};
    uint8_t chosen = choose(w);
    const char *batch = batches[chosen % 16];
    int name = chosen / 16 % NAMES, text = chosen / 64 % TEXTS;

    for (; *batch != '\0'; batch++) {
        if (*batch == 'S')
            ask(c, WIRE_DESCRIBE, 'S', name, text);
        else if (*batch == 'D')
            ask(c, WIRE_DESCRIBE, 'P', name, text);
        else
            ask(c, (uint8_t)*batch, 'S', name, text);
        if (*batch == 'E' && chosen >= 192)
            name = (name + 1) % NAMES;
    }
    ask(c, WIRE_SYNC, 'S', name, text);
}

static struct op next(struct client *c, uint8_t type)
{
    struct op op = c->ops[0];

    REQUIRE(c->count > 0 && op.type == type);
    memmove(c->ops, c->ops + 1, --c->count * sizeof(op));
    return op;
}

static void is_told(struct client *c, int shape)
{
    struct op op = next(c, WIRE_DESCRIBE);

    c->told[op.what == 'P' ? c->bound : op.name] = shape;
}

static void reads(struct client *c, const uint8_t *row)
{
    REQUIRE(c->count > 0 && c->ops[0].type == WIRE_EXECUTE);
    REQUIRE(row[0] == c->text[c->bound]);
    REQUIRE(row[1] == c->told[c->bound] || c->told[c->bound] == UNTOLD);
}

static void is_failed(struct world *w, struct client *c, struct slice body)
{
    struct slice code = wire_error_field(body, 'C');

    REQUIRE(code.length == 5 && memcmp(code.at, "42601", 5) != 0);
    REQUIRE(w->changed || memcmp(code.at, "0A000", 5) != 0);
    while (c->count > 0 && c->ops[0].type != WIRE_SYNC)
        next(c, c->ops[0].type);
}

static void hears(struct world *w, struct client *c, uint8_t type, struct slice body)
{
    struct op op;

    switch (type) {
    case WIRE_PARSE_COMPLETE:
        op = next(c, WIRE_PARSE);
        c->told[op.name] = UNTOLD;
        c->text[op.name] = op.text;
        break;
    case WIRE_BIND_COMPLETE:
        c->bound = next(c, WIRE_BIND).name;
        break;
    case WIRE_CLOSE_COMPLETE:
        op = next(c, WIRE_CLOSE);
        c->told[op.name] = UNTOLD;
        break;
    case WIRE_PARAMETER_DESCRIPTION:
        REQUIRE(c->count > 0 && c->ops[0].type == WIRE_DESCRIBE && c->ops[0].what == 'S');
        break;
    case WIRE_NO_DATA:
        is_told(c, 0);
        break;
    case WIRE_ROW_DESCRIPTION:
        is_told(c, body.at[2] - 'a');
        break;
    case WIRE_DATA_ROW:
        reads(c, body.at);
        break;
    case WIRE_COMMAND_COMPLETE:
        next(c, WIRE_EXECUTE);
        break;
    case WIRE_ERROR_RESPONSE:
        is_failed(w, c, body);
        break;
    default:
        REQUIRE(type == WIRE_READY_FOR_QUERY);
        next(c, WIRE_SYNC);
    }
}

static void read_all(struct world *w, struct client *c)
{
    size_t length;

    for (; (length = whole(&c->got)) > 0; drop(&c->got, length))
        hears(w, c, c->got.at[0], (struct slice){c->got.at + HEADER, length - HEADER});
}

/* ---- between them ------------------------------------------------------------------------ */

static void add_plan(struct bytes *to, const struct relay_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        bytes_add(to, plan->slices[i].at, plan->slices[i].length);
}

static void from_client(struct world *w, struct client *c)
{
    struct relay_plan plan;
    size_t used;

    do {
        if (c->shown.length == 0)
            return;
        used = relay_from_client(c->server != NULL ? &c->server->relay : NULL, &c->sent,
                                 (struct slice){c->shown.at, c->shown.length}, &plan);
        REQUIRE(plan.count == 0 || c->server != NULL);
        if (c->server != NULL)
            add_plan(&c->server->in, &plan);
        if (plan.back.length > 0)
            bytes_add(&c->got, plan.back.at, plan.back.length);
        drop(&c->shown, used);
        REQUIRE(plan.verdict != RELAY_BROKEN && plan.verdict != RELAY_TERMINATED);
        c->waits = plan.verdict == RELAY_NEEDS_SERVER;
    } while (used > 0);
    read_all(w, c);
}

static void leave_if_free(struct server *s)
{
    struct client *c = s->lessee;

    if (s->shown.length > 0 || !relay_is_settled(&s->relay, &c->sent))
        return;
    REQUIRE(s->relay.pinned == 0 && !s->relay.tainted && !s->relay.dying);
    REQUIRE(s->in.length == 0 && s->out.length == 0 && !s->skipping);
    relay_detach(&s->relay);
    c->server = NULL;
    s->lessee = NULL;
}

static void from_server(struct world *w, struct server *s, size_t length)
{
    struct relay_plan plan;
    size_t used;

    move(&s->shown, &s->out, length);
    if (s->lessee == NULL)
        return;
    do {
        used = relay_from_server(&s->relay, (struct slice){s->shown.at, s->shown.length}, &plan);
        add_plan(&s->lessee->got, &plan);
        drop(&s->shown, used);
        REQUIRE(plan.verdict == RELAY_GO_ON && !s->relay.dying && !s->relay.tainted);
        if (plan.repeat)
            while (relay_repeat(&s->relay, &plan))
                add_plan(&s->in, &plan);
    } while (used > 0 && s->shown.length > 0);
    read_all(w, s->lessee);
    from_client(w, s->lessee);
    leave_if_free(s);
}

static void grant(struct world *w, struct client *c, struct server *s)
{
    if (!c->waits || c->server != NULL || s->lessee != NULL)
        return;
    relay_attach(&s->relay, &c->sent);
    s->lessee = c;
    c->server = s;
    c->waits = false;
    from_client(w, c);
    leave_if_free(s);
}

static void arrive(struct world *w, struct client *c, size_t length)
{
    move(&c->shown, &c->unsent, length);
    from_client(w, c);
    if (c->server != NULL)
        leave_if_free(c->server);
}

/* Until nobody waits for anything. */
static void run_to_rest(struct world *w)
{
    for (int turn = 0; turn < 400; turn++) {
        for (int i = 0; i < SERVERS; i++) {
            while (whole(&w->servers[i].in) > 0)
                serve(w, &w->servers[i]);
            from_server(w, &w->servers[i], SIZE_MAX);
        }
        for (int i = 0; i < CLIENTS; i++) {
            arrive(w, &w->clients[i], SIZE_MAX);
            grant(w, &w->clients[i], &w->servers[turn % SERVERS]);
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        REQUIRE(w->clients[i].count == 0 && w->clients[i].server == NULL);
}

static void happen(struct world *w, bool may_change)
{
    uint8_t what = choose(w), how = what >> 4;
    struct client *c = &w->clients[how % CLIENTS];
    struct server *s = &w->servers[how % SERVERS];

    switch (what % 8) {
    case 0:
    case 1:
        if (c->count == 0)
            ask_all(w, c);
        break;
    case 2:
        arrive(w, c, 1u + how);
        break;
    case 3:
        arrive(w, c, SIZE_MAX);
        break;
    case 4:
        serve(w, s);
        break;
    case 5:
        from_server(w, s, 1u + how * 4u);
        break;
    case 6:
        if (what == 0xfe && may_change) {
            w->shapes[choose(w) % TEXTS] = choose(w) % SHAPES;
            w->changed = true;
        } else {
            grant(w, c, &w->servers[how / CLIENTS % SERVERS]);
        }
        break;
    default:
        if (how < 4)
            run_to_rest(w);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    bool may_change;

    memset(&w, 0, sizeof(w));
    w.data = data;
    w.size = size;
    for (int i = 0; i < TEXTS; i++)
        w.shapes[i] = i % SHAPES;
    for (int i = 0; i < SERVERS; i++)
        relay_init(&w.servers[i].relay, &w.statements, 2);
    may_change = choose(&w) % 4 != 0;
    for (int i = 0; w.size > 0 && i < MOST_EVENTS; i++)
        happen(&w, may_change);
    run_to_rest(&w);
    for (int i = 0; i < SERVERS; i++) {
        relay_fini(&w.servers[i].relay);
        bytes_free(&w.servers[i].in);
        bytes_free(&w.servers[i].out);
        bytes_free(&w.servers[i].shown);
    }
    for (int i = 0; i < CLIENTS; i++) {
        statement_names_clear(&w.clients[i].sent.names);
        bytes_free(&w.clients[i].unsent);
        bytes_free(&w.clients[i].shown);
        bytes_free(&w.clients[i].got);
    }
    REQUIRE(w.statements.all == NULL);
    return 0;
}
