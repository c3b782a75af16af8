/* Prints the table of Redis commands, one row a line: command, subcommand or -, arity, need, and
 * what else is said of it. For integration/test_redis_commands_table.py. */
#include <stdio.h>

#include "drivers/redis/verb_table.h"

static void print(const char *command, const char *subcommand, const struct verb_row *row)
{
    printf("%s %s %d %s%s%s%s%s\n", command, subcommand, row->arity, verb_need_name(row->need),
           row->traits & VERB_READS ? " read_only" : "", row->traits & VERB_DOUBT ? " doubt" : "",
           row->traits & VERB_OUTLIVES ? " outlives_reset" : "",
           row->traits & VERB_CLOSES ? " may_close" : "");
}

int main(void)
{
    size_t count;
    const struct verb_row *rows = verb_table_commands(&count);

    for (size_t i = 0; i < count; i++) {
        print(rows[i].name, "-", &rows[i]);
        for (size_t j = 0; j < rows[i].sub_count; j++)
            print(rows[i].name, rows[i].subs[j].name, &rows[i].subs[j]);
    }
    return ferror(stdout) || fclose(stdout) == EOF;
}
