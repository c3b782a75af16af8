/*
 * proxy/fronts/http/db.h - POST /db: many queries in one request, answered in its order.
 *
 *      {.path = "/db", .methods = EXCHANGE_POST, .needs_body = true, .refuse = refuse,
 *       .begin = begin, .drained = db_drained, .gone = db_gone}
 *
 *      where refuse and begin call db_refuse(gate, exchange) and db_begin(gate, exchange)
 *
 *      begin --> (a password is checked) --> let in --> reading --> RUNNING --> ended
 *                                                                     `--gone, out of memory-->
 * freed
 *
 * What may be asked says ask.h, how a result looks rows.h, what runs when schedule.h. Here they
 * come together, and two forms of answer are made:
 *
 *      {"results":[{"fields":[...],"rows":[...],"command":"SELECT","row_count":1},
 *                  {"error":{...}}],"errors":1}
 *      results in the order of the queries, whichever was first. Of the first that is not over
 *      what comes is passed on; those behind it gather theirs, all of it no more than max_bytes.
 *
 *      Accept: application/x-ndjson: lines as they come, each with its query's i, and at last
 *      {"end":{"errors":1}}. Without that line the answer is not whole.
 *
 * With mode transaction errors is followed by "committed":true, or false and, if it was COMMIT or
 * BEGIN that failed, "error":{...}. The status is 200 once anything has run; before that it
 * is that of what is wrong with the request, or of why there is no connection for it.
 *
 * Back-pressure: a query whose rows the client has not taken waits on the server, be it that
 * they would have to be kept here. Lines of several queries take turns; one in the middle of a
 * line that is too long to be kept has the floor until its end, and the others wait for that: its
 * server is telling a row, so it waits for nothing that they hold.
 *
 * {"redis": [...]} is answered as an error, 0A000: not yet.
 */
#ifndef PROXY_FRONTS_HTTP_DB_H
#define PROXY_FRONTS_HTTP_DB_H

#include "proxy/fronts/http/exchange.h"
#include "proxy/fronts/http/gate.h"

void db_refuse(struct gate *gate, struct exchange *exchange);
void db_begin(struct gate *gate, struct exchange *exchange);
void db_drained(struct exchange *exchange);
void db_gone(struct exchange *exchange);

#endif
