#include "proxy/fronts/http/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    MOST_IN_USE = 64,
    MOST_SPARE = 2,
    LEVEL = 1,
    WINDOW_BITS = 14 + 16, /* 16: gzip's frame */
    MEMORY_LEVEL = 7,
    ROOM = 4096,
};

struct gzip {
    struct gzip *next; /* that is spare, too */
    z_stream machine;
};

void gzip_init(struct gzip_home *home)
{
    *home = (struct gzip_home){0};
}

static void destroy(struct gzip *gzip)
{
    deflateEnd(&gzip->machine);
    free(gzip);
}

void gzip_fini(struct gzip_home *home)
{
    ASSERT(home->in_use == 0);
    for (struct gzip *gzip = home->spare, *next; gzip != NULL; gzip = next) {
        next = gzip->next;
        destroy(gzip);
    }
}

static struct gzip *create(void)
{
    struct gzip *gzip = calloc(1, sizeof(*gzip));

    if (gzip != NULL && deflateInit2(&gzip->machine, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL,
                                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(gzip);
        return NULL;
    }
    return gzip;
}

struct gzip *gzip_take(struct gzip_home *home)
{
    struct gzip *gzip = home->spare;

    if (home->in_use == MOST_IN_USE)
        return NULL;
    if (gzip != NULL) {
        home->spare = gzip->next;
        home->spare_length--;
    } else {
        gzip = create();
    }
    home->in_use += gzip != NULL;
    return gzip;
}

void gzip_give(struct gzip_home *home, struct gzip *gzip)
{
    home->in_use--;
    if (home->spare_length == MOST_SPARE || deflateReset(&gzip->machine) != Z_OK) {
        destroy(gzip);
        return;
    }
    gzip->next = home->spare;
    home->spare = gzip;
    home->spare_length++;
}

/* Runs the machine until it has room to spare: then it has given all it will. */
static void run(z_stream *machine, int flush, struct bytes *out)
{
    uint8_t *to;

    do {
        if ((to = bytes_extend(out, ROOM)) == NULL)
            return;
        machine->next_out = to;
        machine->avail_out = ROOM;
        deflate(machine, flush);
        out->length -= machine->avail_out;
    } while (machine->avail_out == 0);
}

void gzip_add(struct gzip *gzip, struct slice piece, enum gzip_how how, struct bytes *out)
{
    static const int flushes[] = {
        [GZIP_MORE] = Z_NO_FLUSH, [GZIP_FLUSH] = Z_SYNC_FLUSH, [GZIP_END] = Z_FINISH};

    for (; piece.length > UINT_MAX; piece.at += INT_MAX, piece.length -= INT_MAX) {
        gzip->machine.next_in = (Bytef *)piece.at;
        gzip->machine.avail_in = INT_MAX;
        run(&gzip->machine, Z_NO_FLUSH, out);
    }
    gzip->machine.next_in = (Bytef *)piece.at;
    gzip->machine.avail_in = (uInt)piece.length;
    run(&gzip->machine, flushes[how], out);
}
