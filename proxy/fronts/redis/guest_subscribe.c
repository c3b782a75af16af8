#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/fronts/redis/guest_parts.h"
#include "proxy/fronts/redis/pubsub.h"

/* So many commands of one guest may wait for Redis. */
enum { MOST_COMMANDS = 1024 };

/* ---- subscribing ------------------------------------------------------------------------- */

/* The next "$length CR LF bytes CR LF" of a request that is known to be whole and right. */
static struct slice next_argument(const uint8_t **at)
{
    size_t length = 0;

    for ((*at)++; **at != '\r'; (*at)++)
        length = length * 10 + (size_t)(**at - '0');
    *at += 2 + length + 2;
    return (struct slice){*at - length - 2, length};
}

/* All its arguments but the first; to be freed. */
static struct slice *read_names(struct slice multibulk, size_t count)
{
    const uint8_t *at = memchr(multibulk.at, '\n', multibulk.length);
    struct slice *names = malloc(count * sizeof(*names) + 1);

    if (names == NULL)
        return NULL;
    at++;
    (void)next_argument(&at);
    for (size_t i = 0; i < count; i++)
        names[i] = next_argument(&at);
    return names;
}

/* Who subscribes to nothing may become another user's ear. */
static enum err have_ear(struct guest *guest)
{
    struct pubsub *pubsub;

    if (guest->ear != NULL && guest->ear->pubsub->identity != guest->identity &&
        !topics_is_subscribed(&guest->ear->subscriber) && !topics_is_owed(&guest->ear->subscriber))
        guest_subscribe_end(guest);
    if (guest->ear == NULL && (pubsub = pubsub_of(guest->identity)) != NULL)
        guest->ear = pubsub_join(pubsub, guest);
    if (guest->ear == NULL)
        return ERR_NO_MEMORY;
    guest_subscribe_speak(guest);
    return ERR_OK;
}

/* What Redis lets one user hear it may not let another. */
static bool is_somebody_elses(const struct guest *guest)
{
    return guest->ear->pubsub->identity != guest->identity;
}

void guest_subscribe(struct guest *guest, struct slice multibulk, size_t count,
                     const struct verb_use *use)
{
    struct slice *names = read_names(multibulk, count - 1);
    enum heard_kind kind = (enum heard_kind)use->subscription;
    enum err e = names != NULL ? have_ear(guest) : ERR_NO_MEMORY;

    if (e == ERR_OK && use->need == VERB_SUBSCRIBE && is_somebody_elses(guest))
        guest_fail(guest, ERR_PROTOCOL, "weir: subscribed as another user, and not at an end");
    else if (e == ERR_OK && use->need == VERB_SUBSCRIBE)
        e = pubsub_subscribe(guest->ear, kind, names, count - 1);
    else if (e == ERR_OK)
        e = pubsub_unsubscribe(guest->ear, kind, names, count - 1);
    free(names);
    if (e != ERR_OK)
        guest_fail(guest, e, NULL);
}

void guest_subscribe_end(struct guest *guest)
{
    struct pubsub_ear *ear = guest->ear;

    guest->ear = NULL;
    pubsub_leave(ear);
}

bool guest_subscribe_is_owed(const struct guest *guest)
{
    return guest->ear != NULL && topics_is_owed(&guest->ear->subscriber);
}

bool guest_subscribe_is_on(const struct guest *guest)
{
    return guest->ear != NULL && topics_is_subscribed(&guest->ear->subscriber);
}

bool guest_subscribe_is_full(const struct guest *guest)
{
    return guest->ear != NULL && guest->ear->subscriber.commands.length >= MOST_COMMANDS;
}

void guest_subscribe_speak(struct guest *guest)
{
    if (guest->ear != NULL)
        guest->ear->subscriber.is_resp3 = guest->follow.protocol == 3;
}

/* ---- what a subscriber may say ----------------------------------------------------------- */

static void pong(struct guest *guest, struct slice echo)
{
    char head[64];
    int length = snprintf(head, sizeof(head), "*2\r\n$4\r\npong\r\n$%zu\r\n", echo.length);

    guest_write(guest, (struct slice){(const uint8_t *)head, (size_t)length});
    if (echo.length > 0)
        guest_write(guest, echo);
    guest_write(guest, SLICE("\r\n"));
}

/* Redis says "config|get" for CONFIG GET. */
static bool has_parts(const char *name)
{
    static const char *const containers[] = {"acl",      "client",  "cluster", "command", "config",
                                             "function", "latency", "memory",  "module",  "object",
                                             "pubsub",   "script",  "slowlog", "xgroup",  "xinfo"};

    for (size_t i = 0; i < COUNT_OF(containers); i++)
        if (strcmp(containers[i], name) == 0)
            return true;
    return false;
}

static void copy_lower(char *to, size_t size, struct slice from)
{
    size_t length = from.length < size - 1 ? from.length : size - 1;

    for (size_t i = 0; i < length; i++)
        to[i] = (char)(isprint(from.at[i]) ? tolower(from.at[i]) : '?');
    to[length] = '\0';
}

static void refuse(struct guest *guest, const struct request *request)
{
    char name[64], part[64];
    bool parted;

    copy_lower(name, sizeof(name), request->shown > 0 ? request->args[0] : SLICE(""));
    parted = request->shown > 1 && has_parts(name);
    copy_lower(part, sizeof(part), parted ? request->args[1] : SLICE(""));
    guest_answer(guest,
                 "-ERR Can't execute '%s%s%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / "
                 "QUIT / RESET are allowed in this context\r\n",
                 name, parted ? "|" : "", part);
}

bool guest_subscribe_answers(struct guest *guest, const struct request *request,
                             const struct verb_use *use)
{
    if (guest->follow.protocol == 3 || !guest_subscribe_is_on(guest))
        return false;
    switch ((int)use->need) {
    case VERB_SUBSCRIBE:
    case VERB_UNSUBSCRIBE:
    case VERB_QUIT:
    case VERB_RESET:
    case VERB_ATTACK:
        return false;
    default:
        break;
    }
    if (!use->is_known) /* that it does not know, or not so, Redis says first */
        return false;
    if (request->count <= 2 && request->shown == request->count &&
        guest_here_is_word(request->args[0], "ping"))
        pong(guest, request->count == 2 ? request->args[1] : (struct slice){0});
    else
        refuse(guest, request);
    return true;
}
