/*
 * A console hears messages made of commands, names and any bytes. Whatever comes, it says whole
 * messages and one ReadyForQuery for each request that ends; who is no admin gets nothing done;
 * and what comes in pieces is answered as what comes at once.
 */
#include "choices.h"
#include "fuzz.h"

#include "proxy/fronts/postgres/console.h"

enum { LONGEST = 4096 };

static const char *const texts[] = {
    "show lists",   "SHOW version;",
    "show help",    "reload",
    "shutdown",     "kill_client 1",
    "set a = 'b'",  "set timezone to x",
    "pause \"x\"",  "show fds",
    "show \"lists", "",
    "select 1",     "show client_encoding",
};

struct world {
    bool is_admin;
    unsigned acts;
};

static void on_show(void *owner, enum console_show show, struct console_rows *rows)
{
    (void)owner;
    for (int i = 0; show == CONSOLE_SHOWS_LISTS && i < 3; i++) {
        console_rows_text(rows, "l");
        console_rows_number(rows, (uint64_t)i);
    }
    if (show == CONSOLE_SHOWS_VERSION)
        console_rows_text(rows, "v");
}

static void on_act(void *owner, const struct console_command *command,
                   struct console_outcome *outcome)
{
    struct world *world = owner;

    REQUIRE(world->is_admin);
    REQUIRE(console_command_is_done(command->verb));
    outcome->notice = world->acts++ % 2 == 0 ? "done" : NULL;
}

static const struct console_events events = {on_show, on_act};

static void add_text(struct bytes *body, const char *text)
{
    bytes_add(body, text, strlen(text) + 1);
}

static void add_body(struct bytes *body, struct choices *choices)
{
    static const char *const names[] = {"", "a", "b"};
    static const char *const kinds[] = {"S", "P", "X"};

    switch (choose(choices) % 5) {
    case 0:
        add_text(body, texts[choose(choices) % COUNT_OF(texts)]);
        break;
    case 1: /* Parse, Bind */
        add_text(body, names[choose(choices) % COUNT_OF(names)]);
        add_text(body, texts[choose(choices) % COUNT_OF(texts)]);
        bytes_add(body, "\0", 2);
        break;
    case 2:
        add_text(body, names[choose(choices) % COUNT_OF(names)]);
        add_text(body, names[choose(choices) % COUNT_OF(names)]);
        bytes_add(body, "\0\0\0\0\0\0\0\1\0\1", choose(choices) % 2 ? 6 : 10);
        break;
    case 3: /* Execute, Describe, Close */
        if (choose(choices) % 2 == 0)
            bytes_add(body, kinds[choose(choices) % COUNT_OF(kinds)], 1);
        add_text(body, names[choose(choices) % COUNT_OF(names)]);
        bytes_add(body, "\0\0\0\2", choose(choices) % 5);
        break;
    default:
        for (unsigned i = choose(choices) % 20; i > 0; i--)
            bytes_add(body, &(uint8_t){choose(choices)}, 1);
        break;
    }
}

static void add_message(struct bytes *said, struct choices *choices)
{
    static const uint8_t types[] = {'Q', 'P', 'B', 'D', 'E', 'C', 'S', 'H', 'F', 'd', 'Q', 'S'};
    uint8_t head[WIRE_HEADER_SIZE], type = choose(choices);
    struct bytes body = {0};

    head[0] = type < 250 ? types[type % COUNT_OF(types)] : type;
    add_body(&body, choices);
    bytes_put_u32(head + 1, (uint32_t)body.length + 4);
    bytes_add(said, head, sizeof(head));
    bytes_add(said, body.at, body.length);
    bytes_free(&body);
}

static void check_answer(struct slice in, struct slice out)
{
    struct wire_header header;
    size_t requests = 0, ready = 0;

    for (; in.length > 0; in.at += header.length, in.length -= header.length) {
        REQUIRE(wire_header(in, &header) == WIRE_MESSAGE);
        requests += header.type == WIRE_QUERY || header.type == WIRE_SYNC ||
                    header.type == WIRE_FUNCTION_CALL;
    }
    for (; out.length > 0; out.at += header.length, out.length -= header.length) {
        REQUIRE(wire_header(out, &header) == WIRE_MESSAGE && header.length <= out.length);
        ready += header.type == WIRE_READY_FOR_QUERY;
    }
    REQUIRE(ready <= requests);
}

static size_t hear(struct slice said, bool is_admin, size_t piece, struct bytes *out)
{
    struct world world = {.is_admin = is_admin};
    struct console *console = console_create(&events, &world, is_admin);
    enum console_verdict verdict = CONSOLE_WANTS_MORE;
    size_t used = 0, seen = 0;

    REQUIRE(console != NULL);
    while (verdict == CONSOLE_WANTS_MORE && seen < said.length) {
        seen = said.length - seen < piece ? said.length : seen + piece;
        do
            used +=
                console_bytes(console, (struct slice){said.at + used, seen - used}, out, &verdict);
        while (verdict == CONSOLE_GOES_ON);
    }
    REQUIRE(!out->failed);
    console_destroy(console);
    return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size < LONGEST ? size : LONGEST};
    bool is_admin = choose(&choices) % 2 == 0;
    size_t piece = 1 + choose(&choices) % 16, used;
    struct bytes said = {0}, whole = {0}, pieces = {0};

    while (choices.length > 0)
        add_message(&said, &choices);
    used = hear((struct slice){said.at, said.length}, is_admin, LONGEST * 64, &whole);
    check_answer((struct slice){said.at, used}, (struct slice){whole.at, whole.length});
    REQUIRE(hear((struct slice){said.at, said.length}, is_admin, piece, &pieces) == used);
    REQUIRE(whole.length == pieces.length);
    REQUIRE(whole.length == 0 || memcmp(whole.at, pieces.at, whole.length) == 0);
    bytes_free(&said);
    bytes_free(&whole);
    bytes_free(&pieces);
    return 0;
}
