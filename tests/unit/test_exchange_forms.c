#include <zlib.h>

#include "http_handlers.h"
#include "proxy/fronts/http/route.h"

TestSuite(exchange_forms, .init = set_up, .fini = clean_up);
TestSuite(route, .fini = clean_end);

/* ---- gzip -------------------------------------------------------------------------------- */

/* Unpacks length bytes at heard + from; how many come out is in got. */
static char *unpacked(const uint8_t *at, size_t length, size_t *got)
{
    char *to = malloc(BIG);
    z_stream machine = {.next_in = (Bytef *)at, .avail_in = (uInt)length};

    cr_assert_eq(inflateInit2(&machine, 15 + 16), Z_OK);
    machine.next_out = (Bytef *)to;
    machine.avail_out = BIG;
    cr_assert_eq(inflate(&machine, Z_FINISH), Z_STREAM_END);
    *got = BIG - machine.avail_out;
    inflateEnd(&machine);
    return to;
}

Test(exchange_forms, a_large_answer_is_compressed_for_those_who_take_that)
{
    static char body[50000];
    static const struct {
        const char *accepts, *type;
        size_t length;
        bool is_small;
    } table[] = {
        {"gzip", "application/json", sizeof(body), true},
        {"br, gzip;q=0.5", "text/plain", sizeof(body), true},
        {"GZIP", "text/plain", sizeof(body), true},
        {"gzip", "text/plain", 4095, false},
        {"gzip;q=0.0", "text/plain", sizeof(body), false},
        {"br", "text/plain", sizeof(body), false},
        {"gzip", "image/png", sizeof(body), false},
        {"gzip", "text/event-stream", sizeof(body), false},
    };

    given_a_door();
    for (size_t i = 0; i < sizeof(body); i++)
        body[i] = (char)('a' + i % 17);
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char request[200];
        int fd;

        held = NULL;
        sprintf(request, "GET /held HTTP/1.1\r\nAccept-Encoding: %s\r\nConnection: close\r\n\r\n",
                table[i].accepts);
        fd = who_asks(request);
        exchange_answer(held, 200, table[i].type, (struct slice){(uint8_t *)body, table[i].length});
        shutdown(fd, SHUT_WR);
        is_closed_after(fd, "HTTP/1.1 200 OK");
        cr_assert_eq(strstr(heard, "Content-Encoding: gzip\r\n") != NULL, table[i].is_small, "%zu",
                     i);
        cr_assert_eq(heard_length < table[i].length, table[i].is_small, "%zu", i);
        if (table[i].is_small) {
            char *from = strstr(heard, "\r\n\r\n") + 4, *plain;
            size_t got;

            plain = unpacked((uint8_t *)from, heard_length - (size_t)(from - heard), &got);
            cr_assert_eq(got, table[i].length);
            cr_assert_eq(memcmp(plain, body, got), 0);
            free(plain);
        }
    }
    cr_assert_eq(http.gzips.in_use, 0);
}

/* What the chunks from at on hold. */
static size_t unchunked(const char *at, uint8_t *to)
{
    size_t length = 0, size;
    char *end;

    while ((size = strtoul(at, &end, 16)) > 0) {
        memcpy(to + length, end + 2, size);
        length += size;
        at = end + 2 + size + 2;
    }
    return length;
}

/* Adds to packed what came, and unpacks as far as that goes. */
static void can_read(int fd, z_stream *machine, const char *expected)
{
    static uint8_t packed[BIG];
    static char plain[BIG];
    const char *body;

    hears(fd, "");
    body = strstr(heard, "\r\n\r\n"); /* the head came along with the first */
    machine->next_in = packed;
    machine->avail_in = (uInt)unchunked(body != NULL && heard[0] == 'H' ? body + 4 : heard, packed);
    machine->next_out = (Bytef *)plain;
    machine->avail_out = BIG;
    cr_assert_geq(inflate(machine, Z_SYNC_FLUSH), Z_OK);
    cr_assert_eq(BIG - machine->avail_out, strlen(expected));
    cr_assert_eq(memcmp(plain, expected, strlen(expected)), 0);
}

Test(exchange_forms, what_is_written_piece_by_piece_is_compressed_and_can_be_read_at_once)
{
    static char much[500001];
    z_stream machine = {0};
    int fd;

    given_a_door();
    cr_assert_eq(inflateInit2(&machine, 15 + 16), Z_OK);
    fd = who_asks("GET /held HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n");
    exchange_start(held, 200, "application/x-ndjson");
    exchange_write(held, SLICE("{\"row\":1}\n"));
    exchange_write(held, SLICE("{\"row\":2}\n"));
    can_read(fd, &machine, "{\"row\":1}\n{\"row\":2}\n");
    exchange_write(held, SLICE("{\"row\":3}\n"));
    can_read(fd, &machine, "{\"row\":3}\n");
    memset(much, 'x', sizeof(much) - 1);
    exchange_write(held, (struct slice){(uint8_t *)much, sizeof(much) - 1});
    exchange_end(held);
    can_read(fd, &machine, much);
    inflateEnd(&machine);
    cr_assert_eq(http.gzips.in_use, 0);
    close(fd);
}

/* ---- other origins ----------------------------------------------------------------------- */

Test(exchange_forms, a_browser_may_call_from_the_origins_that_are_named)
{
    static const char asks[] = "OPTIONS /echo HTTP/1.1\r\nOrigin: %s\r\n\r\n";
    char request[200];
    int fd;

    options.origins = "https://a.example, https://b.example";
    given_a_door();
    fd = a_client();
    sprintf(request, asks, "https://b.example");
    says(fd, request);
    hears(fd, "\r\nAccess-Control-Allow-Origin: https://b.example\r\n");
    cr_assert_not_null(strstr(heard, "\r\nAllow: POST, OPTIONS\r\n"));
    cr_assert_not_null(strstr(heard, "\r\nAccess-Control-Allow-Methods: POST, OPTIONS\r\n"));
    cr_assert_not_null(
        strstr(heard, "\r\nAccess-Control-Allow-Headers: X-Mine, Authorization\r\n"));
    cr_assert_not_null(strstr(heard, "\r\nVary: Origin\r\n"));
    sprintf(request, asks, "https://a.example.evil");
    says(fd, request);
    hears(fd, "\r\nAllow: POST, OPTIONS\r\n");
    does_not_hear("Access-Control-Allow-Origin");
    says(fd, "POST /echo HTTP/1.1\r\nOrigin: https://a.example\r\nContent-Length: 1\r\n\r\nx");
    hears(fd, "\r\nAccess-Control-Allow-Origin: https://a.example\r\n");
    says(fd, "OPTIONS /held HTTP/1.1\r\nOrigin: https://a.example\r\n\r\n");
    hears(fd, "\r\nAllow: GET, HEAD, POST, OPTIONS\r\n");
    does_not_hear("Access-Control");
    close(fd);
}

Test(exchange_forms, without_configuration_no_other_origin_may)
{
    int fd;

    given_a_door();
    fd = a_client();
    says(fd, "POST /echo HTTP/1.1\r\nOrigin: https://a.example\r\nContent-Length: 1\r\n\r\nx");
    hears(fd, "\r\n\r\nx");
    does_not_hear("Access-Control");
    close(fd);
}

/* ---- another protocol -------------------------------------------------------------------- */

Test(exchange_forms, a_connection_can_go_over_to_another_protocol)
{
    int fd;

    given_a_door();
    fd = a_client();
    says(fd, "GET /shout HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nhell");
    hears(fd, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n"
              "X-Key: k\r\n\r\nHELL");
    says(fd, "o");
    cr_assert_not(hears_for(fd, 20));
    cr_assert_eq(heard_length, 0, "half a word is kept");
    says(fd, " GET");
    exchange_pause(held);
    hears_for(fd, 5);
    exchange_resume(held);
    says(fd, "z");
    is_closed_after(fd, "");
    cr_assert_eq(gone, 0);
    nobody_is_left();
}

Test(exchange_forms, who_hangs_up_in_another_protocol_is_noticed)
{
    int fd;

    given_a_door();
    fd = a_client();
    says(fd, "GET /shout HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\n");
    hears(fd, "HTTP/1.1 101 ");
    close(fd);
    waits_until_gone(1);
}

/* ---- routes ------------------------------------------------------------------------------ */

Test(route, the_best_that_takes_the_method_is_found)
{
    static const struct exchange_handler many[] = {
        {.path = "/", .methods = EXCHANGE_GET},
        {.path = "/", .is_prefix = true, .methods = EXCHANGE_GET | EXCHANGE_POST},
        {.path = "/db", .methods = EXCHANGE_POST},
        {.path = "/deep/", .is_prefix = true, .methods = EXCHANGE_PUT},
    };
    static const struct {
        enum exchange_method method;
        const char *path;
        int found;
    } table[] = {
        {EXCHANGE_GET, "/", 0},       {EXCHANGE_HEAD, "/", 0},     {EXCHANGE_POST, "/", 1},
        {EXCHANGE_GET, "/get/k", 1},  {EXCHANGE_POST, "/db", 2},   {EXCHANGE_POST, "/dbx", 1},
        {EXCHANGE_PUT, "/deep/x", 3}, {EXCHANGE_PUT, "/deep", -1}, {EXCHANGE_PUT, "/db", -1},
    };
    const struct route_table routes_of_four = {many, COUNT_OF(many)};
    struct route_found found;

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct slice path = {(const uint8_t *)table[i].path, strlen(table[i].path)};

        route_find(&routes_of_four, table[i].method, path, &found);
        cr_assert_eq(found.handler, table[i].found < 0 ? NULL : &many[table[i].found], "row %zu",
                     i);
        cr_assert_not_null(found.near);
        cr_assert_neq(found.methods, 0);
    }
    route_find(&(struct route_table){many + 2, 1}, EXCHANGE_GET, SLICE("/other"), &found);
    cr_assert_null(found.near);
    cr_assert_eq(found.methods, 0);
}
