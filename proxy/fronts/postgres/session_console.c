#include "proxy/fronts/postgres/session_console.h"

#include <string.h>

#include "drivers/postgres/wire.h"
#include "proxy/fronts/postgres/console.h"
#include "proxy/fronts/postgres/front.h"

/* More than that not taken, and no further message is answered. */
enum { MOST_QUEUED = 64 * 1024 };

static bool greet(struct session *session)
{
    struct bytes out = {0};

    console_greet(&out);
    wire_add_backend_key(&out, session->slot, (struct slice){session->key, session->key_size});
    wire_add_ready_for_query(&out, 'I');
    if (!out.failed)
        stream_write(&session->stream, &(struct slice){out.at, out.length}, 1);
    bytes_free(&out);
    return !out.failed;
}

enum err session_console_begin(struct session *session, const char *user, bool is_admin)
{
    const struct front_options *with = &session->front->with;
    enum err e = front_enroll(session->front, session);

    if (e != ERR_OK)
        return e;
    session->login = strdup(user);
    session->console = console_create(with->console, with->console_owner, is_admin);
    if (session->login == NULL || session->console == NULL || !greet(session))
        return ERR_NO_MEMORY;
    session_begin_console(session);
    return ERR_OK;
}

/* What one message was answered with; false: it was the last one. */
static bool answer(struct session *session, const struct bytes *out, enum console_verdict verdict)
{
    if (session->state != SESSION_CONSOLE) /* it has ended itself */
        return false;
    if (out->failed) {
        session_fail(session, ERR_NO_MEMORY, NULL);
        return false;
    }
    if (verdict == CONSOLE_BROKEN) {
        session_fail(session, ERR_PROTOCOL, "a message that the console cannot read");
        return false;
    }
    if (out->length > 0)
        stream_write(&session->stream, &(struct slice){out->at, out->length}, 1);
    if (verdict == CONSOLE_ENDS)
        session_close(session);
    return verdict == CONSOLE_GOES_ON;
}

size_t session_console_bytes(struct session *session, struct slice in)
{
    enum console_verdict verdict = CONSOLE_GOES_ON;
    struct bytes out = {0};
    size_t used = 0;
    bool goes_on = true;

    session->held_back = false;
    while (goes_on && used < in.length) {
        if (stream_queued(&session->stream) > MOST_QUEUED) {
            stream_pause(&session->stream);
            session->held_back = true; /* until it is drained */
            break;
        }
        session->tally.query_us = uv_hrtime() / 1000;
        bytes_clear(&out);
        used += console_bytes(session->console, (struct slice){in.at + used, in.length - used},
                              &out, &verdict);
        goes_on = answer(session, &out, verdict);
    }
    bytes_free(&out);
    return used;
}
