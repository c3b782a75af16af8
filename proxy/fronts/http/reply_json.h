/*
 * proxy/fronts/http/reply_json.h - a reply of Redis as JSON, streamed.
 *
 *      reply_json_begin(&json, REPLY_JSON_BASE64);              once a reply
 *      switch (reply_json_read(&json, in, &used, &out)) {       in: what came
 *      case RESP_MORE:     used bytes of in are done with, their JSON is behind out
 *      case RESP_WHOLE:    ... and the reply ends there; json.is_error: what it was
 *      case RESP_BROKEN:   this is no reply in RESP2, or lists are nested too deeply
 *      }
 *
 *      $5 hello    {"result":"hello"}          *2 $1 a $-1    {"result":["a",null]}
 *      :12         {"result":12}               -ERR no        {"error":"ERR no"}
 *
 * As Upstash answers: with REPLY_JSON_BASE64 each string is base64, those in lists too, but for
 * one that is OK, which goes as it is. The error a reply consists of is never encoded. One within
 * a list is a string like the others there, since clients decode them all.
 * With REPLY_JSON_EACH, the elements of a list are answers of their own, for EXEC:
 *
 *      *2 :1 -ERR no      [{"result":1},{"error":"ERR no"}]
 *
 * and if it is no list, then it is as above. Nothing is gathered: values of any length go out as
 * they come. What comes out does not depend on how what came was cut.
 *
 * Where replies end is what drivers/redis/resp.h says. Source: docs "Upstash REST API";
 * captured from @upstash/redis 1.39.0.
 */
#ifndef PROXY_FRONTS_HTTP_REPLY_JSON_H
#define PROXY_FRONTS_HTTP_REPLY_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "drivers/redis/resp.h"
#include "proxy/fronts/http/json_out.h"

enum { REPLY_JSON_DEEPEST = 256 };

enum reply_json_form { REPLY_JSON_BASE64 = 1 << 0, REPLY_JSON_EACH = 1 << 1 };

struct reply_json {
    struct resp resp;
    unsigned form;
    bool is_error;     /* the reply as a whole: known from its first byte on */
    bool is_list;      /* the same */
    bool is_begun;     /* its first byte was seen */
    bool is_encoding;  /* the text that comes: base64 */
    bool has_returned; /* a line has had its CR, which may not be the end */
    uint8_t text;      /* reply_json.c: enum text */
    uint8_t kept[3];   /* what is not enough for base64 yet */
    uint8_t kept_length;
    bool has_emitted; /* any base64 of this text */
    struct json_out plain;
    uint64_t left;                     /* bytes to come of a bulk, without its CR LF */
    uint32_t depth;                    /* lists that are open */
    uint64_t open[REPLY_JSON_DEEPEST]; /* elements to come, of each */
};

void reply_json_begin(struct reply_json *json, unsigned form);

enum resp_found reply_json_read(struct reply_json *json, struct slice in, size_t *used,
                                struct bytes *out) MUST_CHECK;

/* Bytes as base64, as a JSON string without its quotes needs them. */
void reply_json_encode(struct slice bytes, struct bytes *out);

#endif
