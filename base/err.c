#include "base/err.h"

#include "base/contract.h"

static const struct words {
    const char *sqlstate, *resp_prefix;
    int http_status;
    const char *text;
} words[ERR_COUNT] = {[ERR_OK] = {"00000", "OK", 200, "ok"},
#define X(name, sqlstate, resp, http, text) [name] = {sqlstate, resp, http, text},
                      ERR_LIST(X)
#undef X
};

static const struct words *words_for(enum err e)
{
    ASSERT((unsigned)e < ERR_COUNT);
    return &words[e];
}

const char *err_text(enum err e)
{
    return words_for(e)->text;
}

const char *err_sqlstate(enum err e)
{
    return words_for(e)->sqlstate;
}

const char *err_resp_prefix(enum err e)
{
    return words_for(e)->resp_prefix;
}

int err_http_status(enum err e)
{
    return words_for(e)->http_status;
}
