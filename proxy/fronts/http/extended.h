/*
 * proxy/fronts/http/extended.h - a query and its parameters as messages of the extended protocol.
 *
 *      struct slice params[] = {SLICE("1"), {NULL, 0}};          the second is NULL; "" is
 * SLICE("") e = extended_add_query(&out, sql, params, 2);             ...and rows.h reads the
 * answer
 *
 * Parse, Bind, Describe (the portal), Execute, Sync, all unnamed: parameters and results in text
 * format, the parameters' types left to the server. How many a statement has the server knows, and
 * says so ("bind message supplies 0 parameters"). One Sync a query: what fails ends there.
 *
 * The extended protocol takes one statement at a time; "select 1; drop table t" is refused by the
 * server before anything is done.
 *
 * ERR_PROTOCOL: a zero byte in sql, which would end it early; more than EXTENDED_PARAMS_MOST
 * parameters; a message of more than PostgreSQL takes. Nothing is added then. PostgreSQL manual,
 * 55.2.3 "Extended Query".
 */
#ifndef PROXY_FRONTS_HTTP_EXTENDED_H
#define PROXY_FRONTS_HTTP_EXTENDED_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"

enum {
    EXTENDED_PARAMS_MOST = 65535,
    EXTENDED_MESSAGE_MOST = 0x3fffffff, /* 1 GB - 1 */
};

enum err extended_add_query(struct bytes *out, struct slice sql, const struct slice *params,
                            size_t count) MUST_CHECK;

#endif
