#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/redis/resp.h"
#include "proxy/fronts/postgres/secret.h"
#include "proxy/fronts/redis/guest_parts.h"

static void wipe(struct bytes *bytes)
{
    if (bytes->at != NULL)
        OPENSSL_cleanse(bytes->at, bytes->capacity);
    bytes_free(bytes);
}

void guest_auth_free(struct guest *guest)
{
    if (guest->claim == NULL)
        return;
    wipe(&guest->claim->name);
    wipe(&guest->claim->password);
    free(guest->claim);
    guest->claim = NULL;
}

static enum err claim(struct guest *guest, struct slice name, struct slice password)
{
    guest_auth_free(guest);
    guest->claim = calloc(1, sizeof(*guest->claim));
    if (guest->claim == NULL)
        return ERR_NO_MEMORY;
    bytes_add(&guest->claim->name, name.at, name.length);
    bytes_add(&guest->claim->password, password.at, password.length);
    return guest->claim->name.failed || guest->claim->password.failed ? ERR_NO_MEMORY : ERR_OK;
}

static struct slice of(const struct bytes *bytes)
{
    return (struct slice){bytes->at, bytes->length};
}

/* ---- the answer -------------------------------------------------------------------------- */

/* The request that asked is due again, and finds it true, or what to be answered. */
static void refuse(struct guest *guest, const char *reply)
{
    guest->is_checking = false;
    guest->upstream->metrics.logins_failed++;
    guest_auth_free(guest);
    guest_refused(guest, ERR_WRONG_PASSWORD, "", reply);
}

static void believe(struct guest *guest, struct identity *identity)
{
    guest->is_checking = false;
    guest_auth_free(guest);
    if (identity == NULL) {
        guest_fail(guest, ERR_NO_MEMORY, NULL);
        return;
    }
    guest->claim_is_true = true;
    guest->identity = identity;
    shared_join(NULL, guest);
    guest_due(guest);
}

/* ---- by Redis ---------------------------------------------------------------------------- */

/* AUTH as the client means it, over a line where nothing else is said: so it does not matter
 * who that line has become. */
static void ask_redis(struct guest *guest, struct shared_lane *lane, struct slice name,
                      struct slice password)
{
    struct trunk_note note = {.count = 1, .kind = GUEST_CHECK};
    struct bytes out = {0};
    enum err e = claim(guest, name, password);

    bytes_print(&out, "*%d\r\n$4\r\nAUTH\r\n", name.at != NULL ? 3 : 2);
    if (name.at != NULL)
        resp_add_bulk(&out, name);
    resp_add_bulk(&out, password);
    shared_watch(lane, door_now(guest->door));
    if (e == ERR_OK)
        e = out.failed ? ERR_NO_MEMORY
                       : line_ask(lane->line, guest, &note, of(&out), door_now(guest->door));
    wipe(&out);
    if (e == ERR_OK)
        guest->is_checking = true;
    else
        guest_fail(guest, ERR_NO_MEMORY, NULL);
}

static void check_by_redis(struct guest *guest, struct slice name, struct slice password)
{
    struct shared *shared = shared_checking(guest->upstream);
    struct shared_lane *lane = shared != NULL ? shared_lane(shared, guest->id) : NULL;

    if (lane == NULL)
        guest_fail(guest, ERR_NO_MEMORY, NULL);
    else if (!shared_lane_is_open(lane))
        shared_wait(lane, guest);
    else if (shared_lane_is_full(lane))
        shared_stall(lane, guest);
    else
        ask_redis(guest, lane, name, password);
}

/* first: all that Redis says, for its errors are short. */
void guest_auth_hear(struct guest *guest, struct slice first)
{
    struct guest_claim *claim = guest->claim;
    char reply[TRUNK_FIRST];

    if (first.length >= 3 && memcmp(first.at, "+OK", 3) == 0) {
        believe(guest, upstream_identity(guest->upstream, of(&claim->name), of(&claim->password)));
        return;
    }
    guest_hear_error(first, reply);
    refuse(guest, reply);
}

/* ---- by auth_file ------------------------------------------------------------------------ */

/* What the check needs, on a thread; the guest may be gone when it is done. */
struct guest_check {
    struct offload_job offload;
    struct guest *guest; /* NULL: gone */
    struct guest_claim *claim;
    const char *secret; /* NULL: there is nobody of that name */
    bool is_true;
};

/* A stranger costs as much time as somebody known. */
static bool derive_and_compare(const struct guest_check *check, const struct secret *secret)
{
    struct slice name = of(&check->claim->name), password = of(&check->claim->password);
    struct secret_keys keys = {.iterations = 4096, .salt_length = SECRET_SALT_SIZE};

    if (check->secret != NULL && secret->kind != SECRET_SCRAM)
        return secret_check_plain(secret, name, password);
    if (check->secret != NULL)
        keys = secret->keys;
    keys.ready = false;
    return secret_derive(password, &keys) && check->secret != NULL &&
           secret_check_keys(&keys, &secret->keys);
}

static void check_on_thread(struct offload_job *job)
{
    struct guest_check *check = CONTAINER_OF(job, struct guest_check, offload);
    const char *text = check->secret != NULL ? check->secret : "";
    struct secret secret;

    check->is_true =
        secret_parse((struct slice){(const uint8_t *)text, strlen(text)}, &secret) == ERR_OK &&
        derive_and_compare(check, &secret);
}

static void on_checked(struct offload_job *job)
{
    struct guest_check *check = CONTAINER_OF(job, struct guest_check, offload);
    struct guest *guest = check->guest;

    if (guest != NULL) {
        guest->check = NULL;
        guest->claim = check->claim;
        if (check->is_true)
            believe(guest, guest->upstream->configured);
        else
            refuse(guest, "WRONGPASS invalid username-password pair or user is disabled.");
    } else {
        wipe(&check->claim->name);
        wipe(&check->claim->password);
        free(check->claim);
    }
    free(check);
}

static void check_by_file(struct guest *guest, struct slice name, struct slice password)
{
    const struct userlist *list = guest->door->with.config->userlist;
    const struct userlist_user *user = NULL;
    struct guest_check *check = calloc(1, sizeof(*check));
    char text[USERLIST_LONGEST_NAME + 1] = "default";

    if (name.at != NULL && name.length < sizeof(text))
        snprintf(text, sizeof(text), "%.*s", (int)name.length, (const char *)name.at);
    if (name.at == NULL || name.length < sizeof(text))
        user = userlist_find(list, text);
    if (check == NULL ||
        claim(guest, (struct slice){(const uint8_t *)text, strlen(text)}, password) != ERR_OK) {
        free(check);
        guest_fail(guest, ERR_NO_MEMORY, NULL);
        return;
    }
    check->secret = user != NULL ? user->secret : NULL;
    check->claim = guest->claim;
    guest->claim = NULL;
    check->guest = guest;
    if (offload_run(guest->door->with.hashing, &check->offload, check_on_thread, on_checked) !=
        ERR_OK) {
        guest->claim = check->claim;
        free(check);
        guest_fail(guest, ERR_QUEUE_FULL, "weir: too many logins at a time");
        return;
    }
    guest->check = check;
    guest->is_checking = true;
}

void guest_auth_forget(struct guest *guest)
{
    struct shared *checking = guest->upstream->checking;

    if (guest->check != NULL)
        guest->check->guest = NULL;
    guest->check = NULL;
    for (size_t i = 0; guest->is_checking && checking != NULL && i < checking->length; i++)
        if (checking->lanes[i].line != NULL)
            trunk_forget(&checking->lanes[i].line->trunk, guest);
    guest->is_checking = false;
}

/* ---- the question ------------------------------------------------------------------------ */

bool guest_auth(struct guest *guest, struct slice name, struct slice password)
{
    if (guest->claim_is_true) {
        guest->claim_is_true = false;
        return true;
    }
    if (name.at != NULL && name.length == 0) { /* no name means the default user here */
        refuse(guest, "WRONGPASS invalid username-password pair or user is disabled.");
        return false;
    }
    switch (guest->door->with.config->auth) {
    case CONFIG_REDIS_AUTH_PASS:
        check_by_redis(guest, name, password);
        break;
    case CONFIG_REDIS_AUTH_FILE:
        check_by_file(guest, name, password);
        break;
    case CONFIG_REDIS_AUTH_NONE:
        refuse(guest, "ERR AUTH <password> called without any password configured for the "
                      "default user. Are you sure your configuration is correct?");
        break;
    }
    return false;
}
