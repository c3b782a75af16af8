/*
 * proxy/fronts/redis/guest_parts.h - what the parts of a guest call each other for.
 *
 *      guest.c        its life: states, waiting, the end
 *      guest_take.c   what it sends
 *      guest_hear.c   what it is sent
 *      guest_here.c   what is answered here and not by Redis
 *      guest_auth.c   who it is
 *      guest_subscribe.c   what it has subscribed to
 */
#ifndef PROXY_FRONTS_REDIS_GUEST_PARTS_H
#define PROXY_FRONTS_REDIS_GUEST_PARTS_H

#include "proxy/fronts/redis/door.h"
#include "proxy/fronts/redis/guest.h"
#include "proxy/fronts/redis/upstream.h"

/* More than that queued for one side, and the other is not read until it has been taken. */
enum { GUEST_MOST_QUEUED = 256 * 1024 };

/* What the trunk notes beside follow.h's kinds; these replies are ours. */
enum guest_kind {
    GUEST_OURS = FOLLOW_KIND_COUNT, /* must be +OK, and is shown to nobody */
    GUEST_CHECK,                    /* whether the claim is true */
};

/* In Redis's words. */
#define GUEST_BAD_NAME                                                                             \
    "-ERR Client names cannot contain spaces, newlines or special characters.\r\n"
#define GUEST_HELLO_NOAUTH                                                                         \
    "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO "     \
    "<proto> AUTH <user> <pass> option can be used to authenticate the client and select the "     \
    "RESP protocol version at the same time\r\n"

struct guest_claim {
    struct bytes name, password; /* no name: Redis's default user */
};

/* ---- guest.c ----------------------------------------------------------------------------- */

/* Something has changed: which state it is in follows from what it has. */
void guest_settle(struct guest *guest);

/* What is queued for it is sent, and then it goes. */
void guest_leave(struct guest *guest);

bool guest_is_waiting(const struct guest *guest);
bool guest_is_going(const struct guest *guest);

/* An error of Redis in its words, without what is around them. */
void guest_hear_error(struct slice first, char words[TRUNK_FIRST]);

/* Bytes for the client. guest_answer: of a request that is not passed on. */
void guest_write(struct guest *guest, struct slice bytes);
void guest_answer(struct guest *guest, const char *format, ...) PRINTF_LIKE(2, 3);

/* A message: behind the reply that is on its way. What waits to be sent, messages included. */
void guest_hear_message(struct guest *guest, struct slice bytes);

/* Nothing is owed: its own line goes back if nothing is left in it. */
void guest_hear_no_more(struct guest *guest);
size_t guest_hear_queued(const struct guest *guest);

/* Without a word: something it relies on has ended. */
void guest_end(struct guest *guest, const char *why);

/* ---- guest_take.c ------------------------------------------------------------------------ */

size_t guest_take(struct guest *guest, struct slice in);

/* Requests in whole over its lane, which must be open. */
void guest_take_shared(struct guest *guest, struct slice bytes, uint32_t count);

/* ---- guest_here.c ------------------------------------------------------------------------ */

/* Answers the request, or does what it asks for. False: not yet; the guest waits for something,
 * and the request will be seen again. */
bool guest_here(struct guest *guest, const struct request *request,
                const struct verb_use *use) MUST_CHECK;

/* Whether an argument is that word, in any case. */
bool guest_here_is_word(struct slice argument, const char *word);

/* ---- guest_auth.c ------------------------------------------------------------------------ */

/* Whether it is who it says: name.at is NULL for Redis's default user. False: that is being asked,
 * or something went wrong; the request will be seen again, and then it is true or refused. */
bool guest_auth(struct guest *guest, struct slice name, struct slice password) MUST_CHECK;
void guest_auth_hear(struct guest *guest, struct slice first);
void guest_auth_forget(struct guest *guest);

/* The claim is nobody's any more. */
void guest_auth_free(struct guest *guest);

/* ---- guest_subscribe.c ------------------------------------------------------------------- */

/* The whole request, as a multibulk of so many arguments. */
void guest_subscribe(struct guest *guest, struct slice multibulk, size_t count,
                     const struct verb_use *use);
void guest_subscribe_end(struct guest *guest);

/* Whether replies to that are to come; whether it has subscribed to anything. */
bool guest_subscribe_is_owed(const struct guest *guest);
bool guest_subscribe_is_on(const struct guest *guest);

/* Whether so many are to come that no more may be asked for; in which protocol, from now on. */
bool guest_subscribe_is_full(const struct guest *guest);
void guest_subscribe_speak(struct guest *guest);

/* Who subscribes in RESP2 may say little else: whether that was answered here. */
bool guest_subscribe_answers(struct guest *guest, const struct request *request,
                             const struct verb_use *use);

#endif
