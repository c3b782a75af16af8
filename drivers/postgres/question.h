/*
 * drivers/postgres/question.h - what weir asks a server about its own session.
 *
 *      question_write(question, kinds, state, &sql);   one query
 *      question_row(question, body);                   ... each DataRow of its answer
 *      all = question_settle(question, settings, authorization);
 *      if (question->found & STATE_LOCKS) ...
 *
 * The answer is the truth: settings becomes what it says, as far as can be. Every name in the query
 * is PostgreSQL's own, whatever the session's search_path is.
 *
 * Ownership: rows are copied, up to a limit, until the question is settled.
 */
#ifndef DRIVERS_POSTGRES_QUESTION_H
#define DRIVERS_POSTGRES_QUESTION_H

#include "drivers/postgres/following.h"
#include "drivers/postgres/state.h"

struct question {
    unsigned kinds;     /* asked about: bits of enum state_kind; 0: nothing is asked */
    unsigned found;     /* of those that are not settings */
    struct bytes facts; /* rows about settings, each behind its length */
    bool too_much;      /* there were more */
};

/* Adds the query, with a NUL. */
void question_write(struct question *question, unsigned kinds, const struct state *state,
                    struct bytes *sql);

void question_row(struct question *question, struct slice body);

/* All rows have come. authorization: who the server's user is by right. False: it has settings that
 * cannot be kept. */
bool question_settle(struct question *question, struct following *settings,
                     const char *authorization) MUST_CHECK;

void question_forget(struct question *question);

#endif
