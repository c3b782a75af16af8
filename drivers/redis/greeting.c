#include "drivers/redis/greeting.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum step { AUTH, SETNAME, SELECT, HELLO };

/* What a refusal means, if it does not say so itself. SETNAME's means nothing. */
static const struct {
    const char *name;
    enum err refused;
} steps[] = {
    [AUTH] = {"AUTH", ERR_WRONG_PASSWORD},
    [SETNAME] = {"CLIENT SETNAME", ERR_OK},
    [SELECT] = {"SELECT", ERR_NO_DATABASE},
    [HELLO] = {"HELLO", ERR_NOT_SUPPORTED},
};

/* What errors say themselves, whatever was asked (Redis: server.c, createSharedObjects;
 * networking.c, acceptCommonHandler). */
static const struct {
    const char *begins;
    enum err means;
} errors[] = {
    {"WRONGPASS", ERR_WRONG_PASSWORD}, {"NOAUTH", ERR_NO_ENTRY},
    {"NOPERM", ERR_NO_ENTRY},          {"DENIED", ERR_NO_ENTRY}, /* protected mode */
    {"LOADING", ERR_BACKEND_DOWN},     {"BUSY", ERR_BACKEND_DOWN},
    {"MASTERDOWN", ERR_BACKEND_DOWN},  {"ERR max number of clients", ERR_BACKEND_DOWN},
};

/* What HELLO is answered by servers that do not know it, or not for this user. */
static const char *const knows_no_hello[] = {"ERR unknown", "NOPERM", "NOPROTO"};

/* ---- saying ------------------------------------------------------------------------------ */

static void say(struct greeting *greeting, struct bytes *out, enum step step,
                const struct slice *words, size_t count)
{
    const char *argv[4];
    size_t lengths[4];
    char *command;
    long long length; /* int before hiredis 1.0 */

    ASSERT(count <= COUNT_OF(argv));
    for (size_t i = 0; i < count; i++) {
        argv[i] = words[i].length > 0 ? (const char *)words[i].at : "";
        lengths[i] = words[i].length;
    }
    length = redisFormatCommandArgv(&command, (int)count, argv, lengths);
    if (length < 0) {
        out->failed = true;
        return;
    }
    bytes_add(out, command, (size_t)length);
    redisFreeCommand(command);
    greeting->steps[greeting->count++] = (uint8_t)step;
}

static void say_auth(struct greeting *greeting, struct bytes *out,
                     const struct greeting_wishes *wishes)
{
    struct slice words[3] = {SLICE("AUTH")};
    size_t count = 1;

    if (wishes->user.at != NULL)
        words[count++] = wishes->user;
    words[count++] = wishes->password;
    say(greeting, out, AUTH, words, count);
}

static void say_number(struct greeting *greeting, struct bytes *out, enum step step, int number)
{
    char digits[16];
    int length = snprintf(digits, sizeof(digits), "%d", number);
    struct slice words[] = {{(const uint8_t *)steps[step].name, strlen(steps[step].name)},
                            {(const uint8_t *)digits, (size_t)length}};

    say(greeting, out, step, words, 2);
}

void greeting_init(struct greeting *greeting, const struct greeting_wishes *wishes,
                   struct bytes *out)
{
    struct slice setname[] = {SLICE("CLIENT"), SLICE("SETNAME"), wishes->client_name};

    memset(greeting, 0, sizeof(*greeting));
    greeting->wants_resp3 = wishes->protocol == 3;
    greeting->anonymous = wishes->anonymous;
    if (wishes->password.at != NULL)
        say_auth(greeting, out, wishes);
    if (wishes->client_name.length > 0)
        say(greeting, out, SETNAME, setname, 3);
    if (wishes->database != 0)
        say_number(greeting, out, SELECT, wishes->database);
    say_number(greeting, out, HELLO, wishes->protocol);
}

void greeting_fini(struct greeting *greeting)
{
    bytes_free(&greeting->in);
}

/* ---- refusals ---------------------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
    return strncasecmp(text, with, strlen(with)) == 0;
}

static enum greeting_found fail(struct greeting *greeting, enum err e)
{
    greeting->err = e;
    greeting->reply[0] = '\0';
    return GREETING_REFUSED;
}

static enum err meaning(const struct greeting *greeting, enum step step)
{
    for (size_t i = 0; i < COUNT_OF(errors); i++)
        if (begins(greeting->reply, errors[i].begins))
            return errors[i].means;
    return steps[step].refused;
}

/* Old servers know no HELLO, and a user may not be allowed to. Then the version is not known. */
static bool may_pass(const struct greeting *greeting, enum step step)
{
    if (greeting->anonymous && begins(greeting->reply, "NOAUTH"))
        return step == SETNAME || (step == HELLO && !greeting->wants_resp3);
    if (step == SETNAME)
        return meaning(greeting, step) == ERR_OK || begins(greeting->reply, "NOPERM");
    if (step != HELLO || greeting->wants_resp3)
        return false;
    for (size_t i = 0; i < COUNT_OF(knows_no_hello); i++)
        if (begins(greeting->reply, knows_no_hello[i]))
            return true;
    return false;
}

static enum greeting_found refuse(struct greeting *greeting, enum step step)
{
    if (may_pass(greeting, step))
        return GREETING_MORE;
    greeting->err = meaning(greeting, step);
    return GREETING_REFUSED;
}

void greeting_end(struct greeting *greeting)
{
    greeting->err = greeting->reply[0] != '\0' ? ERR_BACKEND_DOWN : ERR_BACKEND_LOST;
}

const char *greeting_asked(const struct greeting *greeting)
{
    return greeting->reply[0] != '\0' && greeting->next > 0
               ? steps[greeting->steps[greeting->next - 1]].name
               : NULL;
}

/* ---- answers ----------------------------------------------------------------------------- */

static void keep_error(struct greeting *greeting, const redisReply *reply)
{
    size_t length = (size_t)reply->len < GREETING_REPLY ? (size_t)reply->len : GREETING_REPLY - 1;

    memcpy(greeting->reply, reply->str, length);
    greeting->reply[length] = '\0';
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)greeting->reply[i] < ' ')
            greeting->reply[i] = ' ';
}

/* A line of RESP2, whole. */
static enum greeting_found read_line(struct greeting *greeting, enum step step, struct slice line)
{
    redisReader *reader = redisReaderCreate();
    redisReply *reply = NULL;
    enum greeting_found found = GREETING_MORE;

    if (reader == NULL || redisReaderFeed(reader, (const char *)line.at, line.length) != REDIS_OK ||
        redisReaderGetReply(reader, (void **)&reply) != REDIS_OK || reply == NULL) {
        found = fail(greeting, reader != NULL && reader->err == REDIS_ERR_PROTOCOL ? ERR_PROTOCOL
                                                                                   : ERR_NO_MEMORY);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        keep_error(greeting, reply);
        found = refuse(greeting, step);
    } else {
        greeting->reply[0] = '\0';
    }
    if (reply != NULL)
        freeReplyObject(reply);
    if (reader != NULL)
        redisReaderFree(reader);
    return found;
}

static unsigned read_part(const uint8_t **at, const uint8_t *end)
{
    unsigned value = 0;

    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
        value = value < 100 ? value * 10 + (unsigned)(**at - '0') : 255;
    if (*at < end && **at == '.')
        (*at)++;
    return value < 255 ? value : 255;
}

/* In both protocols the pair stands there as two bulks; server, version and proto come before
 * what others may have named (networking.c, helloCommand). */
static void read_version(struct greeting *greeting, struct slice map)
{
    static const char key[] = "$7\r\nversion\r\n$";
    const uint8_t *at = memmem(map.at, map.length, key, sizeof(key) - 1);
    const uint8_t *end = map.at + map.length, *line;
    unsigned parts[3];

    if (at == NULL)
        return;
    at += sizeof(key) - 1;
    line = memchr(at, '\n', (size_t)(end - at));
    if (line == NULL)
        return;
    at = line + 1;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        parts[i] = read_part(&at, end);
    greeting->version = parts[0] << 16 | parts[1] << 8 | parts[2];
}

static enum greeting_found read_answer(struct greeting *greeting, struct slice answer)
{
    enum step step = greeting->steps[greeting->next++];
    uint8_t kind = greeting->resp.kind;

    if (kind == '-' || (kind == '+' && step != HELLO))
        return read_line(greeting, step, answer);
    if (step != HELLO || kind != (greeting->wants_resp3 ? '%' : '*'))
        return fail(greeting, ERR_PROTOCOL);
    greeting->reply[0] = '\0';
    read_version(greeting, answer);
    return GREETING_MORE;
}

/* One more answer is whole, or more must come, or neither will be. */
static enum resp_found frame(struct greeting *greeting)
{
    struct slice rest = {greeting->in.at + greeting->framed,
                         greeting->in.length - greeting->framed};
    enum resp_found found;
    size_t used;

    found = resp_read(&greeting->resp, rest, &used);
    greeting->framed += used;
    return found;
}

static void drop_answer(struct greeting *greeting)
{
    struct bytes *in = &greeting->in;

    memmove(in->at, in->at + greeting->framed, in->length - greeting->framed);
    in->length -= greeting->framed;
    greeting->framed = 0;
}

enum greeting_found greeting_read(struct greeting *greeting, struct slice in)
{
    enum resp_found framed = RESP_MORE;
    enum greeting_found found;

    greeting->heard += in.length;
    if (greeting->heard > GREETING_MOST)
        return fail(greeting, ERR_PROTOCOL);
    bytes_add(&greeting->in, in.at, in.length);
    if (greeting->in.failed)
        return fail(greeting, ERR_NO_MEMORY);
    while (greeting->next < greeting->count && greeting->in.length > 0 &&
           (framed = frame(greeting)) == RESP_WHOLE) {
        found = read_answer(greeting, (struct slice){greeting->in.at, greeting->framed});
        if (found != GREETING_MORE)
            return found;
        drop_answer(greeting);
    }
    if (framed == RESP_BROKEN || (greeting->next == greeting->count && greeting->in.length > 0))
        return fail(greeting, ERR_PROTOCOL);
    return greeting->next == greeting->count ? GREETING_WELCOME : GREETING_MORE;
}
