/*
 * drivers/redis/greeting.h - the first words between us and a Redis server. Pure.
 *
 *      greeting_init(&greeting, &wishes, &out);            out: to be sent, in one write
 *      switch (greeting_read(&greeting, in)) {             in: all that came since
 *      case GREETING_MORE:     wait for more of it
 *      case GREETING_WELCOME:  logged in; greeting.version
 *      case GREETING_REFUSED:  greeting.err, and greeting.reply if Redis said it
 *      }
 *      greeting_end(&greeting);                            it closed instead: REFUSED, and why
 *      greeting_fini(&greeting);
 *
 *      AUTH [user] password        if there is a password
 *      CLIENT SETNAME name         if there is a name; refused or not
 *      SELECT db                   if it is not 0
 *      HELLO 2 | HELLO 3           always: its answer has the server's version. Redis before 6
 *                                  does not know it, which matters only for RESP3
 *
 * Where Redis wants a password, who is anonymous is welcome all the same, to say AUTH later; but
 * neither in another database nor with RESP3, since both would have been refused.
 *
 * HELLO comes last, since until then all answers are RESP2 lines: hiredis reads those, and that
 * of Debian 12 reads no RESP3. The answer to HELLO is framed by resp.h.
 *
 * A server that speaks unasked, or says more than it was asked for, is out of step: it is
 * refused, and so is one that says more than GREETING_MOST bytes.
 */
#ifndef DRIVERS_REDIS_GREETING_H
#define DRIVERS_REDIS_GREETING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"
#include "drivers/redis/resp.h"

enum {
    GREETING_MOST = 256 * 1024, /* HELLO lists the modules, and those their arguments */
    GREETING_STEPS = 4,
    GREETING_REPLY = 512, /* of an error so much is kept */
};

/* Lent for greeting_init. */
struct greeting_wishes {
    struct slice user, password; /* with .at NULL: none. No user without a password */
    struct slice client_name;
    int database;
    int protocol;
    bool anonymous; /* is welcome though it is not logged in, if that is all that is wrong */
};

enum greeting_found { GREETING_MORE, GREETING_WELCOME, GREETING_REFUSED };

struct greeting {
    uint8_t steps[GREETING_STEPS], count, next; /* greeting.c: enum step */
    bool wants_resp3, anonymous;
    struct bytes in;  /* the answers not read yet */
    size_t framed;    /* so much of it belongs to the answer begun */
    size_t heard;     /* bytes in all */
    struct resp resp; /* where in it we are */
    unsigned version; /* of the server, as 0x070015 for 7.0.21; 0 if it does not say */
    enum err err;
    char reply[GREETING_REPLY]; /* an error of Redis without its '-'; else "" */
};

/* Adds the commands to out, which fails with them for want of memory. */
void greeting_init(struct greeting *greeting, const struct greeting_wishes *wishes,
                   struct bytes *out);
void greeting_fini(struct greeting *greeting);

enum greeting_found greeting_read(struct greeting *greeting, struct slice in) MUST_CHECK;

/* The server has closed. What it said before, and we let pass, may have been the reason. */
void greeting_end(struct greeting *greeting);

/* What the server was asked when it refused: "AUTH"; NULL if it refused nothing. */
const char *greeting_asked(const struct greeting *greeting);

#endif
