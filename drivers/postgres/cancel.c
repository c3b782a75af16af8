#include "drivers/postgres/cancel.h"

#include <stdlib.h>

#ifdef LIBPQ_HAS_ASYNC_CANCEL
#include "drivers/watch.h"

struct cancel {
    struct offload_job job;
    PGcancelConn *conn; /* a connection of its own */
    void *owner;
    cancel_done *done;
    struct watch *watch;
    uv_timer_t soon; /* so that done is never called from inside cancel_send */
};

static void on_timer_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF(handle, struct cancel, soon));
}

static void finish(struct cancel *cancel, const char *why_not)
{
    cancel->done(cancel->owner, why_not);
    PQcancelFinish(cancel->conn);
    offload_end(&cancel->job);
    uv_close((uv_handle_t *)&cancel->soon, on_timer_closed);
}

static void go_on(void *owner);

static void watch(struct cancel *cancel, int events)
{
    cancel->watch =
        watch_start(cancel->job.offload->loop, PQcancelSocket(cancel->conn), events, cancel, go_on);
    if (cancel->watch == NULL)
        finish(cancel, "the socket cannot be watched");
}

static void go_on(void *owner)
{
    struct cancel *cancel = owner;

    watch_stop(cancel->watch);
    cancel->watch = NULL;
    switch (PQcancelPoll(cancel->conn)) {
    case PGRES_POLLING_READING:
        watch(cancel, UV_READABLE);
        break;
    case PGRES_POLLING_WRITING:
        watch(cancel, UV_WRITABLE);
        break;
    case PGRES_POLLING_OK: /* the server has closed */
        finish(cancel, NULL);
        break;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
    default:
        finish(cancel, PQcancelErrorMessage(cancel->conn));
        break;
    }
}

static void on_soon(uv_timer_t *timer)
{
    struct cancel *cancel = CONTAINER_OF(timer, struct cancel, soon);

    if (PQcancelStart(cancel->conn) == 1)
        watch(cancel, UV_WRITABLE);
    else
        finish(cancel, PQcancelErrorMessage(cancel->conn));
}

static void begin(struct offload_job *job)
{
    struct cancel *cancel = CONTAINER_OF(job, struct cancel, job);

    uv_timer_init(job->offload->loop, &cancel->soon);
    uv_timer_start(&cancel->soon, on_soon, 0, 0);
}

/* The address of conn is copied: nothing is resolved again, nothing blocks. */
static enum err prepare(struct cancel *cancel, struct offload *offload, PGconn *conn)
{
    cancel->conn = PQcancelCreate(conn);
    if (cancel->conn == NULL || PQcancelStatus(cancel->conn) == CONNECTION_BAD)
        return ERR_NO_MEMORY;
    return offload_begin(offload, &cancel->job, begin);
}

static void forget(struct cancel *cancel)
{
    PQcancelFinish(cancel->conn);
    free(cancel);
}

#else /* libpq before 17 */

struct cancel {
    struct offload_job job;
    PGcancel *key; /* a copy: the connection itself is not touched from the thread */
    void *owner;
    cancel_done *done;
    bool delivered;
    char why_not[256];
};

static void forget(struct cancel *cancel)
{
    PQfreeCancel(cancel->key);
    free(cancel);
}

static void work(struct offload_job *job)
{
    struct cancel *cancel = CONTAINER_OF(job, struct cancel, job);

    cancel->delivered = PQcancel(cancel->key, cancel->why_not, sizeof(cancel->why_not)) == 1;
}

static void finish(struct offload_job *job)
{
    struct cancel *cancel = CONTAINER_OF(job, struct cancel, job);

    cancel->done(cancel->owner, cancel->delivered ? NULL : cancel->why_not);
    forget(cancel);
}

static enum err prepare(struct cancel *cancel, struct offload *offload, PGconn *conn)
{
    cancel->key = PQgetCancel(conn);
    if (cancel->key == NULL)
        return ERR_NO_MEMORY;
    return offload_run(offload, &cancel->job, work, finish);
}

#endif

enum err cancel_send(struct offload *offload, PGconn *conn, void *owner, cancel_done *done)
{
    struct cancel *cancel = calloc(1, sizeof(*cancel));
    enum err e;

    if (cancel == NULL)
        return ERR_NO_MEMORY;
    cancel->owner = owner;
    cancel->done = done;
    e = prepare(cancel, offload, conn);
    if (e != ERR_OK)
        forget(cancel);
    return e;
}
