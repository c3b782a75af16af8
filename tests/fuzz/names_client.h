/*
 * tests/fuzz/names_client.h - a client of fuzz_names.c, and the messages it says.
 *
 *      say_bind(&client, "portal", "a");     goes to whoever serves it, and to a server of its own
 */
#ifndef TESTS_FUZZ_NAMES_CLIENT_H
#define TESTS_FUZZ_NAMES_CLIENT_H

#include "drivers/postgres/relay.h"
#include "names_model.h"

struct place;

struct client {
    struct bytes unsent, shown; /* not arrived yet; arrived, and not used by the relay */
    struct bytes got;           /* of a message that has not come to it whole */
    struct relay_sent sent;
    struct model own; /* its own server; what it says is what is still to come */
    struct place *place;
    uint8_t owner;         /* its texts say so */
    bool waits, held_back; /* for a server; until its server has answered */
    bool gone;
};

#define LONG_NAME "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"

static const char *const names[] = {
    "a",           "b", "c", "d", "weir_1", "weir_2", "weir_3",      LONG_NAME "x",
    LONG_NAME "y", "a", "b", "a", "b",      "c",      "x" LONG_NAME, "y" LONG_NAME,
};

/* Nothing is under way to it that it has not seen. */
static bool is_up_to_date(const struct client *client)
{
    return client->own.out.length == 0 && client->unsent.length == 0 && client->shown.length == 0;
}

static void say(struct client *client, uint8_t type, const void *body, size_t length)
{
    uint8_t header[MODEL_HEADER] = {type};

    bytes_put_u32(header + 1, (uint32_t)length + 4);
    bytes_add(&client->unsent, header, sizeof(header));
    bytes_add(&client->unsent, body, length);
    bytes_add(&client->own.in, header, sizeof(header));
    bytes_add(&client->own.in, body, length);
    model_step(&client->own);
    model_flush(&client->own); /* to be early is no mistake */
}

static void say_bind(struct client *client, const char *portal, const char *name)
{
    struct bytes body = {0};

    bytes_add(&body, portal, strlen(portal) + 1);
    bytes_add(&body, name, strlen(name) + 1);
    bytes_add(&body, "\0\0\0\0\0\0", 6);
    say(client, WIRE_BIND, body.at, body.length);
    bytes_free(&body);
}

static void say_about(struct client *client, uint8_t type, char what, const char *name)
{
    char body[80];

    snprintf(body, sizeof(body), "%c%s", what, name);
    say(client, type, body, strlen(body) + 1);
}

#endif
