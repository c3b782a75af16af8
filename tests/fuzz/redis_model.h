/*
 * tests/fuzz/redis_model.h - what a connection is to Redis, small enough to be fuzzed.
 *
 *      model_open(&model, user, protocol, variant);
 *      model_ask(&model, &ask);            ... one request of its input
 *      while (model_step(&model)) ...      it reads one, and says what it has to say in out
 *
 * Made from what Redis does and not from what the driver expects of it: processCommand() and
 * rejectCommand() of server.c, multi.c, selectCommand() of db.c, helloCommand(), clientCommand()
 * and resetCommand() of networking.c, blocked.c and pubsub.c of Redis 7.0. Two variants: 7.2 has
 * MULTI and WATCH flagged as not for a transaction; before 6.2 a refused EXEC left that open.
 *
 * A reply says whose it is, the number of its request, and the database, user and protocol that
 * it was made in. Which request goes wrong, and what is said then, the request says (its mood):
 * so two connections that are asked the same answer the same.
 */
#ifndef TESTS_FUZZ_REDIS_MODEL_H
#define TESTS_FUZZ_REDIS_MODEL_H

#include <stdio.h>

#include "choices.h"
#include "drivers/redis/verb.h"

enum { DATABASES = 3, USERS = 2, MOST_QUEUED = 32, MOST_IN = 128, TAG = 64 };
enum { VARIANT_NO_MULTI = 1, VARIANT_EXEC_STAYS = 2 };

enum what {
    DOES_VALUE, /* and no more */
    DOES_NOT_EXIST,
    DOES_BAD_EXEC,
    DOES_ODDLY, /* nobody knows the command but this Redis */
    DOES_KEEP,  /* READONLY and the like */
    DOES_NO_EVICT,
    DOES_MULTI,
    DOES_EXEC,
    DOES_DISCARD,
    DOES_WATCH,
    DOES_UNWATCH,
    DOES_SELECT,
    DOES_HELLO,
    DOES_AUTH,
    DOES_RESET,
    DOES_QUIT,
    DOES_TRACK,
    DOES_NOT_TRACK,
    DOES_REPLY_OFF,
    DOES_REPLY_SKIP,
    DOES_MONITOR,
    DOES_SYNC,
    DOES_BLOCK,
    DOES_WAIT,
    DOES_SUBSCRIBE,
    DOES_UNSUBSCRIBE,
    DOES_NAME,
    DOES_POST,
    DOES_CLEAN, /* ECHO, of a line that is cleaned */
    DOES_PING,
};

/* A '#' is the number of the request. */
static const struct command {
    const char *words;
    enum what what;
} commands[] = {
    {"GET a", DOES_VALUE},
    {"SET a b", DOES_VALUE},
    {"MULTI", DOES_MULTI},
    {"EXEC", DOES_EXEC},
    {"DISCARD", DOES_DISCARD},
    {"WATCH a", DOES_WATCH},
    {"UNWATCH", DOES_UNWATCH},
    {"SELECT #", DOES_SELECT},
    {"GET", DOES_NOT_EXIST},
    {"MULTI now", DOES_NOT_EXIST},
    {"WATCH", DOES_NOT_EXIST},
    {"SELECT x#", DOES_NOT_EXIST}, /* an integer is wanted */
    {"EXEC now", DOES_BAD_EXEC},
    {"FROB a", DOES_ODDLY},
    {"FROB a", DOES_NOT_EXIST},
    {"READONLY", DOES_KEEP},
    {"CLIENT NO-EVICT ON", DOES_NO_EVICT},
    {"HELLO", DOES_HELLO},
    {"HELLO #", DOES_HELLO},
    {"HELLO 3 AUTH u# p", DOES_HELLO},
    {"AUTH u# p", DOES_AUTH},
    {"RESET", DOES_RESET},
    {"QUIT", DOES_QUIT},
    {"CLIENT TRACKING ON", DOES_TRACK},
    {"CLIENT TRACKING OFF", DOES_NOT_TRACK},
    {"CLIENT REPLY OFF", DOES_REPLY_OFF},
    {"CLIENT REPLY SKIP", DOES_REPLY_SKIP},
    {"CLIENT REPLY ON", DOES_VALUE},
    {"MONITOR", DOES_MONITOR},
    {"SYNC", DOES_SYNC},
    {"BLPOP q 0", DOES_BLOCK},
    {"XREAD BLOCK 0 STREAMS a $", DOES_BLOCK},
    {"XREAD STREAMS a $", DOES_VALUE},
    {"WAIT 1 0", DOES_WAIT},
    {"SUBSCRIBE a b", DOES_SUBSCRIBE},
    {"UNSUBSCRIBE", DOES_UNSUBSCRIBE},
    {"CLIENT SETNAME x", DOES_NAME},
    {"CLIENT GETNAME", DOES_VALUE},
    {"CLIENT ID", DOES_VALUE},
    {"KEYS a", DOES_VALUE},
    {"PUBLISH a b", DOES_VALUE},
    {"EVAL x 0", DOES_VALUE},
    {"INFO", DOES_VALUE},
    {"DEBUG JMAP", DOES_ODDLY},
    {"POST /", DOES_POST},
    {"ECHO weir-clean", DOES_CLEAN},
    {"PING", DOES_PING},
};

struct ask {
    uint8_t command, number, mood;
    bool is_large;
    uint32_t owner, seq;
};

struct model_state {
    bool multi, dirty_exec, dirty_cas, watching, tracking, odd, keeps, no_evict, endless;
    bool silent, skips, skips_next, named;
    uint8_t protocol, user, subscribed;
    int32_t db;
};

struct model {
    struct model_state state;
    struct ask queue[MOST_QUEUED], blocking;
    size_t queued;
    struct bytes out;
    unsigned variant, replies; /* of the last step */
    uint32_t late_owner;       /* to whom one more reply than was asked for will go; 0: none */
    bool is_blocked, is_closed, in_exec;
    bool is_reference; /* nothing takes time */
};

static inline void model_open(struct model *m, uint8_t user, uint8_t protocol, unsigned variant)
{
    bytes_free(&m->out);
    *m = (struct model){.variant = variant, .state = {.user = user, .protocol = protocol}};
}

static inline enum what model_what(const struct ask *ask)
{
    return commands[ask->command].what;
}

/* ---- what it says ------------------------------------------------------------------------ */

static inline void model_tag(const struct model *m, const struct ask *ask, char tag[TAG])
{
    snprintf(tag, TAG, "c%u.%u d%d u%u p%u", ask->owner, ask->seq, (int)m->state.db, m->state.user,
             m->state.protocol);
}

static inline bool model_is_silent(const struct model *m)
{
    return m->state.silent || m->state.skips;
}

static inline void model_begin(struct model *m)
{
    m->replies += !m->in_exec && !model_is_silent(m);
}

/* A line; what is in the driver's eyes comes first. */
static inline void model_line(struct model *m, const struct ask *ask, const char *words)
{
    char tag[TAG];

    model_tag(m, ask, tag);
    model_begin(m);
    if (!model_is_silent(m))
        bytes_print(&m->out, "%s %s\r\n", words, tag);
}

static inline void model_raw(struct model *m, const char *words)
{
    model_begin(m);
    if (!model_is_silent(m))
        bytes_print(&m->out, "%s", words);
}

static inline const char *model_null(const struct model *m)
{
    return m->state.protocol == 3 ? "_\r\n" : "*-1\r\n";
}

/* What else has the form of replies, and is none. */
static inline void model_large(struct model *m, const char *tag)
{
    static const char text[] = "+OK\r\n*2\r\n-UNBLOCKED x\r\n>1\r\n$-1\r\n";
    size_t times = 20, length = strlen(tag) + times * (sizeof(text) - 1);

    bytes_print(&m->out, "$%zu\r\n%s", length, tag);
    while (times-- > 0)
        bytes_print(&m->out, "%s", text);
    bytes_print(&m->out, "\r\n");
}

static inline void model_value_of_3(struct model *m, const char *tag, unsigned shape)
{
    static const char *const forms[] = {"%1\r\n$1\r\nk\r\n", "~2\r\n#t\r\n",
                                        "|1\r\n$1\r\na\r\n:1\r\n", "*4\r\n,1.5\r\n(123\r\n_\r\n"};
    static const char push[] = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n";

    if (shape % 8 == 4)
        bytes_print(&m->out, "=%zu\r\ntxt:%s\r\n", strlen(tag) + 4, tag);
    else if (shape % 8 == 5)
        bytes_print(&m->out, "*2\r\n+%s\r\n%s:1\r\n", tag, m->state.tracking ? push : "");
    else if (shape % 8 > 5)
        bytes_print(&m->out, "!%zu\r\n%s\r\n", strlen(tag), tag);
    else
        bytes_print(&m->out, "%s$%zu\r\n%s\r\n", forms[shape % 4], strlen(tag), tag);
}

static inline void model_value(struct model *m, const struct ask *ask)
{
    unsigned shape = ask->mood >> 4;
    char tag[TAG];

    model_begin(m);
    if (model_is_silent(m))
        return;
    model_tag(m, ask, tag);
    if (shape == 0)
        bytes_print(&m->out, "+%s\r\n", tag);
    else if (shape == 1)
        bytes_print(&m->out, "-ERR %s\r\n", tag);
    else if (shape == 2)
        bytes_print(&m->out, ":%u\r\n", ask->seq);
    else if (shape == 3)
        bytes_print(&m->out, "$%zu\r\n%s\r\n", strlen(tag), tag);
    else if (shape == 4)
        bytes_print(&m->out, "%s", m->state.protocol == 3 ? "_\r\n" : "$-1\r\n");
    else if (shape == 5)
        bytes_print(&m->out, "*3\r\n*0\r\n*-1\r\n*2\r\n$-1\r\n$%zu\r\n%s\r\n", strlen(tag), tag);
    else if (shape == 6)
        model_large(m, tag);
    else if (shape == 7 || m->state.protocol == 2)
        bytes_print(&m->out, "*2\r\n:%u\r\n+%s\r\n", ask->seq, tag);
    else
        model_value_of_3(m, tag, shape);
}

/* ---- transactions ------------------------------------------------------------------------ */

static inline void model_call(struct model *m, const struct ask *ask);

static inline void model_discard(struct model *m)
{
    m->state.multi = m->state.dirty_cas = m->state.dirty_exec = m->state.watching = false;
    m->queued = 0;
}

static inline void model_reject(struct model *m, const struct ask *ask, const char *words)
{
    bool is_exec = model_what(ask) == DOES_EXEC || model_what(ask) == DOES_BAD_EXEC;

    m->state.dirty_exec |= m->state.multi;
    if (is_exec && !(m->variant & VARIANT_EXEC_STAYS)) {
        model_discard(m);
        model_line(m, ask, "-EXECABORT Transaction discarded because of: NOPERM");
    } else {
        model_line(m, ask, words);
    }
}

static inline void model_exec(struct model *m, const struct ask *ask)
{
    if (!m->state.multi) {
        model_line(m, ask, "-ERR EXEC without MULTI");
        return;
    }
    m->state.dirty_cas |= m->state.watching && ask->mood % 4 == 2;
    if (m->state.dirty_exec) {
        model_line(m, ask, "-EXECABORT Transaction discarded because of previous errors.");
    } else if (m->state.dirty_cas) {
        model_raw(m, model_null(m));
    } else {
        model_begin(m);
        if (!model_is_silent(m))
            bytes_print(&m->out, "*%zu\r\n", m->queued);
        m->in_exec = true;
        for (size_t i = 0; i < m->queued; i++)
            model_call(m, &m->queue[i]);
        m->in_exec = false;
    }
    model_discard(m);
}

static inline void model_queue(struct model *m, const struct ask *ask)
{
    if (m->queued == MOST_QUEUED) {
        model_reject(m, ask, "-OOM command not allowed");
        return;
    }
    if (!m->state.dirty_exec && !m->state.dirty_cas)
        m->queue[m->queued++] = *ask;
    model_line(m, ask, "+QUEUED");
}

/* ---- the connection's own ---------------------------------------------------------------- */

static inline void model_hello(struct model *m, const struct ask *ask)
{
    const char *words = commands[ask->command].words;
    bool names_user = strchr(words, 'u') != NULL;
    unsigned version = names_user ? 3 : ask->number;

    if (words[5] != '\0') {
        if (version != 2 && version != 3) {
            model_line(m, ask, "-NOPROTO unsupported protocol version");
            return;
        }
        if (names_user && ask->number >= USERS) {
            model_line(m, ask, "-WRONGPASS invalid");
            return;
        }
        if (names_user)
            m->state.user = ask->number;
        m->state.protocol = (uint8_t)version;
    }
    model_line(m, ask, m->state.protocol == 3 ? "%1\r\n+proto\r\n+" : "*2\r\n+proto\r\n+");
}

static inline void model_auth(struct model *m, const struct ask *ask)
{
    if (ask->number < USERS)
        m->state.user = ask->number;
    model_line(m, ask, ask->number < USERS ? "+OK" : "-WRONGPASS invalid");
}

static inline void model_reset(struct model *m, const struct ask *ask)
{
    bool no_evict = m->state.no_evict;

    model_discard(m);
    m->state = (struct model_state){.protocol = 2, .no_evict = no_evict};
    model_line(m, ask, "+RESET");
}

static inline void model_subscribe(struct model *m, const struct ask *ask, bool on)
{
    for (unsigned i = 0; i < 1u + on; i++) {
        m->state.subscribed = (uint8_t)(on ? i + 1 : 0);
        model_line(m, ask, m->state.protocol == 3 ? ">3\r\n:1\r\n:1\r\n+" : "*3\r\n:1\r\n:1\r\n+");
    }
}

/* ---- what takes time --------------------------------------------------------------------- */

/* What is said when it is over. -UNBLOCKED: by CLIENT UNBLOCK; if CLIENT PAUSE had stopped the
 * connection, the command itself is still to come. */
static inline void model_unblock(struct model *m, const struct ask *ask)
{
    m->is_blocked = false;
    if (ask->mood % 8 < 3)
        model_raw(m, model_null(m));
    else if (ask->mood % 8 < 6)
        model_line(m, ask, "*1\r\n+");
    else
        model_raw(m, "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    if (ask->mood % 8 == 7)
        m->late_owner = ask->owner;
}

static inline void model_block(struct model *m, const struct ask *ask)
{
    if (m->in_exec) {
        model_raw(m, model_null(m));
    } else if (m->is_reference) {
        model_unblock(m, ask);
    } else {
        m->is_blocked = true;
        m->blocking = *ask;
    }
}

/* ---- one request ------------------------------------------------------------------------- */

static inline void model_multi(struct model *m, const struct ask *ask)
{
    if (m->state.multi && (m->variant & VARIANT_NO_MULTI))
        model_reject(m, ask, "-ERR Command not allowed inside a transaction");
    else if (m->state.multi)
        model_line(m, ask, "-ERR MULTI calls can not be nested");
    else
        model_line(m, ask, "+OK");
    m->state.multi = true;
}

static inline void model_watch(struct model *m, const struct ask *ask)
{
    if (m->state.multi && (m->variant & VARIANT_NO_MULTI)) {
        model_reject(m, ask, "-ERR Command not allowed inside a transaction");
    } else if (m->state.multi) {
        model_line(m, ask, "-ERR WATCH inside MULTI is not allowed");
    } else {
        m->state.watching = true;
        model_line(m, ask, "+OK");
    }
}

static inline void model_reply(struct model *m, const struct ask *ask)
{
    if (model_what(ask) == DOES_REPLY_OFF)
        m->state.silent = true;
    else if (!m->state.silent)
        m->state.skips_next = true;
}

static inline void model_endless(struct model *m, const struct ask *ask)
{
    if (m->in_exec) {
        model_line(m, ask, "-ERR MONITOR isn't allowed for DENY BLOCKING client");
        return;
    }
    m->state.endless = true;
    model_line(m, ask, "+OK");
}

static inline void model_odd(struct model *m, const struct ask *ask)
{
    m->state.odd |= ask->mood % 2 == 0;
    model_line(m, ask, "+ODD");
    if (ask->mood % 4 == 3 && !m->in_exec && !m->is_reference)
        m->late_owner = ask->owner;
}

/* Those that change the connection. */
static inline void model_change(struct model *m, const struct ask *ask)
{
    struct model_state *s = &m->state;
    enum what what = model_what(ask);

    s->keeps |= what == DOES_KEEP;
    s->no_evict |= what == DOES_NO_EVICT;
    s->named |= what == DOES_NAME;
    if (what == DOES_TRACK || what == DOES_NOT_TRACK)
        s->tracking = what == DOES_TRACK;
    if (what == DOES_UNWATCH)
        s->watching = s->dirty_cas = false;
    if (what == DOES_SELECT && ask->number < DATABASES)
        s->db = ask->number;
    model_line(m, ask,
               what == DOES_SELECT && ask->number >= DATABASES ? "-ERR DB index is out of range"
                                                               : "+OK");
}

static inline void model_call(struct model *m, const struct ask *ask)
{
    switch ((int)model_what(ask)) {
    case DOES_VALUE:
        model_value(m, ask);
        break;
    case DOES_PING:
        model_line(m, ask, "+PONG");
        break;
    case DOES_CLEAN:
        model_raw(m, "$10\r\nweir-clean\r\n");
        break;
    case DOES_ODDLY:
        model_odd(m, ask);
        break;
    case DOES_HELLO:
        model_hello(m, ask);
        break;
    case DOES_AUTH:
        model_auth(m, ask);
        break;
    case DOES_REPLY_OFF:
    case DOES_REPLY_SKIP:
        model_reply(m, ask);
        break;
    case DOES_MONITOR:
    case DOES_SYNC:
        model_endless(m, ask);
        break;
    case DOES_BLOCK:
    case DOES_WAIT:
        model_block(m, ask);
        break;
    case DOES_SUBSCRIBE:
    case DOES_UNSUBSCRIBE:
        model_subscribe(m, ask, model_what(ask) == DOES_SUBSCRIBE);
        break;
    default:
        model_change(m, ask);
        break;
    }
}

/* What is executed inside a transaction and not queued. */
static inline bool model_controls(struct model *m, const struct ask *ask)
{
    switch ((int)model_what(ask)) {
    case DOES_MULTI:
        model_multi(m, ask);
        return true;
    case DOES_EXEC:
        model_exec(m, ask);
        return true;
    case DOES_DISCARD:
        model_line(m, ask, m->state.multi ? "+OK" : "-ERR DISCARD without MULTI");
        if (m->state.multi)
            model_discard(m);
        return true;
    case DOES_WATCH:
        model_watch(m, ask);
        return true;
    case DOES_RESET:
        model_reset(m, ask);
        return true;
    case DOES_QUIT:
        model_line(m, ask, "+OK");
        m->is_closed = true;
        return true;
    default:
        return false;
    }
}

/* Whether the user may be told that he must not; those without authentication are for all, and
 * what is answered by the front end is another matter. */
static inline bool model_is_refused(const struct ask *ask)
{
    switch ((int)model_what(ask)) {
    case DOES_HELLO:
    case DOES_AUTH:
    case DOES_RESET:
    case DOES_QUIT:
    case DOES_SELECT:
    case DOES_NAME:
    case DOES_SUBSCRIBE:
    case DOES_UNSUBSCRIBE:
    case DOES_CLEAN:
    case DOES_PING:
        return false;
    default:
        return ask->mood % 16 == 1;
    }
}

static inline bool model_is_rejected(struct model *m, const struct ask *ask)
{
    enum what what = model_what(ask);

    if (what == DOES_NOT_EXIST || what == DOES_BAD_EXEC)
        model_reject(m, ask, "-ERR unknown command");
    else if (what == DOES_SYNC && m->state.multi)
        model_reject(m, ask, "-ERR Command not allowed inside a transaction");
    else if (model_is_refused(ask))
        model_reject(m, ask, "-NOPERM");
    else if (m->state.subscribed > 0 && m->state.protocol == 2 && what != DOES_SUBSCRIBE &&
             what != DOES_UNSUBSCRIBE && what != DOES_QUIT && what != DOES_RESET)
        model_reject(m, ask, "-ERR Can't execute");
    else
        return false;
    return true;
}

/* processCommand(); what it says is behind what out had before. */
static inline void model_do(struct model *m, const struct ask *ask)
{
    m->replies = 0;
    if (model_what(ask) == DOES_POST) {
        m->is_closed = true;
        return;
    }
    if (!model_is_rejected(m, ask) && !model_controls(m, ask)) {
        if (m->state.multi)
            model_queue(m, ask);
        else
            model_call(m, ask);
    }
    m->state.skips = m->state.skips_next;
    m->state.skips_next = false;
}

#endif
