#include "proxy/fronts/http/throttle.h"

#include <string.h>
#include <sys/socket.h>

enum { BUCKETS = THROTTLE_ROOM / THROTTLE_WAYS, MOST_DOUBLINGS = 16 };

/* ---- whom -------------------------------------------------------------------------------- */

static uint64_t key_of_ipv4(const uint8_t ip[4])
{
    return (uint64_t)1 << 32 | bytes_u32(ip);
}

static uint64_t key_of_ipv6(const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* ::ffff:1.2.3.4 */
    uint64_t key;

    if (memcmp(ip, mapped, sizeof(mapped)) == 0)
        return key_of_ipv4(ip + sizeof(mapped));
    memcpy(&key, ip, sizeof(key));
    return key != 0 ? key : 1; /* ::1 and its like */
}

struct throttle_peer throttle_peer(const struct peer *peer)
{
    if (peer->family == AF_INET)
        return (struct throttle_peer){key_of_ipv4(peer->ip)};
    if (peer->family == AF_INET6)
        return (struct throttle_peer){key_of_ipv6(peer->ip)};
    return (struct throttle_peer){0};
}

/* ---- where it is kept -------------------------------------------------------------------- */

/* splitmix64's last steps: every bit of the key moves every bit of the place. */
static size_t bucket_of(const struct throttle *throttle, uint64_t key)
{
    uint64_t mixed = key ^ throttle->seed;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return (size_t)((mixed ^ mixed >> 31) % BUCKETS) * THROTTLE_WAYS;
}

static bool is_forgotten(const struct throttle_entry *entry, uint64_t now)
{
    return entry->failures == 0 || now - entry->failed_at >= THROTTLE_FORGET;
}

static const struct throttle_entry *find(const struct throttle *throttle, uint64_t key,
                                         uint64_t now)
{
    const struct throttle_entry *entry = &throttle->entries[bucket_of(throttle, key)];

    for (size_t i = 0; i < THROTTLE_WAYS; i++, entry++)
        if (entry->key == key && !is_forgotten(entry, now))
            return entry;
    return NULL;
}

/* Whether a makes room rather than b. */
static bool matters_less(const struct throttle_entry *a, const struct throttle_entry *b,
                         uint64_t now)
{
    bool a_forgotten = is_forgotten(a, now), b_forgotten = is_forgotten(b, now);

    if (a_forgotten != b_forgotten)
        return a_forgotten;
    if (a->failures != b->failures)
        return a->failures < b->failures;
    return a->failed_at < b->failed_at;
}

static struct throttle_entry *make_room(struct throttle *throttle, uint64_t key, uint64_t now)
{
    struct throttle_entry *bucket = &throttle->entries[bucket_of(throttle, key)];
    struct throttle_entry *least = bucket;

    for (size_t i = 1; i < THROTTLE_WAYS; i++)
        if (matters_less(&bucket[i], least, now))
            least = &bucket[i];
    *least = (struct throttle_entry){.key = key};
    return least;
}

/* ---- how long ---------------------------------------------------------------------------- */

static uint64_t delay_after(uint32_t failures)
{
    uint32_t doublings = failures > THROTTLE_FREE ? failures - THROTTLE_FREE - 1 : 0;
    uint64_t delay;

    if (failures <= THROTTLE_FREE)
        return 0;
    delay = (uint64_t)THROTTLE_FIRST << (doublings < MOST_DOUBLINGS ? doublings : MOST_DOUBLINGS);
    return delay < THROTTLE_LONGEST ? delay : THROTTLE_LONGEST;
}

uint64_t throttle_wait(const struct throttle *throttle, struct throttle_peer peer, uint64_t now)
{
    const struct throttle_entry *entry = find(throttle, peer.key, now);
    uint64_t until = entry != NULL ? entry->failed_at + delay_after(entry->failures) : 0;

    return until > now ? until - now : 0;
}

void throttle_fail(struct throttle *throttle, struct throttle_peer peer, uint64_t now)
{
    struct throttle_entry *entry = (struct throttle_entry *)find(throttle, peer.key, now);

    if (entry == NULL)
        entry = make_room(throttle, peer.key, now);
    if (entry->failures < UINT32_MAX)
        entry->failures++;
    entry->failed_at = now;
}

bool throttle_suspects(const struct throttle *throttle, struct throttle_peer peer, uint64_t now)
{
    const struct throttle_entry *entry = find(throttle, peer.key, now);

    return entry != NULL && entry->failures >= THROTTLE_FREE;
}

/* And its wait is over: whoever was in this one's way may try. */
void throttle_forgive(struct throttle *throttle, struct throttle_peer peer, uint64_t now)
{
    struct throttle_entry *entry = (struct throttle_entry *)find(throttle, peer.key, now);
    uint64_t delay;

    if (entry == NULL)
        return;
    entry->failures--;
    delay = delay_after(entry->failures);
    entry->failed_at = now > delay ? now - delay : 0;
}
