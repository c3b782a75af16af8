/*
 * Any conversation between clients and a server, through a relay as drivers/postgres/backend.c
 * and the sessions use it: clients take turns at one connection, send what they like in what
 * pieces they like, and vanish. The server is the model, and knows the truth:
 *
 *  - who says that the server is free is right;
 *  - nobody gets a byte that answers another, or that weir asked for;
 *  - a client that stays gets all that answers it, and the server gets all that it sent;
 *  - a client that keeps to the protocol gives its server back in the end.
 *
 * An eighth of the inputs is noise from both sides, to which the relay must only survive.
 */
#include "fuzz.h"
#include "server_model.h"

#include "drivers/postgres/relay.h"

enum { CLIENTS = 3, MOST_EVENTS = 200, STEPS_TO_THE_END = 20000 };

struct client {
    struct bytes unsent, shown; /* not arrived yet; arrived, and not used by the relay */
    struct relay_sent sent;
    uint8_t tag;
    bool waits;       /* for the server */
    bool gone;        /* it has said goodbye, or nonsense */
    size_t lacks;     /* bytes that answer it and have not come to it */
    struct bytes got; /* of a message that has not come to it whole */
};

struct world {
    struct choices choices;
    struct model model;
    struct relay relay;
    struct tagged shown; /* by the server, and not used by the relay */
    struct client clients[CLIENTS];
    struct client *lessee;
    uint8_t last_tag;
    bool cleaning, resetting, whole;
    bool by_statement;
    bool rude; /* somebody has broken the protocol */
};

/* ---- the server -------------------------------------------------------------------------- */

/* Nothing is left in it, and nothing on the way but what nobody asked for. */
static bool is_truly_free(const struct world *w)
{
    for (size_t i = 0; i < w->model.out.tags.length; i++)
        if (w->model.out.tags.at[i] != MODEL_NOBODY)
            return false;
    return model_is_idle(&w->model) && w->shown.bytes.length == 0;
}

static void to_server(struct world *w, const void *at, size_t length, uint8_t tag)
{
    if (length > 0 && !w->model.dead)
        tagged_add(&w->model.in, at, length, tag);
}

/* Another connection takes the place of one that is closed. */
static void open_server(struct world *w)
{
    for (size_t i = 0; i < CLIENTS; i++)
        w->clients[i].lacks = 0;
    model_fini(&w->model);
    w->model = (struct model){.choices = &w->choices, .status = 'I'};
    tagged_drop(&w->shown, w->shown.bytes.length);
    relay_fini(&w->relay);
    relay_init(&w->relay, NULL, 0);
    w->lessee = NULL;
    w->cleaning = w->resetting = w->rude = false;
    w->whole = true;
}

static void reset_client(struct world *w, struct client *client)
{
    bytes_clear(&client->unsent);
    bytes_clear(&client->shown);
    client->sent = (struct relay_sent){0};
    client->waits = client->gone = false;
    client->lacks = 0;
    bytes_clear(&client->got);
    w->last_tag = w->last_tag % 250 + 1;
    client->tag = w->last_tag;
}

/* The server is lost: so is its client. */
static void lose_server(struct world *w)
{
    if (w->lessee != NULL)
        reset_client(w, w->lessee);
    open_server(w);
}

/* ---- as backend.c does it ---------------------------------------------------------------- */

static void send_ours(struct world *w, struct bytes *out)
{
    REQUIRE(!out->failed);
    to_server(w, out->at, out->length, MODEL_OURS);
    bytes_free(out);
}

static void ask_ourselves(struct world *w, const char *sql)
{
    struct bytes out = {0};

    relay_ask_query(&w->relay, sql, &out);
    send_ours(w, &out);
}

static void clean_on(struct world *w)
{
    struct relay *relay = &w->relay;

    if (relay->failed || relay->tainted) {
        open_server(w);
    } else if (relay_owes(relay) || !w->whole) {
        return;
    } else if (relay->status != 'I') {
        ask_ourselves(w, "k");
    } else if (relay->pinned != 0 && !w->resetting) {
        w->resetting = true;
        ask_ourselves(w, "r");
    } else {
        REQUIRE(is_truly_free(w));
        relay_renew(relay);
        w->cleaning = w->resetting = false;
    }
}

static bool may_be_left(const struct world *w, const struct client *client)
{
    return w->whole && w->relay.pinned == 0 && relay_is_settled(&w->relay, &client->sent);
}

/* The client goes on without its server, or is gone itself. */
static void leave(struct world *w)
{
    struct client *client = w->lessee;
    struct bytes out = {0};
    bool kept;

    w->lessee = NULL;
    if (may_be_left(w, client) && !w->relay.tainted && !w->relay.dying) {
        REQUIRE(is_truly_free(w) && client->lacks == 0 && client->got.length == 0);
        relay_detach(&w->relay);
        return;
    }
    client->lacks = 0;
    kept = relay_abandon(&w->relay, &client->sent, &out);
    if (!kept) {
        bytes_free(&out);
        open_server(w);
        return;
    }
    send_ours(w, &out);
    w->cleaning = true;
    clean_on(w);
}

/* ---- from the server --------------------------------------------------------------------- */

static struct client *client_of(struct world *w, uint8_t tag)
{
    for (size_t i = 0; i < CLIENTS; i++)
        if (w->clients[i].tag == tag)
            return &w->clients[i];
    return NULL;
}

/* Bytes may come from nobody in particular, and else only from the client's own requests. */
static void client_gets(struct world *w, struct slice slice)
{
    size_t from = (size_t)(slice.at - w->shown.bytes.at);
    struct bytes *got;

    REQUIRE(w->lessee != NULL);
    got = &w->lessee->got;
    REQUIRE(slice.at >= w->shown.bytes.at && from + slice.length <= w->shown.bytes.length);
    for (size_t i = from; i < from + slice.length; i++) {
        uint8_t tag = w->shown.tags.at[i];

        REQUIRE(tag == MODEL_NOBODY || tag == w->lessee->tag);
        w->lessee->lacks -= tag != MODEL_NOBODY;
    }
    bytes_add(got, slice.at, slice.length);
    while (got->length >= MODEL_HEADER && got->length > bytes_u32(got->at + 1))
        bytes_drop(got, 1 + (size_t)bytes_u32(got->at + 1));
}

static void show_client(struct world *w, struct client *client);
static void vanish(struct world *w, struct client *client);

static void after_turn(struct world *w)
{
    struct client *client = w->lessee;

    if (client != NULL && w->relay.in_block) {
        REQUIRE(w->by_statement && w->model.status != 'I');
        vanish(w, client);
    } else if (client != NULL) {
        if (may_be_left(w, client))
            leave(w);
        if (w->by_statement)
            show_client(w, client); /* what it has sent ahead */
    } else if (w->cleaning) {
        clean_on(w);
    } else if (w->relay.tainted) {
        open_server(w);
    }
}

static void count_what_is_due(struct world *w, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        struct client *client = client_of(w, w->model.out.tags.at[i]);

        if (client != NULL && client == w->lessee)
            client->lacks++;
    }
}

static void show_server(struct world *w, size_t length)
{
    struct relay_plan plan = {0};
    size_t used;

    if (length > w->model.out.bytes.length)
        length = w->model.out.bytes.length;
    count_what_is_due(w, length);
    tagged_move(&w->shown, &w->model.out, length);
    do {
        if (w->shown.bytes.length == 0)
            break;
        used = relay_from_server(&w->relay,
                                 (struct slice){w->shown.bytes.at, w->shown.bytes.length}, &plan);
        for (size_t i = 0; i < plan.count; i++)
            client_gets(w, plan.slices[i]);
        tagged_drop(&w->shown, used);
    } while (used > 0);
    w->whole = w->shown.bytes.length == 0;
    if (plan.verdict == RELAY_BROKEN || (w->relay.dying && w->relay.remaining == 0) ||
        (w->model.dead && w->model.out.bytes.length == 0))
        lose_server(w);
    else
        after_turn(w);
}

/* ---- from the clients -------------------------------------------------------------------- */

static void obey(struct world *w, struct client *client, const struct relay_plan *plan)
{
    client->waits = plan->verdict == RELAY_NEEDS_SERVER;
    if (plan->verdict == RELAY_TERMINATED || plan->verdict == RELAY_BROKEN)
        client->gone = true;
    if (client->gone && w->lessee == client)
        leave(w);
    if (client->gone)
        reset_client(w, client);
}

/* As much as the relay uses now. With a server, what it uses is passed on byte for byte. */
static void show_client(struct world *w, struct client *client)
{
    bool has_server = w->lessee == client;
    bool swallows = client->sent.remaining > 0 && client->sent.swallow;
    struct relay_plan plan = {0};
    size_t used, passed;

    do {
        if (client->shown.length == 0)
            return;
        used = relay_from_client(has_server ? &w->relay : NULL, &client->sent,
                                 (struct slice){client->shown.at, client->shown.length}, &plan);
        passed = 0;
        for (size_t i = 0; i < plan.count; i++) {
            struct slice slice = plan.slices[i];
            bool is_ours = slice.at == w->relay.names.own;

            REQUIRE(has_server);
            to_server(w, slice.at, slice.length, is_ours ? MODEL_OURS : client->tag);
            passed += is_ours ? 0 : slice.length;
        }
        REQUIRE(passed == used || !has_server || swallows);
        bytes_drop(&client->shown, used);
    } while (used > 0);
    obey(w, client, &plan);
}

static void arrive(struct world *w, struct client *client, size_t length)
{
    if (length > client->unsent.length)
        length = client->unsent.length;
    if (length > 0)
        bytes_add(&client->shown, client->unsent.at, length);
    bytes_drop(&client->unsent, length);
    show_client(w, client);
}

/* The server goes to a client that waits for one, if it is nobody's. */
static void grant(struct world *w, struct client *client)
{
    if (w->lessee != NULL || w->cleaning || !client->waits || w->model.dead)
        return;
    relay_attach(&w->relay, &client->sent);
    w->relay.by_statement = w->by_statement;
    w->lessee = client;
    client->waits = false;
    show_client(w, client);
}

static void vanish(struct world *w, struct client *client)
{
    if (w->lessee == client)
        leave(w);
    reset_client(w, client);
}

/* ---- what clients say -------------------------------------------------------------------- */

static void say(struct client *client, uint8_t type, const char *body, size_t length)
{
    uint8_t header[MODEL_HEADER] = {type};

    bytes_put_u32(header + 1, (uint32_t)length + 4);
    bytes_add(&client->unsent, header, sizeof(header));
    bytes_add(&client->unsent, body, length);
}

/* A few messages that belong together, one letter each; statements are chosen. */
static void say_all(struct world *w, struct client *client, const char *types)
{
    static const char statements[] = "rrrreecccobkks0p";

    for (; *types != '\0'; types++) {
        uint8_t chosen = choose(&w->choices);
        char body[5] = {0};

        body[0] = statements[chosen & 15];
        body[1] = statements[chosen >> 4];
        if (*types == 'S' || *types == 'H' || *types == 'c')
            say(client, (uint8_t)*types, "", 0);
        else if (*types == 'Q')
            say(client, (uint8_t)*types, body, 1 + chosen % 3);
        else if (*types == 'P')
            say(client, (uint8_t)*types, (char[]){chosen % 32 == 7 ? 'n' : '\0', 0, body[0], 0}, 4);
        else
            say(client, (uint8_t)*types, body, 2);
    }
}

static void say_nonsense(struct world *w, struct client *client)
{
    uint8_t chosen = choose(&w->choices), type = choose(&w->choices);
    static const char zeros[MODEL_SMALL + 1];

    w->rude = true;
    if (chosen % 4 == 0)
        say(client, type, zeros, chosen);
    else if (chosen % 4 == 1)
        say(client, (uint8_t) "HScfdQ"[type % 6], zeros, sizeof(zeros));
    else if (chosen % 4 == 2)
        say(client, (uint8_t) "HSPBQ"[type % 5], zeros, chosen / 4);
    else
        bytes_add(&client->unsent, &(uint8_t[4]){type, chosen}, 4);
}

static void say_something(struct world *w, struct client *client)
{
    static const char *const words[] = {
        "Q",      "Q",   "PBES", "PBDES", "PDH",     "PBEH",    "S",        "S",
        "E",      "BES", "Q",    "QS",    "PBESdcS", "Qddc",    "PBEdSdcS", "QdcSdc",
        "QdSdcS", "c",   "d",    "f",     "H",       "F",       "FS",       "PQS",
        "PBEQS",  "C",   "CH",   "QQ",    "PQB",     "PBEcBES", "dBES",     "cPBES",
    };
    uint8_t chosen = choose(&w->choices);

    if (w->lessee == client && w->model.copying && chosen % 4 != 0)
        say_all(w, client,
                (const char *const[]){"d", "c", "cS", "f", "fS", "S", "dH", "dcS"}[chosen >> 5]);
    else if (chosen == 0xfe)
        say_nonsense(w, client);
    else if (chosen == 0xff)
        say_all(w, client, "X");
    else
        say_all(w, client, words[chosen % COUNT_OF(words)]);
}

/* ---- the play ---------------------------------------------------------------------------- */

/* Why a server may be given up though everybody keeps to the protocol: a COPY failed, and nobody
 * knows how many Syncs it read; data came where nothing copies; an error came between messages,
 * or seems to have. */
static bool has_excuse(const struct model *m)
{
    return m->copy_failed || m->strayed || m->query_failed || m->was_timed_out ||
           m->in.bytes.length > 0 || m->dead;
}

/* Free is free, whoever asks and whenever. */
static void check(const struct world *w)
{
    const struct relay *relay = &w->relay;

    if (!relay->tainted && !relay->dying && !w->model.dead && w->whole &&
        relay_is_settled(relay, w->lessee != NULL ? &w->lessee->sent : NULL))
        REQUIRE(is_truly_free(w));
    REQUIRE(!relay->tainted || w->rude || relay->nobody || has_excuse(&w->model));
}

static void happen(struct world *w)
{
    uint8_t what = choose(&w->choices), how = what >> 4;
    struct client *client = &w->clients[how % CLIENTS];

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
    case 5:
        arrive(w, client, 1 + how);
        break;
    case 6:
    case 7:
        while (how-- > 0 && model_step(&w->model))
            continue;
        break;
    case 8:
        show_server(w, 1 + how);
        break;
    case 9:
    case 10:
        show_server(w, SIZE_MAX);
        break;
    case 11:
        if (how == 0)
            vanish(w, client);
        break;
    default:
        model_step(&w->model);
        show_server(w, SIZE_MAX);
        for (size_t i = 0; i < CLIENTS; i++)
            grant(w, &w->clients[i]);
        break;
    }
}

/* Until nothing moves any more: twice in a row, for what one has left the other may take. */
static void run_to_rest(struct world *w)
{
    int quiet = 0;

    for (int i = 0; quiet < 2 && i < STEPS_TO_THE_END; i++) {
        bool moved = w->model.out.bytes.length > 0;

        while (model_step(&w->model))
            moved = true;
        show_server(w, SIZE_MAX);
        check(w);
        for (size_t j = 0; j < CLIENTS; j++) {
            moved |= w->clients[j].unsent.length > 0;
            grant(w, &w->clients[j]);
            arrive(w, &w->clients[j], SIZE_MAX);
        }
        quiet = moved ? 0 : quiet + 1;
    }
}

/* A client that ends what it began, one after another, gives its server back. */
static void end(struct world *w)
{
    w->choices.length = 0;
    run_to_rest(w);
    for (int i = 0; i < 20 && w->lessee != NULL; i++) {
        if (w->model.copying)
            say(w->lessee, WIRE_COPY_DONE, "", 0);
        say(w->lessee, WIRE_SYNC, "", 0);
        run_to_rest(w);
        if (w->lessee == NULL)
            break;
        if (w->model.status != 'I')
            say(w->lessee, WIRE_QUERY, "k", 2);
        run_to_rest(w);
        if (w->lessee != NULL && w->relay.pinned != 0)
            vanish(w, w->lessee);
        run_to_rest(w);
    }
    REQUIRE(!w->cleaning);
    REQUIRE(w->lessee == NULL || w->relay.tainted || w->rude || w->lessee->sent.remaining > 0);
}

static void play(struct world *w)
{
    open_server(w);
    for (size_t i = 0; i < CLIENTS; i++)
        reset_client(w, &w->clients[i]);
    for (int i = 0; i < MOST_EVENTS && w->choices.length > 0; i++) {
        happen(w);
        check(w);
    }
    end(w);
    for (size_t i = 0; i < CLIENTS; i++) {
        bytes_free(&w->clients[i].unsent);
        bytes_free(&w->clients[i].shown);
        bytes_free(&w->clients[i].got);
    }
    tagged_free(&w->shown);
    model_fini(&w->model);
}

/* ---- noise ------------------------------------------------------------------------------- */

static bool is_own(const struct relay *relay, struct slice slice)
{
    const uint8_t *own = (const uint8_t *)relay;

    return slice.at >= own && slice.at + slice.length <= own + sizeof(*relay);
}

static void check_plan(const struct relay *relay, const struct relay_plan *plan, struct slice in,
                       size_t used)
{
    const uint8_t *at = in.at;

    REQUIRE(used <= in.length && plan->count <= RELAY_MOST_SLICES);
    for (size_t i = 0; i < plan->count; i++) {
        if (is_own(relay, plan->slices[i]))
            continue;
        REQUIRE(plan->slices[i].at >= at);
        at = plan->slices[i].at + plan->slices[i].length;
        REQUIRE(at <= in.at + used);
    }
}

/* Half of the headers are made likely: the letters are known, the lengths short. */
static void make_noise(struct choices *choices, uint8_t *noise, size_t length, const char *letters)
{
    for (size_t i = 0; i < length; i++)
        noise[i] = choose(choices);
    if (length < MODEL_HEADER || (noise[0] & 1) == 0)
        return;
    noise[0] = (uint8_t)letters[noise[0] % strlen(letters)];
    bytes_put_u32(noise + 1, 4 + noise[4] % 16u);
}

static void survive(struct choices *choices)
{
    struct relay relay;
    struct relay_sent sent = {0};
    struct relay_plan plan;
    uint8_t noise[40];

    relay_init(&relay, NULL, 0);
    relay_attach(&relay, &sent);
    while (choices->length > 0) {
        uint8_t chosen = choose(choices);
        struct slice in = {noise, chosen % sizeof(noise)};
        size_t used;

        make_noise(choices, noise, in.length,
                   chosen & 0x80 ? "PBDECSHQFdcfX" : "123CDEGHIKNSTVWZcdnst");
        used = chosen & 0x80 ? relay_from_client(chosen & 0x40 ? &relay : NULL, &sent, in, &plan)
                             : relay_from_server(&relay, in, &plan);
        check_plan(&relay, &plan, in, used);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.choices = {data, size}};
    uint8_t kind = choose(&w.choices);

    w.by_statement = (kind & 0x10) != 0;
    if (kind % 8 == 7)
        survive(&w.choices);
    else
        play(&w);
    return 0;
}
