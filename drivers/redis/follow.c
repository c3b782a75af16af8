#include "drivers/redis/follow.h"

#include <string.h>

void follow_init(struct follow *follow)
{
    *follow = (struct follow){.protocol = 2};
}

/* ---- what is to be sent ------------------------------------------------------------------ */

static struct follow_plan own(enum follow_kind kind)
{
    return (struct follow_plan){.step = FOLLOW_OWN, .note = {.count = 1, .kind = (uint8_t)kind}};
}

static struct follow_plan patient(bool pings)
{
    struct follow_plan plan = own(FOLLOW_BLOCKING);

    plan.note.is_patient = true;
    plan.pings = pings;
    return plan;
}

/* From here on nobody counts, so nothing may be owed when it begins. */
static struct follow_plan blind(const struct follow_where *where)
{
    struct follow_plan plan = own(FOLLOW_PLAIN);

    plan.goes_blind = true;
    if (where->is_owed)
        plan.step = FOLLOW_LATER;
    return plan;
}

static struct follow_plan here(const struct follow_where *where)
{
    return (struct follow_plan){.step = where->is_owed ? FOLLOW_LATER : FOLLOW_HERE};
}

static struct follow_plan share(const struct follow *follow, const struct follow_where *where)
{
    if (follow->sent_watch || follow->is_kept || where->is_large || where->is_heavy)
        return own(FOLLOW_PLAIN);
    if (where->has_own && where->is_owed)
        return (struct follow_plan){.step = FOLLOW_LATER};
    return (struct follow_plan){.step = FOLLOW_SHARE, .note = {.count = 1}};
}

/* Between MULTI and EXEC all but a few are queued by Redis, and happen at EXEC. But MULTI may have
 * been refused, and then they happen at once: their replies say which it is. */
static struct follow_plan see_queued(const struct verb_use *use, const struct follow_where *where)
{
    switch ((int)use->need) {
    case VERB_EXEC:
        return own(FOLLOW_EXEC);
    case VERB_DISCARD:
        return own(FOLLOW_DISCARD);
    case VERB_MULTI:
        return own(FOLLOW_MULTI);
    case VERB_WATCH:
        return own(FOLLOW_WATCH);
    case VERB_UNWATCH:
        return own(FOLLOW_UNWATCH);
    case VERB_SUBSCRIBE:
    case VERB_UNSUBSCRIBE:
    case VERB_BLIND:
        return blind(where);
    default:
        return own(FOLLOW_PLAIN);
    }
}

static struct follow_plan see_followed(const struct follow *follow, const struct verb_use *use,
                                       const struct follow_where *where)
{
    struct follow_plan plan;

    if (!follow->sent_watch && !follow->is_kept)
        return here(where);
    plan = own(use->need == VERB_SELECT  ? FOLLOW_SELECT
               : use->need == VERB_HELLO ? FOLLOW_HELLO
                                         : FOLLOW_PLAIN);
    return plan;
}

/* WAIT is about the writes that its connection made. Redis takes for these whatever had been
 * written, by anybody, when the connection's last command was executed (processCommand:
 * c->woff = server.master_repl_offset): so a PING ahead of it says what all others have made. */
static struct follow_plan see_unqueued(const struct follow *follow, const struct verb_use *use,
                                       const struct follow_where *where)
{
    switch ((int)use->need) {
    case VERB_SHARED:
        return share(follow, where);
    case VERB_BLOCKING:
        return patient(false);
    case VERB_WAIT:
        return patient(true);
    case VERB_MULTI:
        return own(FOLLOW_MULTI);
    case VERB_WATCH:
        return own(FOLLOW_WATCH);
    case VERB_EXEC: /* there is no MULTI, and Redis says so */
    case VERB_DISCARD:
        return share(follow, where);
    case VERB_UNWATCH:
        return follow->sent_watch ? own(FOLLOW_UNWATCH) : share(follow, where);
    case VERB_BLIND:
        return blind(where);
    case VERB_SELECT:
    case VERB_AUTH:
    case VERB_HELLO:
        return see_followed(follow, use, where);
    case VERB_SUBSCRIBE:
    case VERB_UNSUBSCRIBE:
        return where->is_large ? blind(where) : here(where);
    case VERB_CLIENT_SETNAME:
    case VERB_CLIENT_GETNAME:
    case VERB_CLIENT_ID:
        return here(where);
    case VERB_CLIENT_SETINFO: /* which library speaks; of no consequence for anybody */
        return share(follow, where);
    default:
        return own(FOLLOW_PLAIN);
    }
}

struct follow_plan follow_see(const struct follow *follow, const struct verb_use *use,
                              const struct follow_where *where)
{
    struct follow_plan plan;

    ASSERT(!follow->is_blind);
    if (use->need == VERB_ATTACK)
        return (struct follow_plan){.step = FOLLOW_END};
    if (use->need == VERB_QUIT || use->need == VERB_RESET)
        return here(where);
    plan = follow->sent_multi ? see_queued(use, where) : see_unqueued(follow, use, where);
    if (plan.step == FOLLOW_OWN && where->is_owed && (!where->has_own || where->is_blocked))
        plan.step = FOLLOW_LATER; /* what is not sent yet is not late */
    return plan;
}

/* ---- what was sent, and what came of it -------------------------------------------------- */

void follow_sent(struct follow *follow, const struct verb_use *use)
{
    switch ((int)use->need) {
    case VERB_MULTI:
        follow->sent_multi = true;
        break;
    case VERB_EXEC:
    case VERB_DISCARD:
        follow->sent_multi = follow->sent_watch = false;
        break;
    case VERB_WATCH:
        follow->sent_watch = true;
        break;
    case VERB_UNWATCH:
        follow->sent_watch = follow->sent_watch && follow->sent_multi;
        break;
    case VERB_SELECT: /* queued, it happens when nobody looks */
        follow->is_kept |= follow->sent_multi;
        break;
    case VERB_AUTH: /* whose connection it is now, nobody else knows */
    case VERB_HELLO:
    case VERB_CLIENT_SETNAME:
    case VERB_KEEPS:
        follow->is_kept = true;
        break;
    default:
        break;
    }
}

static bool begins(struct slice first, const char *with)
{
    size_t length = strlen(with);

    return first.length >= length && memcmp(first.at, with, length) == 0;
}

/* An array or a null: it was executed, or not for what was watched. A refusal of another kind
 * leaves open whether the transaction is still there. */
static void end_transaction(struct follow *follow, struct slice first)
{
    if (begins(first, "*") || begins(first, "_") || begins(first, "+OK") ||
        begins(first, "-EXECABORT"))
        follow->in_multi = follow->is_watching = false;
    else if (begins(first, "-ERR EXEC without MULTI") || begins(first, "-ERR DISCARD without"))
        follow->in_multi = false;
    else
        follow->is_kept = true;
}

void follow_heard(struct follow *follow, const struct trunk_note *note, struct slice first)
{
    bool ok = begins(first, "+OK");

    switch (note->kind) {
    case FOLLOW_MULTI:
        follow->in_multi |= ok;
        break;
    case FOLLOW_EXEC:
    case FOLLOW_DISCARD:
        end_transaction(follow, first);
        break;
    case FOLLOW_WATCH:
        follow->is_watching |= ok;
        break;
    case FOLLOW_UNWATCH:
        follow->is_watching &= !ok;
        break;
    case FOLLOW_BLOCKING: /* if CLIENT PAUSE had stopped it, it is still to come (trunk.c) */
        follow->is_kept |= begins(first, "-UNBLOCKED");
        break;
    case FOLLOW_SELECT:
        if (ok)
            follow->db = note->argument;
        break;
    case FOLLOW_HELLO:
        if (!begins(first, "-") && (note->argument == 2 || note->argument == 3))
            follow->protocol = (uint8_t)note->argument;
        break;
    default:
        break;
    }
}

void follow_settle(struct follow *follow)
{
    follow->sent_multi = follow->in_multi;
    follow->sent_watch = follow->is_watching;
}

bool follow_is_free(const struct follow *follow)
{
    return !follow->in_multi && !follow->is_watching && !follow->is_kept && !follow->is_blind;
}
