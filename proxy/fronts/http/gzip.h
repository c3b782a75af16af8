/*
 * proxy/fronts/http/gzip.h - answers made smaller, piece by piece.
 *
 *      struct gzip *gzip = gzip_take(&home);           NULL: too many at once, or no memory
 *      gzip_add(gzip, piece, GZIP_MORE, &out);         appends what is ready
 *      gzip_add(gzip, piece, GZIP_FLUSH, &out);        all so far can be read
 *      gzip_add(gzip, piece, GZIP_END, &out);
 *      gzip_give(&home, gzip);
 *
 * Each takes GZIP_MEMORY while it is at work, so there is a limit to their number; whose answer
 * finds none is sent as it is. A few are kept for the next. It is the fastest level: what is
 * saved is the client's line, and the loop has others to serve.
 */
#ifndef PROXY_FRONTS_HTTP_GZIP_H
#define PROXY_FRONTS_HTTP_GZIP_H

#include "base/bytes.h"
#include "base/contract.h"

enum { GZIP_MEMORY = 140 * 1024 };

enum gzip_how { GZIP_MORE, GZIP_FLUSH, GZIP_END };

struct gzip;

struct gzip_home {
    struct gzip *spare;
    size_t spare_length, in_use;
};

void gzip_init(struct gzip_home *home);
void gzip_fini(struct gzip_home *home);

struct gzip *gzip_take(struct gzip_home *home);
void gzip_give(struct gzip_home *home, struct gzip *gzip);

void gzip_add(struct gzip *gzip, struct slice piece, enum gzip_how how, struct bytes *out);

#endif
