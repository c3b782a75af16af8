#include "drivers/postgres/insist.h"

static bool ends_request(uint8_t entry)
{
    uint8_t kind = entry & OWED_KIND;

    return kind == OWED_SYNC || kind == OWED_QUERY || kind == OWED_FUNCTION;
}

/* Nothing answers them, and they belong to what stands before them. */
static bool is_mark(uint8_t entry)
{
    return (entry & OWED_KIND) == OWED_COPY_DATA || (entry & OWED_KIND) == OWED_COPY_END;
}

void insist_begin(struct insist *insist, const struct owed *owed, uint64_t now)
{
    unsigned requests = 0, ahead = 0;
    bool begun = false;

    for (unsigned i = 0; i < owed->length; i++) {
        uint8_t entry = owed_entry(owed, i);
        bool ours = (entry & OWED_OURS) != 0;

        begun |= !ours;
        requests += !ours && ends_request(entry);
        ahead += !begun && owed_completes(entry);
    }
    *insist = (struct insist){
        .due = begun && requests <= 1 ? now + INSIST_FIRST : INSIST_NEVER,
        .until = owed->removed + owed->length,
        .answered = owed->answered + ahead,
    };
}

bool insist_is_early(const struct insist *insist, const struct owed *owed)
{
    return (int32_t)(owed->answered - insist->answered) < 0;
}

/* Whether the server cannot have come to anything else meanwhile. */
static bool is_alone(const struct insist *insist, const struct owed *owed)
{
    bool ended = false;

    for (unsigned i = 0; i < owed->length; i++) {
        uint8_t entry = owed_entry(owed, i);
        bool new = (int32_t)(owed->removed + i - insist->until) >= 0;

        if (!is_mark(entry) && (ended || (new && (entry & OWED_KIND) != OWED_SYNC)))
            return false;
        ended |= ends_request(entry);
    }
    return true;
}

bool insist_again(struct insist *insist, const struct owed *owed, uint64_t now)
{
    bool over = (int32_t)(owed->removed - insist->until) >= 0 ||
                (int32_t)(owed->answered - insist->answered) > 0;

    if (over || insist->tries == INSIST_MOST) {
        insist->due = INSIST_NEVER;
        return false;
    }
    if (insist_is_early(insist, owed)) {
        insist->due = now + INSIST_FIRST;
        return false;
    }
    insist->due = now + ((uint64_t)INSIST_FIRST << ++insist->tries);
    return is_alone(insist, owed);
}
