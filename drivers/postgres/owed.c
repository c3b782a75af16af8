#include "drivers/postgres/owed.h"

#include "base/contract.h"

bool owed_holds(const struct owed *owed, uint8_t kind)
{
    for (unsigned i = 0; i < owed->length; i++)
        if ((owed_entry(owed, i) & (OWED_KIND | OWED_OURS)) == kind)
            return true;
    return false;
}

bool owed_ends_in_batch(const struct owed *owed)
{
    bool in_batch = false;

    for (unsigned i = 0; i < owed->length; i++) {
        uint8_t kind = owed_entry(owed, i) & OWED_KIND;

        if (kind == OWED_SYNC)
            in_batch = false;
        else if (owed_is_of_batch(kind))
            in_batch = true;
    }
    return in_batch;
}

bool owed_is_ended_by_us(const struct owed *owed)
{
    for (unsigned i = 0; i < owed->length; i++)
        if ((owed_entry(owed, i) & OWED_KIND) == OWED_SYNC)
            return (owed_entry(owed, i) & OWED_OURS) != 0;
    return false;
}

void owed_push(struct owed *owed, uint8_t kind)
{
    REQUIRE(owed->length < OWED_MOST);
    owed->asked += owed_completes(kind);
    owed->ring[(owed->first + owed->length++) % OWED_MOST] = kind;
}

void owed_push_mark(struct owed *owed, uint8_t mark)
{
    bool begun = owed->length > 0 && owed_entry(owed, owed->length - 1u) == OWED_COPY_DATA;

    if (mark != OWED_COPY_DATA || !begun)
        owed_push(owed, mark);
}

static void drop_head(struct owed *owed)
{
    owed->answered += owed_completes(owed_entry(owed, 0));
    owed->removed++;
    owed->first = (uint16_t)((owed->first + 1) % OWED_MOST);
    owed->length--;
}

static void drop_behind_head(struct owed *owed, unsigned count)
{
    uint8_t kept = owed_entry(owed, 0);

    owed->first = (uint16_t)((owed->first + count) % OWED_MOST);
    owed->length = (uint16_t)(owed->length - count);
    owed->removed += count;
    owed->ring[owed->first] = kept;
}

bool owed_pop(struct owed *owed)
{
    bool marked = false;

    drop_head(owed);
    while (owed_head(owed) == OWED_COPY_DATA || owed_head(owed) == OWED_COPY_END) {
        marked = true;
        drop_head(owed);
    }
    return marked;
}

bool owed_drop_until_sync(struct owed *owed, unsigned *named)
{
    for (*named = 0; owed->length > 0 && owed_head(owed) != OWED_SYNC; drop_head(owed))
        *named += owed_head_is(owed, OWED_NAMED);
    return owed->length > 0;
}

unsigned owed_drop_syncs_in_copy(struct owed *owed)
{
    unsigned count = 0, syncs = 0;

    for (; count + 1 < owed->length; count++) {
        uint8_t ahead = owed_entry(owed, count + 1);

        if (ahead != OWED_SYNC && ahead != OWED_COPY_DATA)
            break;
        syncs += ahead == OWED_SYNC;
    }
    drop_behind_head(owed, count);
    return syncs;
}

void owed_drop_copied(struct owed *owed)
{
    unsigned count = 0;

    if (owed->length > 1 && owed_entry(owed, 1) == OWED_COPY_DATA)
        count++;
    if (owed->length > count + 1 && owed_entry(owed, count + 1) == OWED_COPY_END)
        count++;
    drop_behind_head(owed, count);
}
