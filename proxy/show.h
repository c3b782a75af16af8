/*
 * proxy/show.h - what the console's SHOW shows of a worker.
 *
 *      show_fill(worker, CONSOLE_SHOWS_POOLS, &rows);
 *
 * The columns are those of console_shows.h, in whose order cells are written here. What pools
 * have is gathered by view_pools.h, as it is for /metrics. There are more tables than fit in one
 * file: each of show_....c is about one kind of things, and declared in show_parts.h.
 *
 * A worker that has no memory left says so by rows->out.
 */
#ifndef PROXY_SHOW_H
#define PROXY_SHOW_H

#include "proxy/fronts/postgres/console_rows.h"
#include "proxy/fronts/postgres/console_shows.h"

struct worker;

void show_fill(const struct worker *worker, enum console_show show, struct console_rows *rows);

#endif
