/*
 * Clients that prepare statements by name, on whatever server is free: as backend.c and the
 * sessions do it, with few statements a server. Each client talks to a server of its own as well,
 * through nobody: what it gets must be what that one says, byte for byte. And:
 *
 *  - who says that a server is free is right, and so is who says what it has prepared;
 *  - nobody runs or sees a statement of another, whatever it sends;
 *  - nobody waits for ever: who is to go on is told so.
 *
 * The reckless pay no heed to what differs through a pool, and their servers have moods: they are
 * not compared. The others keep to these: the unnamed statement is theirs up to the end of the
 * transaction, or until they bind it behind a Sync; nothing is parsed behind a failure that they
 * have not seen; in a batch nothing is used behind a DEALLOCATE ALL, and DEALLOCATE is a Query.
 */
#include "fuzz.h"
#include "names_client.h"

enum { CLIENTS = 3, SERVERS = 2, MOST_EVENTS = 250, STEPS_TO_THE_END = 2000, LARGE = 33000 };

struct place {
    struct model model;
    struct relay relay;
    struct bytes shown; /* by the server, and not used by the relay */
    struct client *lessee;
    bool cleaning, resetting, whole;
};

struct world {
    struct choices choices;
    struct statement_set statements;
    struct client clients[CLIENTS];
    struct place places[SERVERS];
    size_t most;
    uint8_t last_owner;
    bool reckless, has_long_ones;
};

static void show_client(struct world *w, struct client *client);

/* ---- coming and going -------------------------------------------------------------------- */

static void open_server(struct world *w, struct place *p)
{
    relay_fini(&p->relay);
    model_fini(&p->model);
    bytes_clear(&p->shown);
    p->model = (struct model){.status = 'I', .moods = w->reckless ? &w->choices : NULL};
    relay_init(&p->relay, &w->statements, w->most);
    p->lessee = NULL;
    p->cleaning = p->resetting = false;
    p->whole = true;
}

static void reset_client(struct world *w, struct client *client)
{
    bytes_clear(&client->unsent);
    bytes_clear(&client->shown);
    bytes_clear(&client->got);
    statement_names_clear(&client->sent.names);
    model_fini(&client->own);
    client->own = (struct model){.status = 'I'};
    client->sent = (struct relay_sent){0};
    client->place = NULL;
    client->waits = client->held_back = client->gone = false;
    w->last_owner =
        (uint8_t)(w->last_owner < 'A' || w->last_owner >= 'Z' ? 'A' : w->last_owner + 1);
    client->owner = w->last_owner;
}

static void lose_server(struct world *w, struct place *p)
{
    struct client *client = p->lessee;

    open_server(w, p);
    if (client != NULL)
        reset_client(w, client);
}

/* ---- as backend.c does it ---------------------------------------------------------------- */

static void send_ours(struct place *p, struct bytes *out)
{
    REQUIRE(!out->failed);
    bytes_add(&p->model.in, out->at, out->length);
    bytes_free(out);
}

static void ask_ourselves(struct place *p, const char *sql)
{
    struct bytes out = {0};

    relay_ask_query(&p->relay, sql, &out);
    send_ours(p, &out);
}

static bool is_truly_free(const struct place *p)
{
    return model_is_idle(&p->model) && p->shown.length == 0;
}

static void clean_on(struct world *w, struct place *p)
{
    struct relay *relay = &p->relay;

    if (relay->failed || relay->tainted) {
        open_server(w, p);
    } else if (relay_owes(relay) || !p->whole) {
        return;
    } else if (relay->status != 'I') {
        ask_ourselves(p, "z");
    } else if (relay->pinned != 0 && !p->resetting) {
        p->resetting = true;
        ask_ourselves(p, "discard all");
    } else {
        REQUIRE(is_truly_free(p));
        relay_renew(relay);
        p->cleaning = p->resetting = false;
    }
}

static bool may_be_left(const struct place *p, const struct client *client)
{
    return p->whole && p->relay.pinned == 0 && relay_is_settled(&p->relay, &client->sent);
}

static void leave(struct world *w, struct place *p)
{
    struct client *client = p->lessee;
    struct bytes out = {0};

    p->lessee = NULL;
    client->place = NULL;
    if (may_be_left(p, client) && !p->relay.tainted && !p->relay.dying) {
        REQUIRE(is_truly_free(p));
        relay_detach(&p->relay);
        return;
    }
    if (!relay_abandon(&p->relay, &client->sent, &out)) {
        bytes_free(&out);
        open_server(w, p);
        return;
    }
    send_ours(p, &out);
    p->cleaning = true;
    clean_on(w, p);
}

static void vanish(struct world *w, struct client *client)
{
    if (client->place != NULL)
        leave(w, client->place);
    reset_client(w, client);
}

/* ---- what comes to the client ------------------------------------------------------------ */

/* Every statement says whose it is. */
static void check_owner(const struct client *client, uint8_t type, const uint8_t *body)
{
    const struct model_text *text = (const void *)body;
    struct model_text copy;

    if (memchr("DtT", type, 3) == NULL)
        return;
    memcpy(&copy, text, sizeof(copy));
    REQUIRE(copy.head[1] == client->owner || copy.head[1] == '*' || copy.head[0] == 'd' ||
            copy.head[1] == 'x');
}

static void deliver(struct world *w, struct client *client, struct slice bytes)
{
    struct bytes *expected = &client->own.out, *got = &client->got;

    REQUIRE(client != NULL);
    if (!w->reckless && bytes.length > 0) {
        REQUIRE(bytes.length <= expected->length);
        REQUIRE(memcmp(bytes.at, expected->at, bytes.length) == 0);
        bytes_drop(expected, bytes.length);
    }
    bytes_add(got, bytes.at, bytes.length);
    while (got->length >= MODEL_HEADER && got->length > bytes_u32(got->at + 1)) {
        check_owner(client, got->at[0], got->at + MODEL_HEADER);
        bytes_drop(got, 1 + (size_t)bytes_u32(got->at + 1));
    }
}

/* As the session has it. */
static void on_turn(struct world *w, struct place *p)
{
    struct client *client = p->lessee;

    if (may_be_left(p, client))
        leave(w, p);
    if (client->held_back)
        show_client(w, client);
}

static void show_server(struct world *w, struct place *p, size_t length)
{
    struct relay_plan plan = {0};
    size_t used;

    if (length > p->model.out.length)
        length = p->model.out.length;
    bytes_add(&p->shown, p->model.out.at, length);
    bytes_drop(&p->model.out, length);
    if (length == 0)
        return;
    do {
        used = relay_from_server(&p->relay, (struct slice){p->shown.at, p->shown.length}, &plan);
        for (size_t i = 0; i < plan.count; i++)
            deliver(w, p->lessee, plan.slices[i]);
        bytes_drop(&p->shown, used);
    } while ((used > 0 || plan.count > 0) && (p->shown.length > 0 || relay_plan_is_full(&plan)));
    p->whole = p->shown.length == 0;
    if (plan.verdict == RELAY_BROKEN || (p->relay.dying && p->relay.remaining == 0) ||
        (p->model.dead && p->model.out.length == 0))
        lose_server(w, p);
    else if (p->lessee != NULL)
        on_turn(w, p);
    else if (p->cleaning)
        clean_on(w, p);
    else if (p->relay.tainted)
        open_server(w, p);
}

/* ---- from the clients -------------------------------------------------------------------- */

static void obey(struct client *client, const struct relay_plan *plan, bool reckless)
{
    client->waits = plan->verdict == RELAY_NEEDS_SERVER;
    client->held_back = plan->verdict == RELAY_WAITS;
    client->gone = plan->verdict == RELAY_TERMINATED || plan->verdict == RELAY_BROKEN;
    REQUIRE(plan->verdict != RELAY_BROKEN || reckless);
}

static void show_client(struct world *w, struct client *client)
{
    struct relay_plan plan = {0};
    size_t used = 0;

    while (client->shown.length > 0) {
        struct place *p = client->place;

        used = relay_from_client(p != NULL ? &p->relay : NULL, &client->sent,
                                 (struct slice){client->shown.at, client->shown.length}, &plan);
        REQUIRE(p != NULL || (plan.count == 0 && plan.back.length == 0));
        for (size_t i = 0; i < plan.count; i++)
            bytes_add(&p->model.in, plan.slices[i].at, plan.slices[i].length);
        deliver(w, client, plan.back);
        bytes_drop(&client->shown, used);
        obey(client, &plan, w->reckless);
        if (client->gone)
            vanish(w, client);
        if (used == 0 || client->shown.length == 0)
            break;
        if (p != NULL && may_be_left(p, client))
            leave(w, p);
    }
}

static void arrive(struct world *w, struct client *client, size_t length)
{
    if (length > client->unsent.length)
        length = client->unsent.length;
    bytes_add(&client->shown, client->unsent.at, length);
    bytes_drop(&client->unsent, length);
    if (length > 0 && !client->waits)
        show_client(w, client);
}

static void grant(struct world *w, struct client *client, uint8_t which)
{
    for (size_t i = 0; i < SERVERS && client->waits; i++) {
        struct place *p = &w->places[(which + i) % SERVERS];

        if (p->lessee != NULL || p->cleaning || p->model.dead || p->model.out.length > 0)
            continue;
        relay_attach(&p->relay, &client->sent);
        p->lessee = client;
        client->place = p;
        client->waits = false;
        show_client(w, client);
    }
}

/* ---- what clients say -------------------------------------------------------------------- */

/* Not weir's own if there are statements that are not kept: who takes those names loses them. */
static const char *a_name(struct world *w)
{
    const char *name = names[choose(&w->choices) % COUNT_OF(names)];

    return w->has_long_ones && name[0] == 'w' ? "a" : name;
}

/* The letter says what it does; who has it, and which of a few it is. */
static void write_text(struct world *w, const struct client *client, char text[40],
                       unsigned sql_kinds)
{
    static const char letters[] = "rrrrrrrrrrrnneexbbkkzc";
    static const char *const sql[] = {"deallocate all", "discard all", "execute ", "deallocate "};
    uint8_t chosen = choose(&w->choices), which = choose(&w->choices);
    bool shared = !w->reckless && chosen & 1;

    if (which < 0xe8 || sql_kinds == 0)
        snprintf(text, 40, "%c%c%d", letters[which % (sizeof(letters) - 1)],
                 shared ? '*' : client->owner, chosen / 2 % 3);
    else
        snprintf(text, 40, "%s%s", sql[which % sql_kinds],
                 which % sql_kinds < 2 ? "" : names[chosen % 4]);
}

static void say_parse(struct world *w, struct client *client, const char *name)
{
    uint8_t chosen = choose(&w->choices);
    struct bytes body = {0};
    char text[40], padding[LARGE];

    write_text(w, client, text, name[0] != '\0' ? 0 : w->reckless ? 4 : 3);
    bytes_add(&body, name, strlen(name) + 1);
    bytes_add(&body, text, strlen(text));
    if (chosen > 0xf8 && name[0] != '\0' && w->has_long_ones) {
        memset(padding, ' ', sizeof(padding));
        bytes_add(&body, padding, sizeof(padding));
    }
    if (chosen % 4 == 0) /* one parameter's type is told */
        bytes_add(&body, "\0\0\1\0\0\0\x17", 7);
    else
        bytes_add(&body, "\0\0\0", 3);
    say(client, WIRE_PARSE, body.at, body.length);
    bytes_free(&body);
}

static void say_query(struct world *w, struct client *client)
{
    char text[40];

    write_text(w, client, text, 4);
    say(client, WIRE_QUERY, text, strlen(text) + 1);
}

/* Whether that would show that there is a pool. */
static bool differs(const struct world *w, const struct client *client, char word)
{
    const struct model *own = &client->own;

    if (w->reckless)
        return false;
    if (own->forgot && word != 'S')
        return true;
    if (word == 'u' || word == 'U')
        return own->has_unnamed && !own->own;
    return (word == 'P' || word == 'p') && own->status == 'E' && !is_up_to_date(client);
}

/* One letter a message: small ones are about the unnamed statement. */
static void say_word(struct world *w, struct client *client, char word)
{
    const char *portal = choose(&w->choices) % 8 == 0 ? "p" : "";

    if (is_up_to_date(client))
        client->own.forgot = false;
    if (client->own.copying && strchr("HSdf", word) == NULL)
        word = 'c';
    if (differs(w, client, word))
        return;
    if (word == 'P' || word == 'p')
        say_parse(w, client, word == 'P' ? a_name(w) : "");
    else if (word == 'B' || word == 'u')
        say_bind(client, portal, word == 'B' ? a_name(w) : "");
    else if (word == 'D' || word == 'U')
        say_about(client, WIRE_DESCRIBE, 'S', word == 'D' ? a_name(w) : "");
    else if (word == 'C' || word == 'V')
        say_about(client, WIRE_CLOSE, 'S', word == 'C' ? a_name(w) : "");
    else if (word == 'O')
        say_about(client, WIRE_DESCRIBE, 'P', portal);
    else if (word == 'o')
        say_about(client, WIRE_CLOSE, 'P', portal);
    else if (word == 'E')
        say(client, WIRE_EXECUTE, portal[0] ? "p\0\0\0\0" : "\0\0\0\0", portal[0] ? 6 : 5);
    else if (word == 'Q')
        say_query(w, client);
    else if (word == 'f')
        say(client, WIRE_COPY_FAIL, "", 1);
    else
        say(client, (uint8_t)word, "", 0);
}

static void say_something(struct world *w, struct client *client)
{
    static const char *const sentences[] = {
        "PBES",  "PS",      "BES",       "BES",   "BES",  "DS",   "CS",       "puES",
        "puOES", "pUH",     "uES",       "pUS",   "PDH",  "BEH",  "CH",       "PBESBES",
        "CPBES", "Q",       "Q",         "QBES",  "PPPP", "BBBB", "PPPPPPPP", "CCCCCCCC",
        "CP",    "CPCPCPH", "BESBESBES", "S",     "H",    "VS",   "oS",       "QPBEQS",
        "PSPS",  "BECPBES", "PQBES",     "puEPS", "uES",  "DDDS", "dcS",      "BEdcS",
    };
    const char *words = sentences[choose(&w->choices) % COUNT_OF(sentences)];

    for (; *words != '\0'; words++)
        say_word(w, client, *words);
}

/* ---- the truth --------------------------------------------------------------------------- */

static bool is_same_text(const struct statement *statement, const struct model_text *text)
{
    struct slice body;
    struct model_text copy = {0};

    if (statement == NULL)
        return false;
    body = statement_body(statement);
    if (body.length == 0) /* it was too long to be kept */
        return text->length > LARGE;
    copy.length = body.length;
    memcpy(copy.head, body.at, body.length < MODEL_TEXT ? body.length : MODEL_TEXT);
    return memcmp(&copy, text, sizeof(copy)) == 0;
}

static void check_names(const struct statement_names *known, const struct model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        const char *name = m->names[i].name;
        struct slice slice = {(const uint8_t *)name, strlen(name)};

        REQUIRE(is_same_text(statement_names_find(known, slice), &m->names[i].text));
    }
    REQUIRE(known->count >= m->count && (m->vague || known->count == m->count));
}

/* Where nothing is on its way, what is said to be prepared is. */
static void check(struct world *w)
{
    for (size_t i = 0; i < SERVERS; i++) {
        struct place *p = &w->places[i];
        struct relay *relay = &p->relay;

        if (relay->tainted || relay->dying || p->model.dead || !p->whole)
            continue;
        if (relay_is_settled(relay, p->lessee != NULL ? &p->lessee->sent : NULL))
            REQUIRE(is_truly_free(p));
        if (!relay_owes(relay) && !relay->skipping && p->model.in.length == 0)
            check_names(&relay->names.on_server, &p->model);
    }
    for (size_t i = 0; i < CLIENTS && !w->reckless; i++)
        if (is_up_to_date(&w->clients[i]) && w->clients[i].own.in.length == 0)
            check_names(&w->clients[i].sent.names, &w->clients[i].own);
}

/* ---- the play ---------------------------------------------------------------------------- */

static void happen(struct world *w)
{
    uint8_t what = choose(&w->choices), how = what >> 4;
    struct client *client = &w->clients[how % CLIENTS];
    struct place *p = &w->places[how % SERVERS];

    switch (what & 15) {
    case 0:
    case 1:
    case 2:
        say_something(w, client);
        arrive(w, client, SIZE_MAX);
        break;
    case 3:
        say_something(w, client);
        break;
    case 4:
        arrive(w, client, 1 + how);
        break;
    case 5:
        while (how-- > 0 && model_step(&p->model))
            continue;
        break;
    case 6:
        show_server(w, p, 1 + how);
        break;
    case 7:
        if (how == 0)
            vanish(w, client);
        else if (how == 1)
            lose_server(w, p);
        break;
    default:
        while (model_step(&p->model))
            continue;
        show_server(w, p, SIZE_MAX);
        grant(w, client, how >> 1);
        break;
    }
}

/* Until nothing moves any more. */
static void run_to_rest(struct world *w)
{
    int quiet = 0;

    for (int i = 0; quiet < 2 && i < STEPS_TO_THE_END; i++) {
        bool moved = false;

        for (size_t j = 0; j < SERVERS; j++) {
            while (model_step(&w->places[j].model))
                moved = true;
            moved |= w->places[j].model.out.length > 0;
            show_server(w, &w->places[j], SIZE_MAX);
        }
        for (size_t j = 0; j < CLIENTS; j++) {
            moved |= w->clients[j].unsent.length > 0;
            arrive(w, &w->clients[j], SIZE_MAX);
            grant(w, &w->clients[j], 0);
        }
        check(w);
        quiet = moved ? 0 : quiet + 1;
    }
    REQUIRE(quiet == 2);
}

static void say_goodbye(struct world *w, struct client *client)
{
    bool copying = w->reckless && client->place != NULL && client->place->model.copying;

    if (client->own.copying || copying)
        say(client, WIRE_COPY_DONE, "", 0);
    say(client, WIRE_SYNC, "", 0);
    if (client->own.status != 'I' || w->reckless)
        say(client, WIRE_QUERY, "z", 2);
}

/* Who ends what it began gets all its answers, and who is not pinned gives its server back. */
static void end(struct world *w)
{
    w->choices.length = 0;
    run_to_rest(w);
    for (int round = 0; round < 3 * CLIENTS; round++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            struct client *client = &w->clients[i];

            if (client->place == NULL)
                continue;
            say_goodbye(w, client);
            run_to_rest(w);
            REQUIRE(client->shown.length == 0 && client->got.length == 0);
            REQUIRE(w->reckless || is_up_to_date(client));
            REQUIRE(client->place == NULL || client->place->relay.pinned != 0);
            vanish(w, client);
            run_to_rest(w);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++)
        REQUIRE(w->clients[i].shown.length == 0 && !w->clients[i].waits);
    for (size_t i = 0; i < SERVERS; i++)
        REQUIRE(w->places[i].lessee == NULL && !w->places[i].cleaning);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w; /* too large for the stack */
    uint8_t chosen;

    w = (struct world){.choices = {data, size}};
    chosen = choose(&w.choices);
    w.reckless = chosen % 4 == 3;
    w.most = 1 + chosen / 4 % 3;
    w.has_long_ones = chosen >= 0xc0;
    for (size_t i = 0; i < SERVERS; i++)
        open_server(&w, &w.places[i]);
    for (size_t i = 0; i < CLIENTS; i++)
        reset_client(&w, &w.clients[i]);
    for (int i = 0; i < MOST_EVENTS && w.choices.length > 0; i++) {
        happen(&w);
        check(&w);
    }
    end(&w);
    for (size_t i = 0; i < CLIENTS; i++) {
        statement_names_clear(&w.clients[i].sent.names);
        model_fini(&w.clients[i].own);
        bytes_free(&w.clients[i].unsent);
        bytes_free(&w.clients[i].shown);
        bytes_free(&w.clients[i].got);
    }
    for (size_t i = 0; i < SERVERS; i++) {
        relay_fini(&w.places[i].relay);
        model_fini(&w.places[i].model);
        bytes_free(&w.places[i].shown);
    }
    REQUIRE(w.statements.all == NULL);
    return 0;
}
