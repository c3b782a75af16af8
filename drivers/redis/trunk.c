#include "drivers/redis/trunk.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 16 };

void trunk_init(struct trunk *trunk)
{
    *trunk = (struct trunk){0};
}

void trunk_fini(struct trunk *trunk)
{
    free(trunk->ring);
    trunk_init(trunk);
}

/* ---- what is owed ------------------------------------------------------------------------ */

static struct trunk_owed *at(const struct trunk *trunk, size_t place)
{
    return &trunk->ring[(trunk->head + place) & (trunk->size - 1)];
}

static enum err grow(struct trunk *trunk)
{
    size_t size = trunk->size > 0 ? trunk->size * 2 : FIRST_SIZE;
    struct trunk_owed *ring = malloc(size * sizeof(*ring));

    if (ring == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < trunk->entries; i++)
        ring[i] = *at(trunk, i);
    free(trunk->ring);
    trunk->ring = ring;
    trunk->size = size;
    trunk->head = 0;
    return ERR_OK;
}

/* Whether it can be counted with the entry before it. */
static bool is_more_of(const struct trunk_owed *last, const void *whom,
                       const struct trunk_note *note, uint64_t now)
{
    return last->whom == whom && last->since == now && last->note.kind == 0 && note->kind == 0 &&
           last->note.is_patient == note->is_patient && last->note.count < UINT32_MAX - note->count;
}

enum err trunk_owe(struct trunk *trunk, void *whom, const struct trunk_note *note, uint64_t now)
{
    struct trunk_owed *last = trunk->entries > 0 ? at(trunk, trunk->entries - 1) : NULL;

    ASSERT(note->count == 1 || (note->count > 1 && note->kind == 0));
    if (last != NULL && is_more_of(last, whom, note, now)) {
        last->note.count += note->count;
    } else {
        if (trunk->entries == trunk->size && grow(trunk) != ERR_OK)
            return ERR_NO_MEMORY;
        *at(trunk, trunk->entries++) =
            (struct trunk_owed){.whom = whom, .since = now, .note = *note};
    }
    trunk->replies += note->count;
    return ERR_OK;
}

void trunk_touch(struct trunk *trunk, uint64_t now)
{
    if (trunk->entries > 0)
        at(trunk, trunk->entries - 1)->since = now;
}

static void pop(struct trunk *trunk)
{
    trunk->head = (trunk->head + 1) & (trunk->size - 1);
    trunk->entries--;
}

/* Whether he has a part of what comes now, so that any other word would be in its midst. */
static bool is_mid_for(const struct trunk *trunk, const void *whom)
{
    if (!trunk->mid)
        return false;
    if (trunk->resp.kind == '>')
        return trunk->pushed_to == whom;
    return trunk->entries > 0 && at(trunk, 0)->whom == whom;
}

bool trunk_take(struct trunk *trunk, struct trunk_owed *owed, bool *mid)
{
    if (trunk->entries == 0)
        return false;
    *owed = *at(trunk, 0);
    *mid = is_mid_for(trunk, owed->whom);
    trunk->mid = false;
    trunk->replies -= owed->note.count;
    pop(trunk);
    return true;
}

/* ---- replies ----------------------------------------------------------------------------- */

static void remember_first(struct trunk *trunk, struct slice part)
{
    size_t room = TRUNK_FIRST - trunk->first_length;
    size_t more = part.length < room ? part.length : room;

    memcpy(trunk->first + trunk->first_length, part.at, more);
    trunk->first_length += more;
}

/* CLIENT UNBLOCK of a connection that CLIENT PAUSE has stopped adds a reply of its own (Redis 7.0,
 * networking.c, clientCommand): then there is one more than was asked for. In all its words, since
 * a script may answer with an error of that name. */
static const char unblocked[] = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";

enum { UNBLOCKED_LENGTH = sizeof(unblocked) - 1 };

static bool is_one_too_many(const struct trunk *trunk, struct slice in)
{
    size_t length = in.length < UNBLOCKED_LENGTH ? in.length : UNBLOCKED_LENGTH;

    return !at(trunk, 0)->note.is_patient && memcmp(in.at, unblocked, length) == 0;
}

/* One value, or a part of it. */
static enum resp_found read_one(struct trunk *trunk, struct slice in, struct trunk_run *run)
{
    bool begins = resp_is_between(&trunk->resp);
    enum resp_found found;
    size_t used;

    found = resp_read(&trunk->resp, in, &used);
    run->length += used;
    if (begins && used > 0) {
        run->begun++;
        trunk->first_length = 0;
    }
    if (run->note.kind != 0)
        remember_first(trunk, (struct slice){in.at, used});
    return found;
}

static enum trunk_found read_push(struct trunk *trunk, struct slice in, struct trunk_run *run)
{
    enum resp_found found;

    if (trunk->pushed_to == NULL)
        return TRUNK_BROKEN;
    *run = (struct trunk_run){.whom = trunk->pushed_to, .is_push = true};
    found = read_one(trunk, in, run);
    run->begun = 0;
    run->is_mid = !resp_is_between(&trunk->resp);
    if (found == RESP_BROKEN)
        return TRUNK_BROKEN;
    trunk->mid = !resp_is_between(&trunk->resp);
    return run->length > 0 ? TRUNK_RUN : TRUNK_MORE;
}

/* Whether the next value is a push, or the one is that has begun. */
static bool is_push(const struct trunk *trunk, struct slice in)
{
    return resp_is_between(&trunk->resp) ? in.at[0] == '>' : trunk->resp.kind == '>';
}

/* A reply has ended; whether what follows may be in the same run. */
static bool end_reply(struct trunk *trunk, struct trunk_run *run)
{
    struct trunk_owed *owed = at(trunk, 0);

    run->whole++;
    trunk->replies--;
    if (--owed->note.count == 0)
        pop(trunk);
    return run->note.kind == 0 && trunk->entries > 0 && at(trunk, 0)->whom == run->whom &&
           at(trunk, 0)->note.kind == 0;
}

enum trunk_found trunk_next(struct trunk *trunk, struct slice in, struct trunk_run *run)
{
    enum resp_found found;
    bool more = true;

    if (in.length == 0)
        return TRUNK_MORE;
    if (is_push(trunk, in))
        return read_push(trunk, in, run);
    if (trunk->entries == 0)
        return TRUNK_BROKEN;
    *run = (struct trunk_run){.whom = at(trunk, 0)->whom, .note = at(trunk, 0)->note};
    while (more && run->length < in.length) {
        struct slice rest = {in.at + run->length, in.length - run->length};

        if (run->whole > 0 && rest.at[0] == '>')
            break;
        if (rest.at[0] == '-' && resp_is_between(&trunk->resp) && is_one_too_many(trunk, rest)) {
            if (rest.length >= UNBLOCKED_LENGTH && run->length == 0)
                return TRUNK_BROKEN;
            break; /* after what comes before it; or it may be that, and more of it must come */
        }
        found = read_one(trunk, rest, run);
        if (found == RESP_BROKEN && run->length == 0)
            return TRUNK_BROKEN;
        if (found != RESP_WHOLE)
            break;
        more = end_reply(trunk, run);
    }
    trunk->mid = run->is_mid = !resp_is_between(&trunk->resp);
    if (run->note.kind != 0 && run->whole > 0)
        run->first = (struct slice){trunk->first, trunk->first_length};
    return run->length > 0 ? TRUNK_RUN : TRUNK_MORE;
}

/* ---- who is not waited for any more ------------------------------------------------------ */

bool trunk_forget(struct trunk *trunk, const void *whom)
{
    bool was_mid = is_mid_for(trunk, whom);

    for (size_t i = 0; i < trunk->entries; i++)
        if (at(trunk, i)->whom == whom)
            at(trunk, i)->whom = NULL;
    if (trunk->pushed_to == whom)
        trunk->pushed_to = NULL;
    return was_mid;
}

bool trunk_expire(struct trunk *trunk, uint64_t before, void **whom, uint32_t *count)
{
    for (size_t i = 0; i < trunk->entries && at(trunk, i)->since < before; i++) {
        struct trunk_owed *owed = at(trunk, i);

        if (owed->whom == NULL || owed->note.is_patient || is_mid_for(trunk, owed->whom))
            continue;
        *whom = owed->whom;
        *count = owed->note.count;
        owed->whom = NULL;
        return true;
    }
    return false;
}

uint64_t trunk_oldest(const struct trunk *trunk)
{
    for (size_t i = 0; i < trunk->entries; i++)
        if (!at(trunk, i)->note.is_patient)
            return at(trunk, i)->since;
    return UINT64_MAX;
}
