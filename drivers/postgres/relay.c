#include "drivers/postgres/relay_repeat.h"
#include "drivers/postgres/relay_steps.h"

#include <stddef.h>

static void begin(struct relay *relay)
{
    memset(relay, 0, offsetof(struct relay, names));
    relay->status = 'I';
    relay->nobody = true;
    state_init(&relay->state);
}

void relay_init(struct relay *relay, struct statement_set *statements, size_t most)
{
    begin(relay);
    relay->names = (struct relay_names){.set = statements, .most = most};
}

void relay_renew(struct relay *relay)
{
    REQUIRE(relay->names.count == 0);
    begin(relay);
}

void relay_fini(struct relay *relay)
{
    relay_steps_drop(relay, relay->names.count);
    statement_names_clear(&relay->names.on_server);
}

bool relay_owes(const struct relay *relay)
{
    return relay->owed.length > 0 || relay->remaining > 0;
}

bool relay_is_settled(const struct relay *relay, const struct relay_sent *sent)
{
    return relay->owed.length == 0 && relay->remaining == 0 && relay->status == 'I' &&
           relay->copy == 0 && !relay_repeat_holds(relay) && !relay->skipping && !relay->unsynced &&
           !relay->in_batch && (sent == NULL || !relay_is_half_sent(sent));
}

bool relay_is_half_sent(const struct relay_sent *sent)
{
    return sent->remaining > 0 && !sent->swallow;
}

void relay_attach(struct relay *relay, struct relay_sent *client)
{
    REQUIRE(relay_is_settled(relay, NULL) && relay->pinned == 0);
    REQUIRE(!relay->tainted && !relay->dying);
    relay->nobody = relay->by_statement = false;
    relay->listening = (struct relay_listening){0};
    relay->client = client;
    relay->record.state = 0;
    relay->names.unnamed = relay->names.unbound = false;
    state_init(&relay->state); /* what a free server reports is nobody's SET */
}

void relay_detach(struct relay *relay)
{
    relay->nobody = true;
    relay->client = NULL;
}

void relay_ask_sync(struct relay *relay, struct bytes *out)
{
    wire_add_bare(out, WIRE_SYNC);
    relay->skipping = relay->unsynced = false;
    owed_push(&relay->owed, OWED_SYNC | OWED_OURS);
}

void relay_ask_query(struct relay *relay, const char *sql, struct bytes *out)
{
    REQUIRE(relay->owed.length == 0 && !relay->unsynced && !relay->skipping);
    wire_add_query(out, (struct slice){(const uint8_t *)sql, strlen(sql)});
    owed_push(&relay->owed, OWED_QUERY | OWED_OURS);
}

void relay_ask_question(struct relay *relay, const char *sql, struct bytes *out)
{
    relay_ask_query(relay, sql, out);
    relay->question = true;
    relay->unanswered = false;
}

bool relay_abandon(struct relay *relay, const struct relay_sent *sent, struct bytes *out)
{
    bool half = relay_is_half_sent(sent);

    relay_detach(relay);
    relay->swallow = true;
    if (half || relay->tainted || relay->dying || relay->copy == WIRE_COPY_BOTH_RESPONSE)
        return false;
    if (relay->pinned & 1u << RELAY_PIN_REPLICATION)
        return false;
    if (relay->owed.length >= OWED_MOST - 3)
        return false;
    if (relay->copy == WIRE_COPY_IN_RESPONSE && !owed_holds(&relay->owed, OWED_COPY_END)) {
        wire_add_copy_fail(out, "the client has gone");
        owed_push(&relay->owed, OWED_COPY_END);
    }
    if (relay->unsynced && !relay->skipping) { /* a Sync alone would commit it */
        wire_add_query(out, SLICE("ROLLBACK"));
        owed_push(&relay->owed, OWED_QUERY | OWED_OURS);
    }
    if (relay->unsynced || relay->skipping || owed_ends_in_batch(&relay->owed))
        relay_ask_sync(relay, out); /* ... and where the batch fails, only that ends it */
    return true;
}
