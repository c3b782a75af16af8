#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/http/parser.h"

TestSuite(http_parser, .fini = clean_end);

enum { HEAD_MOST = 8 * 1024, BODY_MOST = 32 };

static struct parser parser;
static char said[4096];

static const char *name_of(enum exchange_method method)
{
    return method == EXCHANGE_GET    ? "GET"
           : method == EXCHANGE_HEAD ? "HEAD"
           : method == EXCHANGE_POST ? "POST"
                                     : "other";
}

static size_t tell(char *to, const struct parser_request *request)
{
    const struct exchange_request *asked = &request->asked;

    return (size_t)sprintf(to, "%s %.*s%s%.*s%s%.*s%s; ", name_of(asked->method),
                           asked->path.length > 80 ? 80 : (int)asked->path.length, asked->path.at,
                           asked->query.at ? "?" : "", (int)asked->query.length, asked->query.at,
                           asked->has_body ? " = " : "", (int)asked->body.length, asked->body.at,
                           request->keep_alive ? "" : " close");
}

/* Tells in words what in means when it comes in pieces: "GET /a?x; POST /b = abc close; 400". */
static const char *meaning(const char *in, size_t length, size_t piece)
{
    struct slice rest = {(const uint8_t *)in, length};
    size_t written = 0;

    said[0] = '\0';
    parser_init(&parser, HEAD_MOST);
    while (rest.length > 0 && written < sizeof(said) - 256) {
        struct slice now = {rest.at, rest.length < piece ? rest.length : piece};
        struct parser_request request;
        size_t used;
        enum parser_result result = parser_read(&parser, now, &used, &request);

        cr_assert_leq(used, now.length);
        if (result == PARSER_HEAD && !parser_take_body(&parser, BODY_MOST)) {
            sprintf(said + written, "413 at once; ");
            break;
        }
        if (result == PARSER_REFUSED) {
            sprintf(said + written, "%d; ", request.status);
            break;
        }
        if (result == PARSER_REQUEST)
            written += tell(said + written, &request);
        if (result == PARSER_REQUEST && !request.keep_alive)
            break;
        if (result == PARSER_MORE)
            cr_assert_eq(used, now.length);
        rest.at += used;
        rest.length -= used;
    }
    parser_fini(&parser);
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
    {"GET http://host/a?b#c HTTP/1.1\r\n\r\nGET http://host HTTP/1.1\r\n\r\n", "GET /a?b; GET /; "},
    /* bodies */
    {"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "POST / = ; GET /b; "},
    {"POST / HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n", "POST /; GET /b; "},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\n",
     "POST / = abc; GET /b; "},
    {"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n \n\r\n GET /b HTTP/1.1\r\n\r\n",
     "POST / =  \n\r\n ; GET /b; "},
    {"POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "POST / = abc close; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST / = ; "},
    {"POST / HTTP/1.1\r\ntransfer-encoding: "
     "CHUNKED\r\n\r\n3\r\nabc\r\nA\r\n\n\n\n\n\n\n\n\n\n\n\r\n"
     "0\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
     "POST / = abc\n\n\n\n\n\n\n\n\n\n; GET /b; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0;c\r\nContent-Lengths: "
     "9"
     "\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\n\r\n",
     "POST / = abc; GET /b; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: "
     "b\r\ncontent-length: 9"
     "\r\n\r\n",
     "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
     "400; "},
    {"POST / HTTP/1.1\r\nContent-Length: 32\r\n\r\n01234567890123456789012345678901",
     "POST / = 01234567890123456789012345678901; "},
    {"POST / HTTP/1.1\r\nContent-Length: 33\r\n\r\n", "413 at once; "},
    {"POST / HTTP/1.1\r\nContent-Length: 2147483648\r\n\r\n", "413 at once; "},
    {"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n21\r\n012345678901234567890123456789012",
     "413; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n", "400; "},
    /* what others might understand differently */
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length: 3, 3\r\n\r\nabc", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length: 0x3\r\n\r\nabc", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length: 1 3\r\n\r\nabc", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length:\r\n\r\nabc", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc", "400; "},
    {"POST / HTTP/1.1\r\nContent-Length\r\n : 3\r\n\r\nabc", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
     "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n", "501; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", "501; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding:\x0b"
     "chunked\r\n\r\n",
     "400; "},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400; "},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400; "},
    {"GET / HTTP/1.1\r\nAuthorization: a\r\nauthorization: b\r\n\r\n", "400; "},
    {"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "400; "},
    {"GET / HTTP/1.1\r\nA: b\r\n\tc: d\r\n\r\n", "400; "},
    {"GET / HTTP/1.1\r\n A: b\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;\nabc\r\nabc\r\n0\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXY0\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n", "400; "},
    {"POST / HTTP/1.1\r\nExpect: a miracle\r\nContent-Length: 3\r\n\r\nabc", "417; "},
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
                             "row %zu, pieces of %zu: %s", i, piece, said);
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
    static const size_t pieces[] = {1, 100, HEAD_MOST, sizeof(in)};

    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        size_t fits = given_a_head_of(in, HEAD_MOST);

        cr_assert_str_eq(meaning(in, fits, pieces[i]), "GET /; ");
        fits = given_a_head_of(in, HEAD_MOST + 1);
        cr_assert_str_eq(meaning(in, fits, pieces[i]), "431; ");
        fits = given_a_head_of(in, 100 * 1024);
        cr_assert_str_eq(meaning(in, fits, pieces[i]), "431; ");
    }
}

Test(http_parser, the_limit_is_of_each_request_and_not_of_the_connection)
{
    static char in[4 * HEAD_MOST];

    for (size_t i = 0; i < 3; i++)
        given_a_head_of(in + i * HEAD_MOST, HEAD_MOST);
    cr_assert_str_eq(meaning(in, (size_t)3 * HEAD_MOST, sizeof(in)), "GET /; GET /; GET /; ");
}

Test(http_parser, a_target_has_a_limit)
{
    static char in[HEAD_MOST + PARSER_TARGET_MOST];
    size_t at = (size_t)sprintf(in, "GET ");

    memset(in + at, '/', sizeof(in) - at);
    cr_assert_str_eq(meaning(in, sizeof(in), sizeof(in)), "414; ");
    cr_assert_str_eq(meaning(in, sizeof(in), 7), "414; ");
}

/* ---- limits of a body's framing ------------------------------------------------------------ */

static const char chunked[] = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

static const char *with_filled(const char *before, size_t fill, const char *after, size_t piece)
{
    static char in[128 * 1024];
    size_t at = (size_t)sprintf(in, "%s%s", chunked, before);

    memset(in + at, 'e', fill);
    at += fill;
    at += (size_t)sprintf(in + at, "%s", after);
    return meaning(in, at, piece);
}

Test(http_parser, chunk_extensions_and_trailers_have_a_limit)
{
    static const size_t pieces[] = {1, 100, 128 * 1024};

    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        cr_assert_str_eq(with_filled("3;", 1000, "\r\nabc\r\n0\r\n\r\n", pieces[i]),
                         "POST / = abc; ");
        cr_assert_str_eq(with_filled("3;", 2000, "\r\nabc\r\n0\r\n\r\n", pieces[i]), "431; ");
        cr_assert_str_eq(with_filled("3\r\nabc\r\n0\r\nA: ", 900, "\r\n\r\n", pieces[i]),
                         "POST / = abc; ");
        cr_assert_str_eq(with_filled("3\r\nabc\r\n0\r\nA: ", 100 * 1024, "\r\n\r\n", pieces[i]),
                         "431; ");
    }
}

Test(http_parser, a_body_of_very_many_chunks_is_one_body)
{
    static char in[4096];
    size_t at = (size_t)sprintf(in, "%s", chunked);

    for (int i = 0; i < BODY_MOST; i++)
        at += (size_t)sprintf(in + at, "1;%060d\r\n%c\r\n", i, 'a' + i % 26);
    at += (size_t)sprintf(in + at, "0\r\n\r\n");
    for (size_t piece = 1; piece < 20; piece++)
        cr_assert_str_eq(meaning(in, at, piece), "POST / = abcdefghijklmnopqrstuvwxyzabcdef; ");
}

/* ---- headers ------------------------------------------------------------------------------- */

static void reads(const char *in, size_t piece)
{
    struct parser_request request;
    enum parser_result result = PARSER_MORE;
    struct slice rest = {(const uint8_t *)in, strlen(in)};
    size_t used;

    parser_init(&parser, HEAD_MOST);
    for (; result == PARSER_MORE; rest.at += used, rest.length -= used)
        result =
            parser_read(&parser, (struct slice){rest.at, rest.length < piece ? rest.length : piece},
                        &used, &request);
    cr_assert_eq(result, PARSER_REQUEST);
}

static void has(const char *name, const char *value)
{
    struct slice found = parser_header(&parser, name);

    cr_assert_not_null(found.at, "%s", name);
    cr_assert_eq(found.length, strlen(value), "%s", name);
    cr_assert_eq(memcmp(found.at, value, found.length), 0, "%s", name);
}

Test(http_parser, headers_are_found_whatever_the_case_of_their_names)
{
    static const char in[] = "GET / HTTP/1.1\r\nHost: h\r\nempty:\r\nX-Long:  a b\tc \t \r\n"
                             "x-twice: 1\r\nX-Twice: 2\r\n\r\n";

    for (size_t piece = 1; piece < sizeof(in); piece++) {
        reads(in, piece);
        has("host", "h");
        has("Empty", "");
        has("X-LONG", "a b\tc");
        has("X-Twice", "1");
        cr_assert_null(parser_header(&parser, "X-Lon").at);
        cr_assert_null(parser_header(&parser, "X-Longer").at);
        parser_fini(&parser);
    }
}

Test(http_parser, headers_have_a_limit_in_number)
{
    static char in[HEAD_MOST];
    size_t at = (size_t)sprintf(in, "GET / HTTP/1.1\r\n");

    for (int i = 0; i < PARSER_HEADERS_MOST; i++)
        at += (size_t)sprintf(in + at, "A: b\r\n");
    sprintf(in + at, "\r\n");
    cr_assert_str_eq(meaning(in, strlen(in), 9), "GET /; ");
    sprintf(in + at, "A: b\r\n\r\n");
    cr_assert_str_eq(meaning(in, strlen(in), 9), "431; ");
}

Test(http_parser, who_is_forgotten_leaves_nothing_behind)
{
    reads("GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n", 100);
    parser_forget(&parser, 0);
    cr_assert_null(parser_header(&parser, "Host").at);
    cr_assert_eq(parser.text.capacity, 0);
    parser_fini(&parser);
}
