/*
 * proxy/fronts/postgres/subscriptions.h - what a client listens to without keeping a server.
 *
 *      used = subscriptions_pass(session, in, &plan);   instead of relay_from_client
 *      subscriptions_note(session, plan);               when its server has answered
 *      if (subscriptions_check(session)) ...            when its server owes nothing
 *
 * A LISTEN runs on the client's server as it was sent, so that every answer is PostgreSQL's.
 * But before it may go there, the hub listens to the channel (proxy/hub.h), and from then on
 * keeps for the client what is notified. When the transaction is over, the server is asked
 * what it listens to: that has been committed. Then it is told to listen no more, and from the
 * hub the client hears, whenever it is not in a transaction.
 *
 *      LISTEN seen --> hub listens --> runs --> its server is asked --> UNLISTEN *
 *
 * What cannot be had this way (LISTEN in a function, the hub's connection refused, too many
 * channels) is as it always was: the server that listens stays with its client.
 *
 * Ownership: a session has subscriptions from its first LISTEN on; subscriptions_end takes them.
 */
#ifndef PROXY_FRONTS_POSTGRES_SUBSCRIPTIONS_H
#define PROXY_FRONTS_POSTGRES_SUBSCRIPTIONS_H

#include "drivers/postgres/relay.h"
#include "proxy/hub.h"

struct session;

extern const struct hub_events subscriptions_events;

/* What relay_from_client would do, with the bytes that may go now. RELAY_WAITS also when some may
 * not: session_go_on comes from here. */
size_t subscriptions_pass(struct session *session, struct slice in,
                          struct relay_plan *plan) MUST_CHECK;

void subscriptions_note(struct session *session, const struct relay_plan *plan);

/* True: the server is being asked something by us. */
bool subscriptions_check(struct session *session) MUST_CHECK;

/* The client can be sent what it has not got yet, if this is the time. */
void subscriptions_deliver(struct session *session);

/* It has no server, and none of its LISTENs is under way. */
void subscriptions_rest(struct session *session);
void subscriptions_end(struct session *session);

#endif
