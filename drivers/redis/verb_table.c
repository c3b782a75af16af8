#include "drivers/redis/verb_table.h"

#include <string.h>

#include "base/contract.h"

#define SUBS(rows) .sub_count = COUNT_OF(rows), .subs = (rows)

/* clang-format off */

/* ---- subcommands ------------------------------------------------------------------------- */

/* Whose user is deleted or loaded anew is disconnected, the one who asks too (acl.c:
 * ACLFreeUserAndKillClients). */
static const struct verb_row acl_rows[] = {
    {"cat", -2, .need = VERB_SHARED},
    {"deluser", -3, .need = VERB_SLOW, .traits = VERB_CLOSES},
    {"dryrun", -4, .need = VERB_SHARED},
    {"genpass", -2, .need = VERB_SHARED},
    {"getuser", 3, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"list", 2, .need = VERB_SHARED},
    {"load", 2, .need = VERB_SLOW, .traits = VERB_CLOSES},
    {"log", -2, .need = VERB_SHARED},
    {"save", 2, .need = VERB_SLOW},
    {"setuser", -3, .need = VERB_SLOW},
    {"users", 2, .need = VERB_SHARED},
    {"whoami", 2, .need = VERB_SHARED},
};

/* networking.c: clientCommand(). RESET ends TRACKING with its CACHING, but before 7.2 not
 * NO-EVICT, and never SETINFO; nor what Valkey has of its own: CAPA, IMPORT-SOURCE. REPLY ON is a
 * +OK, with OFF or SKIP nothing comes. PAUSE, UNPAUSE and UNBLOCK are about other connections, ours
 * among them: UNBLOCK makes Redis 7.0 say one reply too many on a connection that is paused. */
static const struct verb_row client_rows[] = {
    {"caching", 3, .need = VERB_KEEPS},
    {"capa", -3, .need = VERB_KEEPS, .traits = VERB_OUTLIVES},
    {"getname", 2, .need = VERB_CLIENT_GETNAME},
    {"getredir", 2, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"id", 2, .need = VERB_CLIENT_ID},
    {"import-source", 3, .need = VERB_KEEPS, .traits = VERB_OUTLIVES},
    {"info", 2, .need = VERB_SHARED},
    {"kill", -3, .need = VERB_SLOW, .traits = VERB_CLOSES},
    {"list", -2, .need = VERB_SHARED},
    {"no-evict", 3, .need = VERB_KEEPS, .traits = VERB_OUTLIVES},
    {"no-touch", 3, .need = VERB_KEEPS, .traits = VERB_OUTLIVES},
    {"pause", -3, .need = VERB_SLOW},
    {"reply", 3, .need = VERB_BLIND, .catch = VERB_UNLESS_ON},
    {"setinfo", 4, .need = VERB_CLIENT_SETINFO, .traits = VERB_OUTLIVES},
    {"setname", 3, .need = VERB_CLIENT_SETNAME},
    {"tracking", -3, .need = VERB_KEEPS},
    {"trackinginfo", 2, .need = VERB_SHARED},
    {"unblock", -3, .need = VERB_SLOW},
    {"unpause", 2, .need = VERB_SLOW},
};

/* SYNCSLOTS makes the connection one of replication, in Redis 8.4 and Valkey 9. */
static const struct verb_row cluster_rows[] = {
    {"addslots", -3, .need = VERB_SLOW},
    {"addslotsrange", -4, .need = VERB_SLOW},
    {"bumpepoch", 2, .need = VERB_SLOW},
    {"cancelslotmigrations", 2, .need = VERB_SLOW},
    {"count-failure-reports", 3, .need = VERB_SHARED},
    {"countkeysinslot", 3, .need = VERB_SHARED},
    {"delslots", -3, .need = VERB_SLOW},
    {"delslotsrange", -4, .need = VERB_SLOW},
    {"failover", -2, .need = VERB_SLOW},
    {"flushslots", 2, .need = VERB_SLOW},
    {"forget", 3, .need = VERB_SLOW},
    {"getkeysinslot", 4, .need = VERB_SHARED},
    {"getslotmigrations", 2, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"info", 2, .need = VERB_SHARED},
    {"keyslot", 3, .need = VERB_SHARED},
    {"links", 2, .need = VERB_SHARED},
    {"meet", -4, .need = VERB_SLOW},
    {"migrateslots", -4, .need = VERB_SLOW},
    {"migration", -3, .need = VERB_SLOW},
    {"myid", 2, .need = VERB_SHARED},
    {"myshardid", 2, .need = VERB_SHARED},
    {"nodes", 2, .need = VERB_SHARED},
    {"replicas", 3, .need = VERB_SHARED},
    {"replicate", 3, .need = VERB_SLOW},
    {"reset", -2, .need = VERB_SLOW},
    {"saveconfig", 2, .need = VERB_SLOW},
    {"set-config-epoch", 3, .need = VERB_SLOW},
    {"setslot", -4, .need = VERB_SLOW},
    {"shards", 2, .need = VERB_SHARED},
    {"slaves", 3, .need = VERB_SHARED},
    {"slot-stats", -4, .need = VERB_SHARED},
    {"slots", 2, .need = VERB_SHARED},
    {"syncslots", -3, .need = VERB_BLIND},
};

/* DOCS is 400 KB, and INFO 60 KB: others need not wait for them. */
static const struct verb_row command_rows[] = {
    {"count", 2, .need = VERB_SHARED},
    {"docs", -2, .need = VERB_SLOW},
    {"getkeys", -4, .need = VERB_SHARED},
    {"getkeysandflags", -4, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"info", -2, .need = VERB_SLOW},
    {"list", -2, .need = VERB_SHARED},
};

static const struct verb_row commandlog_rows[] = {
    {"get", -3, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"len", 3, .need = VERB_SHARED},
    {"reset", 3, .need = VERB_SHARED},
};

static const struct verb_row config_rows[] = {
    {"get", -3, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"resetstat", 2, .need = VERB_SHARED},
    {"rewrite", 2, .need = VERB_SLOW},
    {"set", -4, .need = VERB_SLOW},
};

/* KILL and STATS pass a function that runs; whoever runs it reads nothing until it has ended. */
static const struct verb_row function_rows[] = {
    {"delete", 3, .need = VERB_SHARED},
    {"dump", 2, .need = VERB_SHARED},
    {"flush", -2, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"kill", 2, .need = VERB_SLOW},
    {"list", -2, .need = VERB_SHARED},
    {"load", -3, .need = VERB_SHARED},
    {"restore", -3, .need = VERB_SHARED},
    {"stats", 2, .need = VERB_SLOW},
};

static const struct verb_row latency_rows[] = {
    {"doctor", 2, .need = VERB_SHARED},
    {"graph", 3, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"histogram", -2, .need = VERB_SHARED},
    {"history", 3, .need = VERB_SHARED},
    {"latest", 2, .need = VERB_SHARED},
    {"reset", -2, .need = VERB_SHARED},
};

static const struct verb_row memory_rows[] = {
    {"doctor", 2, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"malloc-stats", 2, .need = VERB_SHARED},
    {"purge", 2, .need = VERB_SLOW},
    {"stats", 2, .need = VERB_SHARED},
    {"usage", -3, .need = VERB_SHARED, .traits = VERB_READS},
};

static const struct verb_row module_rows[] = {
    {"help", 2, .need = VERB_SHARED},
    {"list", 2, .need = VERB_SHARED},
    {"load", -3, .need = VERB_SLOW},
    {"loadex", -3, .need = VERB_SLOW},
    {"unload", 3, .need = VERB_SLOW},
};

static const struct verb_row object_rows[] = {
    {"encoding", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"freq", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"help", 2, .need = VERB_SHARED},
    {"idletime", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"refcount", 3, .need = VERB_SHARED, .traits = VERB_READS},
};

static const struct verb_row pubsub_rows[] = {
    {"channels", -2, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"numpat", 2, .need = VERB_SHARED},
    {"numsub", -2, .need = VERB_SHARED},
    {"shardchannels", -2, .need = VERB_SHARED},
    {"shardnumsub", -2, .need = VERB_SHARED},
};

/* DEBUG YES and SYNC: the next EVAL is a session of the debugger, which speaks as it likes, and
 * RESET does not end it. KILL: whoever runs the script reads nothing until it has ended. */
static const struct verb_row script_rows[] = {
    {"debug", 3, .need = VERB_BLIND, .catch = VERB_UNLESS_NO},
    {"exists", -3, .need = VERB_SHARED},
    {"flush", -2, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"kill", 2, .need = VERB_SLOW},
    {"load", 3, .need = VERB_SHARED},
    {"show", 3, .need = VERB_SHARED},
};

static const struct verb_row slowlog_rows[] = {
    {"get", -2, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"len", 2, .need = VERB_SHARED},
    {"reset", 2, .need = VERB_SHARED},
};

static const struct verb_row xgroup_rows[] = {
    {"create", -5, .need = VERB_SHARED},
    {"createconsumer", 5, .need = VERB_SHARED},
    {"delconsumer", 5, .need = VERB_SHARED},
    {"destroy", 4, .need = VERB_SHARED},
    {"help", 2, .need = VERB_SHARED},
    {"setid", -5, .need = VERB_SHARED},
};

static const struct verb_row xinfo_rows[] = {
    {"consumers", 4, .need = VERB_SHARED, .traits = VERB_READS},
    {"groups", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"help", 2, .need = VERB_SHARED},
    {"stream", -3, .need = VERB_SHARED, .traits = VERB_READS},
};

/* ---- commands ---------------------------------------------------------------------------- */

/* DEBUG ends the server, restarts it, or sends more than a reply. FLUSHALL and FLUSHDB keep their
 * client waiting in Redis 8, and no other. KEYS is a long reply. MIGRATE waits for another server,
 * and SHUTDOWN for the replicas, before it closes all without a reply. MONITOR, SYNC and PSYNC go
 * on for ever, and some words of REPLCONF have no reply. While a script runs nothing
 * else is read of its connection, not even what may interrupt it or be told -BUSY. VSIM has a thread for each of its
 * connections. POST and Host: are no commands (processCommand). */
static const struct verb_row commands[] = {
    {"acl", -2, .need = VERB_SHARED, SUBS(acl_rows)},
    {"append", 3, .need = VERB_SHARED},
    {"asking", 1, .need = VERB_KEEPS},
    {"auth", -2, .need = VERB_AUTH, .catch = VERB_AT_MOST_3},
    {"bgrewriteaof", 1, .need = VERB_SLOW},
    {"bgsave", -1, .need = VERB_SLOW},
    {"bitcount", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"bitfield", -2, .need = VERB_SHARED},
    {"bitfield_ro", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"bitop", -4, .need = VERB_SHARED},
    {"bitpos", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"blmove", 6, .need = VERB_BLOCKING},
    {"blmpop", -5, .need = VERB_BLOCKING},
    {"blpop", -3, .need = VERB_BLOCKING},
    {"brpop", -3, .need = VERB_BLOCKING},
    {"brpoplpush", 4, .need = VERB_BLOCKING},
    {"bzmpop", -5, .need = VERB_BLOCKING},
    {"bzpopmax", -3, .need = VERB_BLOCKING},
    {"bzpopmin", -3, .need = VERB_BLOCKING},
    {"client", -2, .need = VERB_SHARED, SUBS(client_rows)},
    {"cluster", -2, .need = VERB_SHARED, SUBS(cluster_rows)},
    {"command", -1, .need = VERB_SLOW, SUBS(command_rows)},
    {"commandlog", -2, .need = VERB_SHARED, SUBS(commandlog_rows)},
    {"config", -2, .need = VERB_SHARED, SUBS(config_rows)},
    {"copy", -3, .need = VERB_SHARED},
    {"dbsize", 1, .need = VERB_SHARED, .traits = VERB_READS},
    {"debug", -2, .need = VERB_SLOW, .traits = VERB_DOUBT | VERB_CLOSES},
    {"decr", 2, .need = VERB_SHARED},
    {"decrby", 3, .need = VERB_SHARED},
    {"del", -2, .need = VERB_SHARED},
    {"delex", -2, .need = VERB_SHARED},
    {"delifeq", 3, .need = VERB_SHARED},
    {"digest", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"discard", 1, .need = VERB_DISCARD},
    {"dump", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"echo", 2, .need = VERB_SHARED},
    {"eval", -3, .need = VERB_SLOW},
    {"eval_ro", -3, .need = VERB_SLOW, .traits = VERB_READS},
    {"evalsha", -3, .need = VERB_SLOW},
    {"evalsha_ro", -3, .need = VERB_SLOW, .traits = VERB_READS},
    {"exec", 1, .need = VERB_EXEC},
    {"exists", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"expire", -3, .need = VERB_SHARED},
    {"expireat", -3, .need = VERB_SHARED},
    {"expiretime", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"failover", -1, .need = VERB_SLOW},
    {"fcall", -3, .need = VERB_SLOW},
    {"fcall_ro", -3, .need = VERB_SLOW, .traits = VERB_READS},
    {"flushall", -1, .need = VERB_SLOW},
    {"flushdb", -1, .need = VERB_SLOW},
    {"function", -2, .need = VERB_SHARED, SUBS(function_rows)},
    {"geoadd", -5, .need = VERB_SHARED},
    {"geodist", -4, .need = VERB_SHARED, .traits = VERB_READS},
    {"geohash", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"geopos", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"georadius", -6, .need = VERB_SHARED},
    {"georadius_ro", -6, .need = VERB_SHARED, .traits = VERB_READS},
    {"georadiusbymember", -5, .need = VERB_SHARED},
    {"georadiusbymember_ro", -5, .need = VERB_SHARED, .traits = VERB_READS},
    {"geosearch", -7, .need = VERB_SHARED, .traits = VERB_READS},
    {"geosearchstore", -8, .need = VERB_SHARED},
    {"get", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"getbit", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"getdel", 2, .need = VERB_SHARED},
    {"getex", -2, .need = VERB_SHARED},
    {"getrange", 4, .need = VERB_SHARED, .traits = VERB_READS},
    {"getset", 3, .need = VERB_SHARED},
    {"hdel", -3, .need = VERB_SHARED},
    {"hello", -1, .need = VERB_HELLO},
    {"hexists", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"hexpire", -6, .need = VERB_SHARED},
    {"hexpireat", -6, .need = VERB_SHARED},
    {"hexpiretime", -5, .need = VERB_SHARED, .traits = VERB_READS},
    {"hget", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"hgetall", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"hgetdel", -5, .need = VERB_SHARED},
    {"hgetex", -5, .need = VERB_SHARED},
    {"hincrby", 4, .need = VERB_SHARED},
    {"hincrbyfloat", 4, .need = VERB_SHARED},
    {"hkeys", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"hlen", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"hmget", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"hmset", -4, .need = VERB_SHARED},
    {"host:", -1, .need = VERB_ATTACK, .traits = VERB_CLOSES},
    {"hpersist", -5, .need = VERB_SHARED},
    {"hpexpire", -6, .need = VERB_SHARED},
    {"hpexpireat", -6, .need = VERB_SHARED},
    {"hpexpiretime", -5, .need = VERB_SHARED, .traits = VERB_READS},
    {"hpttl", -5, .need = VERB_SHARED, .traits = VERB_READS},
    {"hrandfield", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"hscan", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"hset", -4, .need = VERB_SHARED},
    {"hsetex", -6, .need = VERB_SHARED},
    {"hsetnx", 4, .need = VERB_SHARED},
    {"hstrlen", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"httl", -5, .need = VERB_SHARED, .traits = VERB_READS},
    {"hvals", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"incr", 2, .need = VERB_SHARED},
    {"incrby", 3, .need = VERB_SHARED},
    {"incrbyfloat", 3, .need = VERB_SHARED},
    {"info", -1, .need = VERB_SHARED},
    {"keys", 2, .need = VERB_SLOW, .traits = VERB_READS},
    {"lastsave", 1, .need = VERB_SHARED},
    {"latency", -2, .need = VERB_SHARED, SUBS(latency_rows)},
    {"lcs", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"lindex", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"linsert", 5, .need = VERB_SHARED},
    {"llen", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"lmove", 5, .need = VERB_SHARED},
    {"lmpop", -4, .need = VERB_SHARED},
    {"lolwut", -1, .need = VERB_SHARED, .traits = VERB_READS},
    {"lpop", -2, .need = VERB_SHARED},
    {"lpos", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"lpush", -3, .need = VERB_SHARED},
    {"lpushx", -3, .need = VERB_SHARED},
    {"lrange", 4, .need = VERB_SHARED, .traits = VERB_READS},
    {"lrem", 4, .need = VERB_SHARED},
    {"lset", 4, .need = VERB_SHARED},
    {"ltrim", 4, .need = VERB_SHARED},
    {"memory", -2, .need = VERB_SHARED, SUBS(memory_rows)},
    {"mget", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"migrate", -6, .need = VERB_SLOW},
    {"module", -2, .need = VERB_SHARED, SUBS(module_rows)},
    {"monitor", 1, .need = VERB_BLIND},
    {"move", 3, .need = VERB_SHARED},
    {"mset", -3, .need = VERB_SHARED},
    {"msetex", -4, .need = VERB_SHARED},
    {"msetnx", -3, .need = VERB_SHARED},
    {"multi", 1, .need = VERB_MULTI},
    {"object", -2, .need = VERB_SHARED, SUBS(object_rows)},
    {"persist", 2, .need = VERB_SHARED},
    {"pexpire", -3, .need = VERB_SHARED},
    {"pexpireat", -3, .need = VERB_SHARED},
    {"pexpiretime", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"pfadd", -2, .need = VERB_SHARED},
    {"pfcount", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"pfdebug", 3, .need = VERB_SLOW},
    {"pfmerge", -2, .need = VERB_SHARED},
    {"pfselftest", 1, .need = VERB_SLOW},
    {"ping", -1, .need = VERB_SHARED},
    {"post", -1, .need = VERB_ATTACK, .traits = VERB_CLOSES},
    {"psetex", 4, .need = VERB_SHARED},
    {"psubscribe", -2, .need = VERB_SUBSCRIBE, .traits = VERB_PATTERNS},
    {"psync", -3, .need = VERB_BLIND},
    {"pttl", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"publish", 3, .need = VERB_SHARED},
    {"pubsub", -2, .need = VERB_SHARED, SUBS(pubsub_rows)},
    {"punsubscribe", -1, .need = VERB_UNSUBSCRIBE, .traits = VERB_PATTERNS},
    {"quit", -1, .need = VERB_QUIT},
    {"randomkey", 1, .need = VERB_SHARED, .traits = VERB_READS},
    {"readonly", 1, .need = VERB_KEEPS},
    {"readwrite", 1, .need = VERB_KEEPS},
    {"rename", 3, .need = VERB_SHARED},
    {"renamenx", 3, .need = VERB_SHARED},
    {"replconf", -1, .need = VERB_BLIND},
    {"replicaof", 3, .need = VERB_SLOW},
    {"reset", 1, .need = VERB_RESET},
    {"restore", -4, .need = VERB_SHARED},
    {"restore-asking", -4, .need = VERB_SHARED},
    {"role", 1, .need = VERB_SHARED},
    {"rpop", -2, .need = VERB_SHARED},
    {"rpoplpush", 3, .need = VERB_SHARED},
    {"rpush", -3, .need = VERB_SHARED},
    {"rpushx", -3, .need = VERB_SHARED},
    {"sadd", -3, .need = VERB_SHARED},
    {"save", 1, .need = VERB_SLOW},
    {"scan", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"scard", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"script", -2, .need = VERB_SHARED, SUBS(script_rows)},
    {"sdiff", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"sdiffstore", -3, .need = VERB_SHARED},
    {"select", 2, .need = VERB_SELECT, .catch = VERB_IF_NUMBER},
    {"sentinel", -2, .need = VERB_SLOW},
    {"set", -3, .need = VERB_SHARED},
    {"setbit", 4, .need = VERB_SHARED},
    {"setex", 4, .need = VERB_SHARED},
    {"setnx", 3, .need = VERB_SHARED},
    {"setrange", 4, .need = VERB_SHARED},
    {"shutdown", -1, .need = VERB_SLOW, .traits = VERB_CLOSES},
    {"sinter", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"sintercard", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"sinterstore", -3, .need = VERB_SHARED},
    {"sismember", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"slaveof", 3, .need = VERB_SLOW},
    {"slowlog", -2, .need = VERB_SHARED, SUBS(slowlog_rows)},
    {"smembers", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"smismember", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"smove", 4, .need = VERB_SHARED},
    {"sort", -2, .need = VERB_SHARED},
    {"sort_ro", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"spop", -2, .need = VERB_SHARED},
    {"spublish", 3, .need = VERB_SHARED},
    {"srandmember", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"srem", -3, .need = VERB_SHARED},
    {"sscan", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"ssubscribe", -2, .need = VERB_SUBSCRIBE, .traits = VERB_SHARDS},
    {"strlen", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"subscribe", -2, .need = VERB_SUBSCRIBE},
    {"substr", 4, .need = VERB_SHARED, .traits = VERB_READS},
    {"sunion", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"sunionstore", -3, .need = VERB_SHARED},
    {"sunsubscribe", -1, .need = VERB_UNSUBSCRIBE, .traits = VERB_SHARDS},
    {"swapdb", 3, .need = VERB_SHARED},
    {"sync", 1, .need = VERB_BLIND},
    {"time", 1, .need = VERB_SHARED},
    {"touch", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"ttl", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"type", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"unlink", -2, .need = VERB_SHARED},
    {"unsubscribe", -1, .need = VERB_UNSUBSCRIBE},
    {"unwatch", 1, .need = VERB_UNWATCH},
    {"vadd", -1, .need = VERB_SHARED},
    {"vcard", -1, .need = VERB_SHARED, .traits = VERB_READS},
    {"vdim", -1, .need = VERB_SHARED, .traits = VERB_READS},
    {"vemb", -1, .need = VERB_SHARED, .traits = VERB_READS},
    {"vgetattr", -1, .need = VERB_SHARED, .traits = VERB_READS},
    {"vinfo", -1, .need = VERB_SHARED, .traits = VERB_READS},
    {"vismember", -1, .need = VERB_SHARED, .traits = VERB_READS},
    {"vlinks", -1, .need = VERB_SHARED, .traits = VERB_READS},
    {"vrandmember", -1, .need = VERB_SHARED, .traits = VERB_READS},
    {"vrem", -1, .need = VERB_SHARED},
    {"vsetattr", -1, .need = VERB_SHARED},
    {"vsim", -1, .need = VERB_SLOW, .traits = VERB_READS},
    {"wait", 3, .need = VERB_WAIT},
    {"waitaof", 4, .need = VERB_WAIT},
    {"watch", -2, .need = VERB_WATCH},
    {"xack", -4, .need = VERB_SHARED},
    {"xackdel", -6, .need = VERB_SHARED},
    {"xadd", -5, .need = VERB_SHARED},
    {"xautoclaim", -6, .need = VERB_SHARED},
    {"xclaim", -6, .need = VERB_SHARED},
    {"xdel", -3, .need = VERB_SHARED},
    {"xdelex", -5, .need = VERB_SHARED},
    {"xgroup", -2, .need = VERB_SHARED, SUBS(xgroup_rows)},
    {"xinfo", -2, .need = VERB_SHARED, SUBS(xinfo_rows)},
    {"xlen", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"xpending", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"xrange", -4, .need = VERB_SHARED, .traits = VERB_READS},
    {"xread", -4, .need = VERB_BLOCKING, .traits = VERB_READS, .catch = VERB_IF_BLOCK},
    {"xreadgroup", -7, .need = VERB_BLOCKING, .catch = VERB_IF_BLOCK},
    {"xrevrange", -4, .need = VERB_SHARED, .traits = VERB_READS},
    {"xsetid", -3, .need = VERB_SHARED},
    {"xtrim", -4, .need = VERB_SHARED},
    {"zadd", -4, .need = VERB_SHARED},
    {"zcard", 2, .need = VERB_SHARED, .traits = VERB_READS},
    {"zcount", 4, .need = VERB_SHARED, .traits = VERB_READS},
    {"zdiff", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"zdiffstore", -4, .need = VERB_SHARED},
    {"zincrby", 4, .need = VERB_SHARED},
    {"zinter", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"zintercard", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"zinterstore", -4, .need = VERB_SHARED},
    {"zlexcount", 4, .need = VERB_SHARED, .traits = VERB_READS},
    {"zmpop", -4, .need = VERB_SHARED},
    {"zmscore", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"zpopmax", -2, .need = VERB_SHARED},
    {"zpopmin", -2, .need = VERB_SHARED},
    {"zrandmember", -2, .need = VERB_SHARED, .traits = VERB_READS},
    {"zrange", -4, .need = VERB_SHARED, .traits = VERB_READS},
    {"zrangebylex", -4, .need = VERB_SHARED, .traits = VERB_READS},
    {"zrangebyscore", -4, .need = VERB_SHARED, .traits = VERB_READS},
    {"zrangestore", -5, .need = VERB_SHARED},
    {"zrank", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"zrem", -3, .need = VERB_SHARED},
    {"zremrangebylex", 4, .need = VERB_SHARED},
    {"zremrangebyrank", 4, .need = VERB_SHARED},
    {"zremrangebyscore", 4, .need = VERB_SHARED},
    {"zrevrange", -4, .need = VERB_SHARED, .traits = VERB_READS},
    {"zrevrangebylex", -4, .need = VERB_SHARED, .traits = VERB_READS},
    {"zrevrangebyscore", -4, .need = VERB_SHARED, .traits = VERB_READS},
    {"zrevrank", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"zscan", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"zscore", 3, .need = VERB_SHARED, .traits = VERB_READS},
    {"zunion", -3, .need = VERB_SHARED, .traits = VERB_READS},
    {"zunionstore", -4, .need = VERB_SHARED},
};

/* clang-format on */

const struct verb_row *verb_table_commands(size_t *count)
{
    *count = COUNT_OF(commands);
    return commands;
}

/* Eight bytes of a name as a number; numbers sort as names do. */
static inline uint64_t word_of(const char *name)
{
    uint64_t word;

    memcpy(&word, name, sizeof(word));
    return __builtin_bswap64(word);
}

/* The first eight bytes lead to the place without a branch that could be mispredicted; few rows
 * share them. */
const struct verb_row *verb_table_find(const struct verb_row *rows, size_t count,
                                       const struct verb_key *key)
{
    const struct verb_row *row = rows, *end = rows + count;
    uint64_t first = key->words[0];

    for (size_t left = count; left > 0;) {
        size_t half = (left + 1) / 2;

        row += word_of(row[half - 1].name) < first ? half : 0;
        left -= half;
    }
    for (; row < end && word_of(row->name) == first; row++)
        if (word_of(row->name + 8) == key->words[1] && word_of(row->name + 16) == key->words[2])
            return row;
    return NULL;
}
