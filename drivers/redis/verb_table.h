/*
 * drivers/redis/verb_table.h - the commands of Redis, one row each; for verb.c.
 *
 *      const struct verb_row *row = verb_table_find(verb_table_commands(&count), count, name);
 *
 * Rows are sorted by name, a command's subcommands too; a unit test says when they are not.
 */
#ifndef DRIVERS_REDIS_VERB_TABLE_H
#define DRIVERS_REDIS_VERB_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/redis/verb.h"

enum { VERB_TABLE_NAME = 24 }; /* the longest name and what is left of three words of eight */

/* What a row says besides its need. */
enum verb_trait {
    VERB_READS = 1,     /* is_read_only */
    VERB_DOUBT = 2,     /* leaves_doubt */
    VERB_OUTLIVES = 4,  /* outlives_reset */
    VERB_CLOSES = 8,    /* may_close */
    VERB_PATTERNS = 16, /* its subscriptions */
    VERB_SHARDS = 32,
};

/* What else its need depends on. */
enum verb_catch {
    VERB_NO_CATCH,
    VERB_IF_BLOCK,  /* SHARED without the option BLOCK */
    VERB_UNLESS_ON, /* SHARED with the argument ON */
    VERB_UNLESS_NO, /* SHARED with the argument NO */
    VERB_IF_NUMBER, /* refused unless args[1] is a number */
    VERB_AT_MOST_3, /* refused with more than three arguments */
};

struct verb_row {
    char name[VERB_TABLE_NAME]; /* lower case, and zeros behind it */
    int8_t arity;               /* Redis's: with its name; negative: or more */
    uint8_t need, traits, catch;
    uint16_t sub_count; /* 0: it has no subcommands */
    const struct verb_row *subs;
};

/* All commands, sorted. */
const struct verb_row *verb_table_commands(size_t *count);

/* A name in lower case, zeros behind it, each eight bytes a number: the first is the highest. */
struct verb_key {
    uint64_t words[VERB_TABLE_NAME / 8];
};
/* NULL: no row has that name. */
const struct verb_row *verb_table_find(const struct verb_row *rows, size_t count,
                                       const struct verb_key *key);

#endif
