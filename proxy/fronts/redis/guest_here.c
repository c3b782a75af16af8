#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/fronts/redis/guest_parts.h"

/* No connection of Redis itself has such a number, so that none is hit by it (CLIENT KILL). */
#define FIRST_ID (1ull << 40)

bool guest_here_is_word(struct slice argument, const char *word)
{
    size_t length = strlen(word);

    return argument.length == length && strncasecmp((const char *)argument.at, word, length) == 0;
}

/* From now on its requests go there. */
static void move_to(struct guest *guest, struct shared *shared)
{
    shared_join(shared, guest);
    guest->follow.db = shared->key.db;
    guest->follow.protocol = (uint8_t)shared->key.protocol;
    guest_subscribe_speak(guest);
}

/* A shared whose lines could be opened once. NULL: not yet, or for want of memory. */
static struct shared *reach(struct guest *guest, struct identity *identity, int32_t db,
                            unsigned protocol, bool now)
{
    struct shared *shared = shared_find(identity, db, protocol);
    struct shared_lane *lane;

    if (shared == NULL) {
        guest_fail(guest, ERR_NO_MEMORY, NULL);
        return NULL;
    }
    lane = shared_lane(shared, guest->id);
    if (now ? shared_lane_is_open(lane) : shared->is_proven)
        return shared;
    shared_wait(lane, guest);
    return NULL;
}

/* ---- SELECT ------------------------------------------------------------------------------ */

static bool select_database(struct guest *guest, const struct request *request)
{
    struct shared *shared;
    int32_t db = 0;

    for (size_t i = 0; i < request->args[1].length; i++) /* verb.h: it is one, and not too large */
        db = db * 10 + (request->args[1].at[i] - '0');
    if (!upstream_has_database(guest->upstream, db)) {
        guest_answer(guest, "-ERR DB index is out of range\r\n");
        return true;
    }
    if (db != guest->follow.db) {
        shared = reach(guest, guest->identity, db, guest->follow.protocol, false);
        if (shared == NULL)
            return false;
        move_to(guest, shared);
    }
    guest_answer(guest, "+OK\r\n");
    return true;
}

/* ---- names ------------------------------------------------------------------------------- */

/* As Redis has it (networking.c, clientSetName): printable, and no blanks. */
static bool name_is_valid(struct slice name)
{
    for (size_t i = 0; i < name.length; i++)
        if (name.at[i] < '!' || name.at[i] > '~')
            return false;
    return true;
}

static bool take_name(struct guest *guest, struct slice name)
{
    char *copy = NULL;

    if (name.length > 0 && (copy = strndup((const char *)name.at, name.length)) == NULL) {
        guest_fail(guest, ERR_NO_MEMORY, NULL);
        return false;
    }
    free(guest->name);
    guest->name = copy;
    return true;
}

static bool set_name(struct guest *guest, const struct request *request)
{
    if (!name_is_valid(request->args[2])) {
        guest_answer(guest, GUEST_BAD_NAME);
        return true;
    }
    if (!take_name(guest, request->args[2]))
        return false;
    guest_answer(guest, "+OK\r\n");
    return true;
}

static void get_name(struct guest *guest)
{
    char head[32];
    struct slice parts[3];

    if (guest->name == NULL) {
        guest_answer(guest, guest->follow.protocol == 3 ? "_\r\n" : "$-1\r\n");
        return;
    }
    parts[1] = (struct slice){(const uint8_t *)guest->name, strlen(guest->name)};
    parts[0] = (struct slice){(const uint8_t *)head,
                              (size_t)snprintf(head, sizeof(head), "$%zu\r\n", parts[1].length)};
    parts[2] = SLICE("\r\n");
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        guest_write(guest, parts[i]);
}

/* ---- AUTH and HELLO ---------------------------------------------------------------------- */

static const struct slice nobody = {0};

/* AUTH password, or AUTH user password. */
static bool authenticate(struct guest *guest, const struct request *request)
{
    bool named = request->count > 2;

    if (!guest_auth(guest, named ? request->args[1] : nobody, request->args[named ? 2 : 1]))
        return false;
    guest_answer(guest, "+OK\r\n");
    return true;
}

struct hello {
    unsigned protocol;
    bool has_user, has_name;
    struct slice user, password, name;
    struct slice unknown; /* option */
};

static bool read_options(const struct request *request, struct hello *hello)
{
    const struct slice *args = request->args;

    for (size_t i = 2; i < request->count; i++) {
        if (i + 2 < request->count && guest_here_is_word(args[i], "auth")) {
            hello->has_user = true;
            hello->user = args[i + 1];
            hello->password = args[i + 2];
            i += 2;
        } else if (i + 1 < request->count && guest_here_is_word(args[i], "setname")) {
            hello->has_name = true;
            hello->name = args[++i];
        } else {
            hello->unknown = args[i];
            return false;
        }
    }
    return true;
}

static bool is_number(struct slice text)
{
    size_t sign = text.length > 1 && text.at[0] == '-';

    for (size_t i = sign; i < text.length; i++)
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
    return text.length > 0 && text.length < 19;
}

/* As Redis shows it: on one line. */
static void refuse_option(struct guest *guest, struct slice option)
{
    char text[128];
    size_t length = option.length < sizeof(text) - 1 ? option.length : sizeof(text) - 1;

    for (size_t i = 0; i < length; i++)
        text[i] = option.at[i] == '\r' || option.at[i] == '\n' ? ' ' : (char)option.at[i];
    text[length] = '\0';
    guest_answer(guest, "-ERR Syntax error in HELLO option '%s'\r\n", text);
}

/* What is wrong with it, in Redis's words (networking.c, helloCommand). */
static bool read_hello(struct guest *guest, const struct request *request, struct hello *hello)
{
    struct slice version = request->args[1];

    *hello = (struct hello){.protocol = version.at[0] == '3' ? 3 : 2};
    if (!is_number(version))
        guest_answer(guest, "-ERR Protocol version is not an integer or out of range\r\n");
    else if (version.length != 1 || (version.at[0] != '2' && version.at[0] != '3'))
        guest_answer(guest, "-NOPROTO unsupported protocol version\r\n");
    else if (request->count > request->shown || !read_options(request, hello))
        refuse_option(guest, hello->unknown);
    else if (hello->has_name && !name_is_valid(hello->name))
        guest_answer(guest, GUEST_BAD_NAME);
    else
        return true;
    return false;
}

/* Over a shared line that speaks that protocol already, HELLO with its number and no more
 * changes nothing, and Redis describes itself. */
static void ask_hello(struct guest *guest, unsigned protocol)
{
    static const char *const text[] = {"*1\r\n$5\r\nHELLO\r\n", "*2\r\n$5\r\nHELLO\r\n$1\r\n2\r\n",
                                       "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"};
    const char *hello = text[protocol == 0 ? 0 : protocol - 1];

    guest_take_shared(guest, (struct slice){(const uint8_t *)hello, strlen(hello)}, 1);
}

static bool greet(struct guest *guest, const struct request *request)
{
    struct hello hello = {0};
    struct shared *shared;
    bool is_bare = request->count < 2;

    if (!is_bare && !read_hello(guest, request, &hello))
        return true;
    if (!is_bare && hello.has_user && !guest_auth(guest, hello.user, hello.password))
        return false;
    if (guest->identity == NULL) {
        guest_answer(guest, GUEST_HELLO_NOAUTH);
        return true;
    }
    shared = reach(guest, guest->identity, guest->follow.db,
                   is_bare ? guest->follow.protocol : hello.protocol, true);
    if (shared == NULL) {
        /* It will be seen again, and needs not be asked who it is then. */
        guest->claim_is_true = !is_bare && hello.has_user;
        return false;
    }
    move_to(guest, shared);
    if (!is_bare && hello.has_name && !take_name(guest, hello.name))
        return false;
    ask_hello(guest, is_bare ? 0 : hello.protocol);
    return true;
}

/* ---- the rest ---------------------------------------------------------------------------- */

static void reset(struct guest *guest)
{
    if (guest->own.line != NULL)
        dedicated_leave(guest, POOL_LEFT_UNKNOWN);
    guest_subscribe_end(guest);
    guest->has_doubt = guest->outlives_reset = guest->is_heavy = false;
    guest->identity = upstream_first_identity(guest->upstream);
    shared_join(NULL, guest);
    follow_init(&guest->follow);
    guest->follow.db = guest->upstream->config->url.database;
    free(guest->name);
    guest->name = NULL;
}

bool guest_here(struct guest *guest, const struct request *request, const struct verb_use *use)
{
    switch ((int)use->need) {
    case VERB_SELECT:
        return select_database(guest, request);
    case VERB_AUTH:
        return authenticate(guest, request);
    case VERB_HELLO:
        return greet(guest, request);
    case VERB_CLIENT_SETNAME:
        return set_name(guest, request);
    case VERB_CLIENT_GETNAME:
        get_name(guest);
        return true;
    case VERB_CLIENT_ID:
        guest_answer(guest, ":%llu\r\n", (unsigned long long)(FIRST_ID + guest->id));
        return true;
    case VERB_RESET:
        reset(guest);
        guest_answer(guest, "+RESET\r\n");
        return true;
    case VERB_QUIT:
        guest_answer(guest, "+OK\r\n");
        guest_leave(guest);
        return true;
    default:
        REQUIRE(false);
        return true;
    }
}
