#include "drivers/redis/gather.h"

#include <stdlib.h>
#include <string.h>

enum {
    SMALL = 8 * 1024,          /* what is shorter waits where it is; less than a stream keeps */
    KEPT_CAPACITY = 64 * 1024, /* larger blocks are not kept for the next message */
    FIRST_CAPACITY = 1024,
};

/* ---- forms ------------------------------------------------------------------------------- */

void gather_release(struct gather_message *message)
{
    if (message != NULL && --message->holders == 0)
        free(message);
}

/* The message that was there is there no more; what nobody has kept is used again. */
static void forget(struct gather *gather)
{
    gather->message = (struct slice){NULL, 0};
    gather_release(gather->passed);
    gather->passed = NULL;
    for (unsigned i = 0; i < COUNT_OF(gather->forms); i++) {
        struct gather_message *form = gather->forms[i];

        gather->made[i] = false;
        if (form == NULL || (form->holders == 1 && form->capacity <= KEPT_CAPACITY))
            continue;
        gather_release(form);
        gather->forms[i] = NULL;
    }
}

static struct gather_message *make(struct gather *gather, bool is_resp3)
{
    struct gather_message **form = &gather->forms[is_resp3];
    size_t length = gather->message.length;

    REQUIRE(length > 0);
    if (gather->made[is_resp3])
        return *form;
    if (*form == NULL || (*form)->capacity < length) {
        size_t capacity = length < FIRST_CAPACITY ? FIRST_CAPACITY : length;

        gather_release(*form);
        *form = malloc(sizeof(**form) + capacity);
        if (*form == NULL)
            return NULL;
        **form = (struct gather_message){.holders = 1, .capacity = capacity};
    }
    REQUIRE((*form)->holders == 1); /* nobody's bytes are written over */
    memcpy((*form)->bytes, gather->message.at, length);
    (*form)->bytes[0] = is_resp3 ? '>' : '*';
    (*form)->length = length;
    gather->made[is_resp3] = true;
    return *form;
}

bool gather_form(struct gather *gather, bool is_resp3, struct slice *bytes)
{
    struct gather_message *form;

    *bytes = gather->message;
    if (!is_resp3)
        return true;
    form = make(gather, true);
    if (form != NULL)
        *bytes = (struct slice){form->bytes, form->length};
    return form != NULL;
}

struct gather_message *gather_keep(struct gather *gather, bool is_resp3)
{
    struct gather_message *form = make(gather, is_resp3);

    if (form != NULL)
        form->holders++;
    return form;
}

/* ---- reading ----------------------------------------------------------------------------- */

/* What heard says of it is cut from it, and is there until the next message. */
static void drop_part(struct gather *gather)
{
    gather->passed = gather->part;
    gather->part = NULL;
}

/* Room for needs bytes, which is all of it as soon as the last header was seen. */
static bool make_room(struct gather *gather, size_t needs)
{
    struct gather_message *part = gather->part;
    size_t capacity = needs > SMALL ? needs : SMALL;

    if (part == NULL || part->capacity < needs) {
        size_t length = part != NULL ? part->length : 0;

        part = realloc(part, sizeof(*part) + capacity);
        if (part == NULL)
            return false;
        *part = (struct gather_message){.holders = 1, .length = length, .capacity = capacity};
        gather->part = part;
    }
    gather->needs = needs;
    return true;
}

static size_t fill(struct gather *gather, struct slice in)
{
    struct gather_message *part = gather->part;
    size_t room = gather->needs - part->length;
    size_t step = in.length < room ? in.length : room;

    if (step > 0)
        memcpy(part->bytes + part->length, in.at, step);
    part->length += step;
    return step;
}

/* From its beginning, as far as it is there. All that is gathered must be used by that: what is
 * left of it, the half of a header, could not be shown again. */
static bool start_skipping(struct gather *gather, struct slice in, size_t *used)
{
    struct resp skip = {0};
    enum resp_found found = resp_read(&skip, in, used);

    if (found == RESP_BROKEN || (gather->part != NULL && *used < in.length))
        return false;
    gather->skip = skip;
    gather->skipping = found == RESP_MORE;
    drop_part(gather);
    return true;
}

static enum gather_found found_whole(struct gather *gather, struct slice message)
{
    if (message.length > gather->most) {
        drop_part(gather);
        return GATHER_PASSED;
    }
    gather->message = message;
    if (gather->part != NULL) {
        gather_release(gather->forms[0]);
        gather->forms[0] = gather->part;
        gather->made[0] = true;
        gather->part = NULL;
    }
    return GATHER_WHOLE;
}

/* From what is gathered already. */
static enum gather_found read_part(struct gather *gather, struct heard *heard, struct slice in,
                                   size_t *used)
{
    size_t ignored;

    for (;;) {
        enum heard_found found;
        struct slice part;

        *used += fill(gather, (struct slice){in.at + *used, in.length - *used});
        if (gather->part->length < gather->needs)
            return GATHER_MORE;
        part = (struct slice){gather->part->bytes, gather->part->length};
        found = heard_read(heard, part);
        if (found == HEARD_BROKEN)
            return GATHER_BROKEN;
        if (found == HEARD_WHOLE)
            return found_whole(gather, part);
        if (heard->length > gather->most && start_skipping(gather, part, &ignored))
            return GATHER_PASSED;
        if (!make_room(gather, heard->length))
            return start_skipping(gather, part, &ignored) ? GATHER_PASSED : GATHER_BROKEN;
    }
}

static enum gather_found read_new(struct gather *gather, struct heard *heard, struct slice in,
                                  size_t *used)
{
    switch (heard_read(heard, in)) {
    case HEARD_BROKEN:
        return GATHER_BROKEN;
    case HEARD_WHOLE:
        *used = heard->length;
        return found_whole(gather, (struct slice){in.at, heard->length});
    case HEARD_MORE:
        break;
    }
    if (heard->length > gather->most ||
        (heard->length > SMALL && !make_room(gather, heard->length)))
        return start_skipping(gather, in, used) ? GATHER_PASSED : GATHER_BROKEN;
    if (heard->length > SMALL)
        *used = fill(gather, in);
    return GATHER_MORE;
}

enum gather_found gather_read(struct gather *gather, struct heard *heard, struct slice in,
                              size_t *used)
{
    enum gather_found found;
    size_t skipped = 0;

    *used = 0;
    *heard = (struct heard){.length = 0};
    forget(gather);
    if (gather->part != NULL)
        return read_part(gather, heard, in, used);
    if (gather->skipping) {
        enum resp_found end = resp_read(&gather->skip, in, &skipped);

        if (end != RESP_WHOLE) {
            *used = skipped;
            return end == RESP_MORE ? GATHER_MORE : GATHER_BROKEN;
        }
        gather->skipping = false;
    }
    found = read_new(gather, heard, (struct slice){in.at + skipped, in.length - skipped}, used);
    *used += skipped;
    return found;
}

/* ---- the whole --------------------------------------------------------------------------- */

void gather_init(struct gather *gather, size_t most)
{
    *gather = (struct gather){.most = most};
}

void gather_reset(struct gather *gather)
{
    size_t most = gather->most;

    gather_release(gather->part);
    gather_release(gather->passed);
    for (unsigned i = 0; i < COUNT_OF(gather->forms); i++)
        gather_release(gather->forms[i]);
    gather_init(gather, most);
}
