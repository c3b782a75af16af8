#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/http/parser.h"

TestSuite(http_parser, .fini = clean_end);

static struct parser parser;
static char said[4096];

/* Tells in words what in means when it comes in pieces: "GET /a; HEAD /b close; 400". */
static const char *meaning(const char *in, size_t length, size_t piece)
{
    struct slice rest = {(const uint8_t *)in, length};
    size_t written = 0;

    said[0] = '\0';
    parser_init(&parser);
    while (rest.length > 0 && written < sizeof(said) - 128) {
        static const char *const methods[] = {"GET", "HEAD", "other"};
        struct slice now = {rest.at, rest.length < piece ? rest.length : piece};
        struct parser_request request;
        size_t used;
        enum parser_result result = parser_read(&parser, now, &used, &request);

        cr_assert_leq(used, now.length);
        if (result == PARSER_REFUSED) {
            sprintf(said + written, "%d; ", request.status);
            break;
        }
        if (result == PARSER_REQUEST)
            written += (size_t)sprintf(said + written, "%s %.80s%s%s; ", methods[request.method],
                                       request.target, request.has_body ? " body" : "",
                                       request.keep_alive ? "" : " close");
        if (result == PARSER_REQUEST && !request.keep_alive)
            break;
        if (result == PARSER_MORE)
            cr_assert_eq(used, now.length);
        rest.at += used;
        rest.length -= used;
    }
    return said;
}

static const struct {
    const char *in, *meaning;
} table[] = {
    {"GET / HTTP/1.1\r\n\r\n", "GET /; "},
    {"GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\nHEAD /b HTTP/1.1\r\n\r\n", "GET /a?b=c; HEAD /b; "},
    {"\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET /; "},
    {"GET / HTTP/1.0\r\n\r\n", "GET / close; "},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /; "},
    {"GET / HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n", "GET / close; "},
    {"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
     "GET /; GET /b; "},
    {"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "other /; GET /b; "},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "other / body close; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "other / body close; "},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400; "},
    {"GET / HTTP/1.1\nHost: h\r\n\r\n", "400; "},
    {"GET / HTTP/1.1\r\nHost: h\n\r\n", "400; "},
    {"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\n", "GET /a; 400; "},
    {"\nGET / HTTP/1.1\r\n\r\n", "400; "},
    {"GET / HTTP/2.0\r\n\r\n", "505; "},
    {"get / HTTP/1.1\r\n\r\n", "400; "},
    {"GET / HTTP/1.1\r\nno colon\r\n\r\n", "400; "},
    {"\x16\x03\x01\x02 a TLS hello", "400; "},
    {"GET / HTTP/1.1\r\nHost: not complete", ""},
};

Test(http_parser, what_is_said_does_not_depend_on_the_pieces_it_comes_in)
{
    for (size_t i = 0; i < COUNT_OF(table); i++)
        for (size_t piece = 1; piece <= strlen(table[i].in); piece++)
            cr_assert_str_eq(meaning(table[i].in, strlen(table[i].in), piece), table[i].meaning,
                             "row %zu, pieces of %zu", i, piece);
}

/* A request whose head is so long altogether. */
static size_t given_a_head_of(char *to, size_t length)
{
    size_t at = (size_t)sprintf(to, "GET / HTTP/1.1\r\nA: ");

    memset(to + at, 'a', length - at - 4);
    memcpy(to + length - 4, "\r\n\r\n", 5);
    return length;
}

Test(http_parser, a_head_has_a_limit_to_the_byte)
{
    static char in[128 * 1024];
    static const size_t pieces[] = {1, 100, PARSER_HEAD_MOST, sizeof(in)};

    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        size_t fits = given_a_head_of(in, PARSER_HEAD_MOST);

        cr_assert_str_eq(meaning(in, fits, pieces[i]), "GET /; ");
        fits = given_a_head_of(in, PARSER_HEAD_MOST + 1);
        cr_assert_str_eq(meaning(in, fits, pieces[i]), "431; ");
        fits = given_a_head_of(in, 100 * 1024);
        cr_assert_str_eq(meaning(in, fits, pieces[i]), "431; ");
    }
}

Test(http_parser, the_limit_is_of_each_request_and_not_of_the_connection)
{
    static char in[4 * PARSER_HEAD_MOST];

    for (size_t i = 0; i < 3; i++)
        given_a_head_of(in + i * PARSER_HEAD_MOST, PARSER_HEAD_MOST);
    cr_assert_str_eq(meaning(in, (size_t)3 * PARSER_HEAD_MOST, sizeof(in)),
                     "GET /; GET /; GET /; ");
}

Test(http_parser, a_target_has_a_limit)
{
    static char in[2 * PARSER_TARGET_MOST];
    size_t at = (size_t)sprintf(in, "GET ");

    memset(in + at, '/', sizeof(in) - at);
    cr_assert_str_eq(meaning(in, sizeof(in), sizeof(in)), "414; ");
    cr_assert_str_eq(meaning(in, sizeof(in), 7), "414; ");
}
