/*
 * proxy/alarm.h - one timer for everything in a worker that has a deadline.
 *
 *      alarm_init(&alarm, loop, owner, tick);
 *      alarm_due_at(&alarm, deadline);       whenever a nearer deadline arises
 *      ... tick(owner, now)                  which says alarm_due_at for what is still due
 *
 * A deadline that is met early is not taken back: the tick then finds nothing overdue. So
 * a deadline costs one comparison, and most of them no system call.
 */
#ifndef PROXY_ALARM_H
#define PROXY_ALARM_H

#include <stdint.h>
#include <uv.h>

typedef void alarm_tick(void *owner, uint64_t now);

struct alarm {
    uv_timer_t timer;
    uint64_t due; /* what the timer is set for, of uv_now */
    void *owner;
    alarm_tick *tick;
};

void alarm_init(struct alarm *alarm, uv_loop_t *loop, void *owner, alarm_tick *tick);
void alarm_due_at(struct alarm *alarm, uint64_t when);

/* It keeps the loop going no more, but still rings while others do. */
void alarm_release(struct alarm *alarm);
void alarm_close(struct alarm *alarm);

#endif
