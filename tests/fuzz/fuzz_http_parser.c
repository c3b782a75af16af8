/*
 * Whatever comes, in whatever pieces, means the same: the first byte is how long a piece
 * is, the second what stands before the rest. Only the status of a refusal may differ, where two
 * things are wrong at once: the pieces decide which is seen first. Two of three inputs begin like
 * a request, so that inputs made at random get further than its first letter.
 *
 * And a body is the same, whether its length is announced or it comes in chunks.
 */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "proxy/fronts/http/parser.h"

enum {
    MOST_RESULTS = 64,
    MOST_INPUT = 16 * 1024,
    MOST_CHUNKED = 16 * MOST_INPUT,
    HEAD_MOST = 4 * 1024,
    BODY_MOST = 4 * 1024,
    REFUSED = -1
};

struct outcome {
    size_t count;
    int results[MOST_RESULTS];
    uint64_t seen; /* what requests said, folded */
};

static void fold(struct outcome *outcome, struct slice what)
{
    for (size_t i = 0; i < what.length; i++)
        outcome->seen = (outcome->seen ^ what.at[i]) * 1099511628211u;
    outcome->seen = (outcome->seen ^ what.length) * 1099511628211u;
}

static void note(struct outcome *outcome, enum parser_result result, const struct parser *parser,
                 const struct parser_request *request)
{
    const struct exchange_request *asked = &request->asked;

    if (result == PARSER_MORE || result == PARSER_HEAD)
        return;
    outcome->results[outcome->count++] = result == PARSER_REFUSED ? REFUSED : (int)asked->method;
    if (result == PARSER_REFUSED) {
        REQUIRE(request->status >= 400 && !request->keep_alive);
        return;
    }
    REQUIRE(asked->path.length + asked->query.length <= PARSER_TARGET_MOST);
    REQUIRE(asked->body.length <= BODY_MOST);
    REQUIRE(parser->text.length <= HEAD_MOST);
    fold(outcome, asked->path);
    fold(outcome, asked->query);
    fold(outcome, asked->body);
    fold(outcome, parser_header(parser, "Host"));
    fold(outcome, parser_header(parser, "A"));
}

static struct outcome outcome_of(struct slice in, size_t piece)
{
    struct parser parser;
    struct parser_request request = {.keep_alive = true};
    struct outcome outcome = {.seen = 14695981039346656037u};

    parser_init(&parser, HEAD_MOST);
    while (in.length > 0 && outcome.count < MOST_RESULTS && request.keep_alive) {
        struct slice now = {in.at, in.length < piece ? in.length : piece};
        size_t used;
        enum parser_result result = parser_read(&parser, now, &used, &request);

        REQUIRE(used <= now.length);
        REQUIRE(result != PARSER_MORE || used == now.length);
        if (result == PARSER_HEAD && !parser_take_body(&parser, BODY_MOST)) {
            outcome.results[outcome.count++] = REFUSED;
            break;
        }
        if (result == PARSER_MORE || result == PARSER_HEAD)
            request.keep_alive = true;
        note(&outcome, result, &parser, &request);
        in.at += used;
        in.length -= used;
    }
    parser_fini(&parser);
    return outcome;
}

static void means_the_same_in_pieces(struct slice in, size_t piece)
{
    struct outcome whole = outcome_of(in, in.length > 0 ? in.length : 1);
    struct outcome pieces = outcome_of(in, piece);

    REQUIRE(memcmp(&whole, &pieces, sizeof(whole)) == 0);
}

/* The same body twice, the second time in chunks whose sizes are bytes of the body. */
static void means_the_same_in_chunks(struct slice body, size_t piece)
{
    static char announced[MOST_INPUT + 256], chunked[MOST_CHUNKED];
    static const char next[] = "GET /next HTTP/1.1\r\n\r\n";
    int length = sprintf(announced, "POST /a HTTP/1.1\r\nContent-Length: %zu\r\n\r\n", body.length);
    int at = sprintf(chunked, "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    struct outcome one, other;

    memcpy(announced + length, body.at, body.length);
    memcpy(announced + length + body.length, next, sizeof(next) - 1);
    for (size_t done = 0, size; done < body.length; done += size) {
        size = 1 + body.at[done] % 64;
        if (size > body.length - done)
            size = body.length - done;
        at += sprintf(chunked + at, size % 2 ? "%zx\r\n" : "%zX;a=b\r\n", size);
        memcpy(chunked + at, body.at + done, size);
        at += (int)size;
        at += sprintf(chunked + at, "\r\n");
    }
    at += sprintf(chunked + at, "0\r\n%s\r\n%s", body.length % 2 ? "A: b\r\n" : "", next);
    one = outcome_of(
        (struct slice){(uint8_t *)announced, (size_t)length + body.length + sizeof(next) - 1},
        piece);
    other = outcome_of((struct slice){(uint8_t *)chunked, (size_t)at}, piece);
    REQUIRE(memcmp(&one, &other, sizeof(one)) == 0);
    REQUIRE(one.count == (body.length > BODY_MOST ? 1 : 2));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const begins[] = {
        "GET / HTTP/1.1\r\n\r\nPOST /a HTTP/1.1\r\nA: b\r\nContent-Length: 12\r\n\r\n",
        "POST /a?b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
        "chunked\r\n\r\n3\r\nabc\r\n1;d=e\r\nf\r\n0"
        "\r\nB: c\r\n\r\n"};
    static uint8_t in[MOST_INPUT + 256];
    size_t length = 0, piece, begin;

    if (size < 2 || size > MOST_INPUT)
        return 0;
    piece = 1 + data[0] / 2;
    begin = data[0] % 3;
    if (begin > 0) {
        length = data[1] % (strlen(begins[begin - 1]) + 1);
        memcpy(in, begins[begin - 1], length);
    }
    memcpy(in + length, data + 2, size - 2);
    length += size - 2;
    means_the_same_in_pieces((struct slice){in, length}, piece);
    means_the_same_in_chunks((struct slice){data + 2, size - 2}, piece);
    return 0;
}
