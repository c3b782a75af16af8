#include "proxy/alarm.h"

static void on_timer(uv_timer_t *timer)
{
    struct alarm *alarm = timer->data;

    alarm->due = UINT64_MAX;
    alarm->tick(alarm->owner, uv_now(timer->loop));
}

void alarm_init(struct alarm *alarm, uv_loop_t *loop, void *owner, alarm_tick *tick)
{
    uv_timer_init(loop, &alarm->timer);
    alarm->timer.data = alarm;
    alarm->due = UINT64_MAX;
    alarm->owner = owner;
    alarm->tick = tick;
}

void alarm_due_at(struct alarm *alarm, uint64_t when)
{
    uint64_t now = uv_now(alarm->timer.loop);

    if (when >= alarm->due || uv_is_closing((uv_handle_t *)&alarm->timer))
        return;
    alarm->due = when;
    uv_timer_start(&alarm->timer, on_timer, when > now ? when - now : 0, 0);
}

void alarm_release(struct alarm *alarm)
{
    uv_unref((uv_handle_t *)&alarm->timer);
}

void alarm_close(struct alarm *alarm)
{
    if (!uv_is_closing((uv_handle_t *)&alarm->timer))
        uv_close((uv_handle_t *)&alarm->timer, NULL);
}
