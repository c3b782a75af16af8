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
    offload_work *work, *done;
};

void offload_init(struct offload *offload, uv_loop_t *loop, size_t most_running,
                  size_t most_queued);
enum err offload_run(struct offload *offload, struct offload_job *job, offload_work *work,
                     offload_work *done) MUST_CHECK;

#endif
