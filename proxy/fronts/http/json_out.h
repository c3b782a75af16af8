/*
 * proxy/fronts/http/json_out.h - JSON, written piece by piece behind what is there.
 *
 *      json_out_string(&out, name);                     "name", quotes included
 *
 *      struct json_out text;                           ...or as it comes
 *      json_out_begin_string(&text, &out);
 *      json_out_part(&text, part, &out);                as often as need be
 *      json_out_end(&text, &out);
 *
 * What comes out is valid UTF-8, whatever goes in: each byte that belongs to no character becomes
 * U+FFFD. A character may be cut between two parts; a json_out keeps the beginning of it. What
 * comes out does not depend on how the text was cut.
 *
 * Inline is for text that is JSON already: it is passed on as it is, except for the above, and
 * that line ends become blanks, so that it stays on its line (in JSON they are only ever blanks).
 *
 * Nothing here knows a locale, and nothing allocates but for the growth of out, which fails as
 * base/bytes.h says. Source: RFC 8259.
 */
#ifndef PROXY_FRONTS_HTTP_JSON_OUT_H
#define PROXY_FRONTS_HTTP_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/contract.h"

struct json_out {
    uint8_t kept[4]; /* of a character that is not whole yet */
    uint8_t kept_length;
    bool is_inline;
};

/* A whole string, with its quotes. */
void json_out_string(struct bytes *out, struct slice text);
/* A whole text that is JSON. */
void json_out_inline(struct bytes *out, struct slice text);

void json_out_begin_string(struct json_out *text, struct bytes *out);
void json_out_begin_inline(struct json_out *text);
void json_out_part(struct json_out *text, struct slice part, struct bytes *out);
void json_out_end(struct json_out *text, struct bytes *out);

/* Whether text is what JSON calls a number: "-1.5e+10", not "NaN", "+1", "01" or "". */
bool json_out_is_number(struct slice text) MUST_CHECK;

#endif
