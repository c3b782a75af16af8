#include "drivers/postgres/wire.h"
#include "proxy/fronts/postgres/session.h"

void session_words_error(struct session *session, const char *severity, enum err why,
                         const char *text)
{
    struct wire_error error = {.severity = severity, .code = err_sqlstate(why), .message = text};
    struct bytes out = {0};

    wire_add_error(&out, &error);
    if (!out.failed)
        stream_write(&session->stream, &(struct slice){out.at, out.length}, 1);
    bytes_free(&out);
}
