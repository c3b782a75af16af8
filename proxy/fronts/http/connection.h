/*
 * proxy/fronts/http/connection.h - the life of a connection, and of the requests that come by it.
 *
 *      connection_open(connection);               somebody waits at the listener
 *      connection_overdue(connection);            it has been in its state for too long
 *      connection_send(connection, slices, n);    for the answer; see answer.h
 *      connection_answered(connection, last);
 *
 * The states and what they mean are in http.h; the table of them, with their deadlines, is in
 * connection.c.
 */
#ifndef PROXY_FRONTS_HTTP_CONNECTION_H
#define PROXY_FRONTS_HTTP_CONNECTION_H

#include "proxy/fronts/http/http.h"

/* How long a connection may stay in a state; 0: for ever. */
uint64_t connection_timeout(const struct http *http, enum http_state state);

/* Takes who waits at the listener into a vacant connection. */
void connection_open(struct http_connection *connection);

/* Answers with that status and closes. */
void connection_refuse(struct http_connection *connection, int status);
/* The timer has come to it: ends it, unless its peer goes on. */
void connection_overdue(struct http_connection *connection);
void connection_break(struct http_connection *connection);

void connection_send(struct http_connection *connection, const struct slice *slices, size_t count);
/* It has something to do at the end of the turn, which is connection_settle. */
void connection_stir(struct http_connection *connection);
void connection_settle(struct http_connection *connection);
/* Its exchange has ended, and the answer was sent, which is_last of the connection. */
void connection_answered(struct http_connection *connection, bool is_last);

/* For http.c: the next that is vacant, or NULL; all exchanges that are kept are freed. */
struct http_connection *connection_vacant(struct http *http);
void connection_free_spare(struct http *http);

#endif
