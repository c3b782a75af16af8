#include "drivers/offload.h"

void offload_init(struct offload *offload, uv_loop_t *loop, size_t most_running, size_t most_queued)
{
    *offload =
        (struct offload){.loop = loop, .most_running = most_running, .most_queued = most_queued};
    list_init(&offload->queue);
}

static void on_thread(uv_work_t *request)
{
    struct offload_job *job = request->data;

    job->work(job);
}

static void start(struct offload *offload);

static void start(struct offload *offload);

static void on_done(uv_work_t *request, int status)
{
    struct offload_job *job = request->data;
    struct offload *offload = job->offload;

    REQUIRE(status == 0); /* nobody cancels */
    offload->running--;
    job->done(job);
    start(offload);
}

static void start(struct offload *offload)
{
    while (offload->running < offload->most_running && offload->queue.length > 0) {
        struct offload_job *job =
            CONTAINER_OF(list_pop_front(&offload->queue), struct offload_job, queued);

        job->request.data = job;
        offload->running++;
        if (job->done == NULL)
            job->work(job);
        else
            REQUIRE(uv_queue_work(offload->loop, &job->request, on_thread, on_done) == 0);
    }
}

static enum err line_up(struct offload *offload, struct offload_job *job)
{
    if (offload->queue.length >= offload->most_queued)
        return ERR_QUEUE_FULL;
    job->offload = offload;
    job->queued = (struct link){0};
    list_push_back(&offload->queue, &job->queued);
    start(offload);
    return ERR_OK;
}

enum err offload_run(struct offload *offload, struct offload_job *job, offload_work *work,
                     offload_work *done)
{
    job->work = work;
    job->done = done;
    return line_up(offload, job);
}

enum err offload_begin(struct offload *offload, struct offload_job *job, offload_work *begin)
{
    job->work = begin;
    job->done = NULL;
    return line_up(offload, job);
}

void offload_end(struct offload_job *job)
{
    struct offload *offload = job->offload;

    offload->running--;
    start(offload);
}
