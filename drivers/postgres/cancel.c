#include "drivers/postgres/cancel.h"

#include <stdlib.h>

struct cancel {
    struct offload_job job;
    PGcancel *key; /* a copy: the connection itself is not touched from the thread */
    void *owner;
    cancel_done *done;
    bool delivered;
    char why_not[256];
};

static void work(struct offload_job *job)
{
    struct cancel *cancel = CONTAINER_OF(job, struct cancel, job);

    cancel->delivered = PQcancel(cancel->key, cancel->why_not, sizeof(cancel->why_not)) == 1;
}

static void finish(struct offload_job *job)
{
    struct cancel *cancel = CONTAINER_OF(job, struct cancel, job);

    cancel->done(cancel->owner, cancel->delivered ? NULL : cancel->why_not);
    PQfreeCancel(cancel->key);
    free(cancel);
}

enum err cancel_send(struct offload *offload, PGconn *conn, void *owner, cancel_done *done)
{
    struct cancel *cancel = calloc(1, sizeof(*cancel));
    enum err e = ERR_NO_MEMORY;

    if (cancel == NULL)
        return e;
    cancel->owner = owner;
    cancel->done = done;
    cancel->key = PQgetCancel(conn);
    if (cancel->key != NULL)
        e = offload_run(offload, &cancel->job, work, finish);
    if (e != ERR_OK) {
        PQfreeCancel(cancel->key);
        free(cancel);
    }
    return e;
}
