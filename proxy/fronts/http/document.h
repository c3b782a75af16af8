/*
 * proxy/fronts/http/document.h - a JSON body, read by jansson, with its numbers as written.
 *
 *      struct document document = {0};
 *      if (document_read(&document, body, why) != ERR_OK) ...      why: "'}' expected, line 1"
 *      value = json_object_get(document.root, "limit");
 *      number = document_number(&document, value);                 "1.50", as it came
 *      text = document_text(&document, value);                     what PostgreSQL is sent
 *      document_free(&document);
 *
 * jansson makes a double of 1.50, and an error of 12345678901234567890. What is a parameter
 * here is a numeric there, and must not lose a digit. So jansson is shown, in place of each
 * number, where that number stands in the body: a json_integer is a place, and nothing else.
 *
 * What comes is refused unless it is one JSON value, of valid UTF-8, of DOCUMENT_DEEPEST
 * levels and DOCUMENT_MOST_VALUES values at most, and no object has a key twice. RFC 8259.
 *
 * Ownership: one document_free for all, also after a failure. Slices given are lent until
 * then, and so is the body to document_read.
 */
#ifndef PROXY_FRONTS_HTTP_DOCUMENT_H
#define PROXY_FRONTS_HTTP_DOCUMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"

enum {
    DOCUMENT_DEEPEST = 64,
    DOCUMENT_MOST_VALUES = 1000 * 1000, /* each takes a hundred bytes, be it written in two */
    DOCUMENT_WHY = 240,
};

struct document_chunk;

struct document {
    json_t *root; /* NULL: nothing was read */
    struct slice body;
    struct document_chunk *chunks; /* what document_room gave */
};

/* ERR_PROTOCOL and why; ERR_NO_MEMORY, which has no why. */
enum err document_read(struct document *document, struct slice body,
                       char why[DOCUMENT_WHY]) MUST_CHECK;
void document_free(struct document *document);

/* Memory until document_free, all zero and aligned for anything; NULL: there is none. */
void *document_room(struct document *document, size_t size) MUST_CHECK;

/* Copies it there; its at is NULL when there is no memory. */
struct slice document_copy(struct document *document, struct slice text) MUST_CHECK;

/* The number as it was written; value is a json_integer of this document. */
struct slice document_number(const struct document *document, const json_t *value);

/* Gives a value as PostgreSQL takes it for a text parameter: strings, numbers and booleans as
 * they are, objects as JSON, arrays as array literals, with the quotes of those: {"a",NULL}.
 * NULL is at = NULL. ERR_NO_MEMORY. */
enum err document_text(struct document *document, json_t *value, struct slice *text) MUST_CHECK;

/* Adds text as a JSON string, quotes and all; what is not UTF-8 becomes U+FFFD. */
void document_quote(struct slice text, struct bytes *out);

/* What a value is, for people: "a number", "an object". */
const char *document_kind(const json_t *value);

#endif
