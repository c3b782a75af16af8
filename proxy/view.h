/*
 * proxy/view.h - a worker as those see it who look from outside: /metrics; the
 * console's SHOW is another way to see it (show.h).
 *
 *      view_render(worker, &out);
 *
 * What is counted lives with whoever counts it; what can be looked up is looked up here,
 * when somebody asks.
 */
#ifndef PROXY_VIEW_H
#define PROXY_VIEW_H

#include "base/bytes.h"

struct worker;

void view_render(const struct worker *worker, struct bytes *out);

#endif
