/*
 * proxy/fronts/http/neon.h - POST and OPTIONS /sql, as Neon's proxy answers them.
 *
 *      {.path = "/sql", .methods = NEON_METHODS, .body_most = ..., .cors = true,
 *       .refuse = ..., .begin = ..., .drained = neon_drained, .gone = neon_gone}
 *
 *      refuse: neon_refuse(&worker->gate, exchange);
 *      begin:  neon_begin(&worker->gate, exchange);
 *
 *      begin --> who (a thread may have to check the password) --> errand --> answered
 *         `-- refused     `-- refused, or gone                       `-- too large, or gone:
 * canceled
 *
 * What is read of a request says ask.h, who may ask who.h, what is answered rows.h and
 * neon_result.h. One query runs as it is, in autocommit; queries, even one, are a transaction.
 *
 * It is Neon's in what its driver can see, and differs in this: Access-Control-Allow-Origin is as
 * cors_origins of [http] says, and not for everybody; who is refused too often is told 429, what is
 * too long 413 in the door's words; and an error of weir's own has a SQLSTATE as its code.
 *
 * The connection to PostgreSQL is given back before the answer is sent. A large one is sent as it is
 * taken, and chunked.
 *
 * Ownership: what a request needs hangs on its exchange, as its owner, until that has ended.
 */
#ifndef PROXY_FRONTS_HTTP_NEON_H
#define PROXY_FRONTS_HTTP_NEON_H

#include "proxy/fronts/http/exchange.h"
#include "proxy/fronts/http/gate.h"

/* All that HTTP knows: Neon says 400 to what is neither POST nor OPTIONS. */
#define NEON_METHODS                                                                               \
    (EXCHANGE_GET | EXCHANGE_POST | EXCHANGE_PUT | EXCHANGE_PATCH | EXCHANGE_DELETE |              \
     EXCHANGE_OPTIONS)

void neon_refuse(struct gate *gate, struct exchange *exchange);
void neon_begin(struct gate *gate, struct exchange *exchange);
void neon_drained(struct exchange *exchange);
void neon_gone(struct exchange *exchange);

#endif
