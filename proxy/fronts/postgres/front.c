#include "proxy/fronts/postgres/front.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64, MOST_SLOTS = 1 << 20 };

enum err front_init(struct front *front, const struct front_options *options)
{
    *front = (struct front){.with = *options};
    for (size_t i = 0; i < SESSION_STATE_COUNT; i++)
        list_init(&front->sessions[i]);
    return RAND_bytes(front->secret, sizeof(front->secret)) == 1 ? ERR_OK : ERR_IO;
}

void front_fini(struct front *front)
{
    REQUIRE(front_is_empty(front));
    free(front->slots);
    OPENSSL_cleanse(front->secret, sizeof(front->secret));
}

void front_connection(struct front *front, uv_stream_t *listener)
{
    front->with.metrics->accepted++;
    session_accept(front, listener);
}

/* ---- numbers and keys -------------------------------------------------------------------- */

static enum err grow(struct front *front)
{
    uint32_t size = front->slots_size > 0 ? front->slots_size * 2 : FIRST_SLOTS;
    struct session **slots;

    if (size > MOST_SLOTS)
        return ERR_TOO_MANY_CLIENTS;
    slots = realloc(front->slots, size * sizeof(*slots));
    if (slots == NULL)
        return ERR_NO_MEMORY;
    memset(slots + front->slots_size, 0, (size - front->slots_size) * sizeof(*slots));
    front->slots_hint = front->slots_size > 0 ? front->slots_size : 1;
    front->slots_size = size;
    front->slots = slots;
    return ERR_OK;
}

enum err front_enroll(struct front *front, struct session *session)
{
    enum err e;

    if (RAND_bytes(session->key, sizeof(session->key)) != 1)
        return ERR_IO;
    while (front->slots_hint < front->slots_size && front->slots[front->slots_hint] != NULL)
        front->slots_hint++;
    if (front->slots_hint >= front->slots_size && (e = grow(front)) != ERR_OK)
        return e;
    session->slot = front->slots_hint++;
    front->slots[session->slot] = session;
    return ERR_OK;
}

void front_strike_off(struct front *front, struct session *session)
{
    if (session->counted)
        front->clients--;
    if (session->slot == SESSION_NO_SLOT)
        return;
    front->slots[session->slot] = NULL;
    if (session->slot < front->slots_hint)
        front->slots_hint = session->slot;
}

struct session *front_find(const struct front *front, uint32_t pid, struct slice key)
{
    struct session *session = pid < front->slots_size ? front->slots[pid] : NULL;
    uint8_t nobody[SESSION_KEY_SIZE] = {0};
    const uint8_t *expected = session != NULL ? session->key : nobody;
    size_t size = session != NULL ? session->key_size : SESSION_KEY_SIZE;

    if (key.length != size || CRYPTO_memcmp(key.at, expected, size) != 0)
        return NULL;
    return session;
}

void front_canceled(struct front *front, const struct backend *backend)
{
    struct list *waiting = &front->sessions[SESSION_CANCELING];
    struct link *link = list_front(waiting), *next;

    for (; link != NULL; link = next) {
        struct session *session = CONTAINER_OF(link, struct session, link);

        next = list_after(waiting, link);
        if (session->canceling == backend)
            session_close(session);
    }
}

/* ---- time -------------------------------------------------------------------------------- */

/* All in one state have the same time there, so who came first is overdue first. */
static void expire(struct front *front, enum session_state state, uint64_t now)
{
    uint64_t limit = front->with.limits_ms[state];
    struct session *session;

    if (limit == 0)
        return;
    while ((session = LIST_FRONT(&front->sessions[state], struct session, link)) != NULL) {
        if (session->since + limit > now) {
            alarm_due_at(front->with.alarm, session->since + limit);
            return;
        }
        session_expire(session);
    }
}

void front_tick(struct front *front, uint64_t now)
{
    for (unsigned state = 0; state < SESSION_CLOSING; state++)
        expire(front, (enum session_state)state, now);
}

/* ---- the end ----------------------------------------------------------------------------- */

static void fail_all(struct front *front, enum session_state state)
{
    struct session *session;

    while ((session = LIST_FRONT(&front->sessions[state], struct session, link)) != NULL)
        session_fail(session, ERR_SHUTTING_DOWN, NULL);
}

void front_drain(struct front *front)
{
    front->draining = true;
    fail_all(front, SESSION_GREETING);
    fail_all(front, SESSION_WELCOMING);
    fail_all(front, SESSION_RESTING);
    fail_all(front, SESSION_BEGUN);
    fail_all(front, SESSION_PINNED);
    fail_all(front, SESSION_REPLICATING); /* has no transaction that ends */
}

void front_stop(struct front *front)
{
    struct session *session;

    front->draining = true;
    for (unsigned state = 0; state < SESSION_CANCELING; state++)
        fail_all(front, (enum session_state)state);
    for (unsigned state = SESSION_CANCELING; state < SESSION_CLOSING; state++)
        while ((session = LIST_FRONT(&front->sessions[state], struct session, link)) != NULL)
            session_close(session);
}

static size_t count(const struct front *front)
{
    size_t length = 0;

    for (unsigned state = 0; state < SESSION_STATE_COUNT; state++)
        length += front->sessions[state].length;
    return length;
}

bool front_is_empty(const struct front *front)
{
    return count(front) == 0;
}

bool front_is_drained(const struct front *front)
{
    return count(front) == front->sessions[SESSION_CONSOLE].length;
}
