#include "drivers/watch.h"

#include <stdlib.h>

struct watch {
    uv_poll_t poll;
    void *owner;
    watch_ready *ready;
};

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = CONTAINER_OF(poll, struct watch, poll);

    (void)status; /* the owner finds out, and has words for it */
    (void)events;
    watch->ready(watch->owner);
}

struct watch *watch_start(uv_loop_t *loop, int fd, int events, void *owner, watch_ready *ready)
{
    struct watch *watch = malloc(sizeof(*watch));

    if (watch == NULL || uv_poll_init(loop, &watch->poll, fd) != 0) {
        free(watch);
        return NULL;
    }
    watch->owner = owner;
    watch->ready = ready;
    uv_poll_start(&watch->poll, events, on_ready);
    return watch;
}

static void on_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct watch, poll));
}

void watch_stop(struct watch *watch)
{
    if (watch != NULL)
        uv_close((uv_handle_t *)&watch->poll, on_closed);
}
