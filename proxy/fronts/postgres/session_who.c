#include "proxy/fronts/postgres/front.h"
#include "proxy/fronts/postgres/session.h"

struct log_who session_who(const struct session *session, char address[64])
{
    const struct broker_place *place = session->lease.place;

    peer_write(&session->peer, address, 64);
    return (struct log_who){
        .kind = 'C',
        .id = session->id,
        .database = place              ? place->terms.database
                    : session->console ? "pgbouncer"
                                       : NULL,
        .user = place ? place->terms.user : session->login,
        .address = address,
    };
}

void session_who_says(const struct session *session, enum log_level level, const char *what,
                      const char *why)
{
    char address[64];
    struct log_who who = session_who(session, address);

    log_write(session->front->with.log, level, &who, "%s%s", what, why);
}
