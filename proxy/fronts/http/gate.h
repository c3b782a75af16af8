/*
 * proxy/fronts/http/gate.h - lets a request in, or answers it; and what one that is in may use.
 *
 *      refuse:  gate_refuse(gate, exchange, &asks, NULL);
 *      begin:   gate_open(gate, exchange, &asks, &events);
 *               events.let_in(exchange, &answer)     within it, or later when a password was
 * checked gone:    gate_forget(gate, exchange); let_in:  e = gate_find_place(gate, &answer,
 * database, &place);
 *
 *      begin --> (waits for a thread) --> let_in, or refused: the exchange has ended then
 *                        `--gone--> gate_forget
 *
 * It decides nothing, that is who.h; it carries the check of a password to a thread and back,
 * and words the refusal. The handler has its own words in events.refused, for which
 * gate_add_headers has what belongs to them; without it they are {"error":"..."}.
 *
 * Of the headers and the peer who_asks is filled by gate_ask. Whoever waits keeps its exchange,
 * and its owner is the handler's own all the time; the queue is the offload's, with its limit.
 *
 * Ownership: answer is lent for the call, save for what who.h says is the configuration's.
 */
#ifndef PROXY_FRONTS_HTTP_GATE_H
#define PROXY_FRONTS_HTTP_GATE_H

#include "base/err.h"
#include "base/list.h"
#include "drivers/offload.h"
#include "proxy/config.h"
#include "proxy/fronts/http/errand.h"
#include "proxy/fronts/http/exchange.h"
#include "proxy/fronts/http/who.h"
#include "proxy/terms.h"

struct gate_events {
    void (*let_in)(struct exchange *exchange, const struct who_answer *answer);
    /* Optional; ends the exchange. */
    void (*refused)(struct exchange *exchange, const struct who_answer *answer);
};

/* What a handler needs of its worker; all lent. */
struct gate {
    const struct config *config;
    struct who *who;
    struct offload *hashing;
    struct terms *terms;
    struct errand_home *errands;
    struct list waiting; /* for a thread */
};

void gate_init(struct gate *gate);

/* What every request says of itself: headers and peer. The rest is the handler's to add. */
struct who_asks gate_ask(const struct exchange *exchange, enum who_door door);

/* Answers a request that is refused whatever its body says; true: it did. */
bool gate_refuse(struct gate *gate, struct exchange *exchange, const struct who_asks *asks,
                 const struct gate_events *events);

/* events is lent until one of them was called, or gate_forget. */
void gate_open(struct gate *gate, struct exchange *exchange, const struct who_asks *asks,
               const struct gate_events *events);

/* The client is gone: no event comes any more. Of one that waits for nothing, nothing happens. */
void gate_forget(struct gate *gate, struct exchange *exchange);

/* Whether any page in a browser of this machine may have sent it, and proved nothing: a picture's
 * address is fetched by GET without Origin. Nothing that does anything is for such a request. */
bool gate_is_anyones_link(const struct exchange *exchange, const struct who_answer *answer);

/* WWW-Authenticate and Retry-After, as the refusal has them. */
void gate_add_headers(struct exchange *exchange, const struct who_answer *answer);

/* Where queries for that database run; one of length 0 is who_answer's own. ERR_NO_ENTRY: not for
 * this one. ERR_NO_DATABASE: no such, or none was said. ERR_NO_MEMORY. */
enum err gate_find_place(struct gate *gate, const struct who_answer *answer, struct slice database,
                         struct broker_place **place) MUST_CHECK;

#endif
