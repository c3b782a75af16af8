/*
 * Whatever comes, in whatever pieces, means the same: the first byte is how long a piece
 * is, the rest is what comes. Only the status of a refusal may differ, where two things
 * are wrong at once: the pieces decide which is seen first. Every other input begins like a
 * request, so that inputs made at random get further than its first letter.
 */
#include <string.h>

#include "fuzz.h"
#include "proxy/fronts/http/parser.h"

enum { MOST_RESULTS = 64, MOST_INPUT = 16 * 1024, REFUSED = -1 };

struct outcome {
    size_t count;
    int results[MOST_RESULTS];
};

static struct outcome outcome_of(struct slice in, size_t piece)
{
    struct parser parser;
    struct parser_request request = {.keep_alive = true};
    struct outcome outcome = {0};

    parser_init(&parser);
    while (in.length > 0 && outcome.count < MOST_RESULTS && request.keep_alive) {
        struct slice now = {in.at, in.length < piece ? in.length : piece};
        size_t used;
        enum parser_result result = parser_read(&parser, now, &used, &request);

        REQUIRE(used <= now.length);
        REQUIRE(result != PARSER_MORE || used == now.length);
        REQUIRE(result == PARSER_MORE || strlen(request.target) <= PARSER_TARGET_MOST);
        if (result == PARSER_REFUSED)
            REQUIRE(request.status >= 400 && !request.keep_alive);
        if (result != PARSER_MORE)
            outcome.results[outcome.count++] =
                result == PARSER_REFUSED ? REFUSED : (int)request.method;
        in.at += used;
        in.length -= used;
    }
    return outcome;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char begin[] = "GET / HTTP/1.1\r\n\r\nPOST /a HTTP/1.1\r\nContent-Length: ";
    static uint8_t in[MOST_INPUT + sizeof(begin)];
    size_t length = 0;
    struct outcome whole, pieces;

    if (size < 2 || size > MOST_INPUT)
        return 0;
    if (data[0] % 2) {
        length = data[1] % sizeof(begin);
        memcpy(in, begin, length);
    }
    memcpy(in + length, data + 2, size - 2);
    length += size - 2;

    whole = outcome_of((struct slice){in, length}, length > 0 ? length : 1);
    pieces = outcome_of((struct slice){in, length}, 1 + data[0] / 2);
    REQUIRE(memcmp(&whole, &pieces, sizeof(whole)) == 0);
    return 0;
}
