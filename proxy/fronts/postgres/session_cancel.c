#include "proxy/fronts/postgres/front.h"
#include "proxy/fronts/postgres/session.h"

const void *session_cancel(struct session *session)
{
    struct backend *backend = session->lease.backend;

    if (session->state == SESSION_QUEUEING) {
        broker_give_up(&session->lease);
        session_words_error(session, "ERROR", ERR_CANCELED, err_text(ERR_CANCELED));
        session->sent.refusing = true;
        session->sent.begun_failed = session->sent.begun_length > 0;
        session->held_back = true;
        session_rest(session);
        return NULL;
    }
    if (backend == NULL || broker_cancel(&session->lease) != ERR_OK)
        return NULL;
    if (backend->canceling == 0)
        return NULL;
    session->lease.place->metrics.cancels++;
    return backend;
}
