/*
 * Any bytes as a server's first answers. Good beginnings come before some of them, so that the
 * last answer is reached. However they are cut, the verdict is the same.
 */
#include <stdlib.h>
#include <string.h>

#include "drivers/redis/greeting.h"
#include "fuzz.h"

static enum greeting_found read_in(struct greeting *greeting, struct slice in, size_t piece)
{
    enum greeting_found found = GREETING_MORE;

    while (in.length > 0 && found == GREETING_MORE) {
        size_t now = in.length < piece ? in.length : piece;
        uint8_t *copy = malloc(now); /* so that a byte read behind it is noticed */

        REQUIRE(copy != NULL);
        memcpy(copy, in.at, now);
        found = greeting_read(greeting, (struct slice){copy, now});
        free(copy);
        in.at += now;
        in.length -= now;
    }
    return found;
}

/* What comes behind a welcome is out of step, in whatever piece. */
static bool is_the_same(const struct greeting *a, enum greeting_found of_a,
                        const struct greeting *b, enum greeting_found of_b)
{
    if (of_a != of_b)
        return (of_a == GREETING_REFUSED && a->err == ERR_PROTOCOL && of_b == GREETING_WELCOME);
    if (of_a == GREETING_REFUSED)
        return a->err == b->err && strcmp(a->reply, b->reply) == 0;
    return a->version == b->version && a->next == b->next;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char good[] = "+OK\r\n+OK\r\n+OK\r\n%1\r\n$7\r\nversion\r\n$";
    unsigned how = size > 0 ? data[0] : 0;
    struct greeting_wishes wishes = {.password = SLICE("pw"),
                                     .client_name = SLICE("weir"),
                                     .database = 1,
                                     .protocol = how & 1 ? 3 : 2};
    size_t begin = (how >> 1) % sizeof(good);
    struct bytes out = {0}, in = {0};
    struct greeting whole, pieces;
    enum greeting_found of_whole, of_pieces;

    bytes_add(&in, good, begin);
    bytes_add(&in, data, size);
    greeting_init(&whole, &wishes, &out);
    greeting_init(&pieces, &wishes, &out);
    of_whole = read_in(&whole, (struct slice){in.at, in.length}, SIZE_MAX);
    of_pieces = read_in(&pieces, (struct slice){in.at, in.length}, 1 + size % 7);
    REQUIRE(is_the_same(&whole, of_whole, &pieces, of_pieces));
    REQUIRE(of_whole != GREETING_WELCOME || whole.in.length == 0);
    greeting_fini(&whole);
    greeting_fini(&pieces);
    bytes_free(&out);
    bytes_free(&in);
    return 0;
}
