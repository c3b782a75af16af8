/*
 * drivers/offload.h - what could block runs on libuv's thread pool, a few at a time.
 *
 *      struct job { struct offload_job offload; ... };
 *      if (offload_run(&worker->cancels, &job->offload, work, done) != ERR_OK)
 *          ...                                 the queue is full: say so
 *
 * libuv's threads are few and shared with name resolution. So each kind of work has an
 * offload of its own, which uses at most so many of them and lets the rest wait in line:
 * a server that does not take cancels delays no login.
 *
 * work runs on a thread and may touch only its job. done runs on the loop, exactly once,
 * never from inside offload_run; the job is the caller's until offload_run and from then on.
 *
 * What does not block but must be few as well stands in the same line:
 *
 *      offload_begin(&worker->cancels, &job->offload, begin);
 *      ... begin(job) on the loop, at once or later        ... offload_end(job)
 */
#ifndef DRIVERS_OFFLOAD_H
#define DRIVERS_OFFLOAD_H

#include <uv.h>

#include "base/contract.h"
#include "base/err.h"
#include "base/list.h"

struct offload_job;
typedef void offload_work(struct offload_job *job);

struct offload {
    uv_loop_t *loop;
    size_t most_running, most_queued;
    size_t running;
    struct list queue;
};

struct offload_job {
    uv_work_t request;
    struct link queued;
    struct offload *offload;
    offload_work *work, *done; /* no done: work runs on the loop, until offload_end */
};

void offload_init(struct offload *offload, uv_loop_t *loop, size_t most_running,
                  size_t most_queued);
enum err offload_run(struct offload *offload, struct offload_job *job, offload_work *work,
                     offload_work *done) MUST_CHECK;

enum err offload_begin(struct offload *offload, struct offload_job *job,
                       offload_work *begin) MUST_CHECK;
/* The next in line begins; the job may be freed. Not from inside begin. */
void offload_end(struct offload_job *job);

#endif
