/*
 * proxy/fronts/http/neon_result.h - what /sql answers: results in, the body and its status out.
 *
 *      neon_result_begin(&result, &ask);
 *      if (!neon_result_take(&result, i, bytes)) ...        what else comes is of no use to anybody
 *      neon_result_over(&result, i, &end);
 *      neon_result_finish(&result);                          now result.status and result.out
 *      neon_result_fini(&result);
 *
 * Neon answers with all results or with one error, so nothing can be sent before the end, and out
 * holds everything: up to ask.max_bytes, from where on it is 507. The first thing that goes wrong
 * is the answer; whatever comes after it is not looked at.
 *
 *      GOING --> FAILING (the server's error comes) --> FAILED
 *        `--> WELL        `----------------------------^
 *
 * A batch is WELL when its COMMIT was: an error of a deferred constraint comes with that.
 *
 * Statuses are those of Neon's proxy (its sql_over_http.rs): 200; 400 for what the server says and
 * what is wrong with the request; 507; 500 for all that weir could not do, with its SQLSTATE as
 * code.
 *
 * Pure: no socket, no clock. The ask is lent until fini.
 */
#ifndef PROXY_FRONTS_HTTP_NEON_RESULT_H
#define PROXY_FRONTS_HTTP_NEON_RESULT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "proxy/fronts/http/ask.h"
#include "proxy/fronts/http/errand.h"
#include "proxy/fronts/http/rows.h"

enum neon_result_state {
    NEON_RESULT_GOING,
    NEON_RESULT_FAILING,
    NEON_RESULT_WELL,
    NEON_RESULT_FAILED,
};

/* All zero before begin. */
struct neon_result {
    const struct ask *ask;
    enum neon_result_state state;
    int status; /* of the answer, when it is WELL or FAILED */
    struct rows rows;
    struct bytes out; /* failed: there was no memory for it */
    size_t index;     /* of the query that is being answered */
    bool is_telling;  /* ... and some of its answer has come */
    bool is_whole;    /* ... and all of it */
};

void neon_result_begin(struct neon_result *result, const struct ask *ask);
void neon_result_fini(struct neon_result *result);

/* The server's messages, as errand.h gives them. False: it is FAILED, and the rest is not wanted.
 */
bool neon_result_take(struct neon_result *result, size_t index, struct slice in) MUST_CHECK;
void neon_result_over(struct neon_result *result, size_t index, const struct errand_end *end);
/* Nothing comes any more. */
void neon_result_finish(struct neon_result *result);

/* The status that Neon's users see for an error of weir's. */
int neon_result_status_of(enum err e);

#endif
