#include "drivers/postgres/relay_defer.h"

#include <stdio.h>

#include "drivers/postgres/relay_steps.h"
#include "drivers/postgres/sql.h"

/* Few texts are read. */
static bool is_likely(struct slice text)
{
    static const char second[32] = {
        ['b' & 31] = 'e', ['s' & 31] = 't', ['c' & 31] = 'o',
        ['e' & 31] = 'n', ['r' & 31] = 'o', ['a' & 31] = 'b',
    };

    return text.length >= 3 && text.length <= RELAY_MOST_BEGIN &&
           (text.at[1] | 0x20) == second[text.at[0] & 31];
}

/* What a Query does to its transaction; SQL_OTHER: something, or it is not clear. */
static enum sql_kind kind_of(struct slice message, struct slice *text)
{
    struct sql sql;

    *text = (struct slice){message.at + RELAY_HEADER, message.length - RELAY_HEADER};
    if (message.at[0] != WIRE_QUERY || text->length < 2 || text->at[text->length - 1] != '\0')
        return SQL_OTHER;
    text->length--;
    if (!is_likely(*text))
        return SQL_OTHER;
    sql_begin(&sql);
    sql_feed(&sql, *text);
    sql_end(&sql);
    return sql.statements == 1 && sql.clear ? sql.kind : SQL_OTHER;
}

/* A standby refuses these two, and what follows must not run outside of the transaction then. */
static bool may_fail(struct slice text)
{
    char words[RELAY_MOST_BEGIN + 1];

    snprintf(words, sizeof(words), "%.*s", (int)text.length, (const char *)text.at);
    return strcasestr(words, "serializable") != NULL || strcasestr(words, "write") != NULL;
}

static void answer(struct relay_plan *plan, struct slice answer)
{
    plan->back = answer;
    plan->queries = 1;
}

static bool begin(struct relay_sent *sent, struct slice text, struct relay_plan *plan)
{
    memcpy(sent->begun, text.at, text.length);
    sent->begun_length = (uint8_t)text.length;
    if ((text.at[0] | 0x20) == 's')
        answer(plan, SLICE("C\0\0\0\26START TRANSACTION\0Z\0\0\0\5T"));
    else
        answer(plan, SLICE("C\0\0\0\12BEGIN\0Z\0\0\0\5T"));
    return true;
}

static bool end(struct relay_sent *sent, enum sql_kind kind, struct relay_plan *plan)
{
    bool commits = kind == SQL_COMMIT && !sent->begun_failed;

    sent->begun_length = 0;
    sent->begun_failed = false;
    plan->transactions = 1;
    answer(plan, commits ? SLICE("C\0\0\0\13COMMIT\0Z\0\0\0\5I")
                         : SLICE("C\0\0\0\15ROLLBACK\0Z\0\0\0\5I"));
    return true;
}

static bool refuse(struct relay_sent *sent, struct relay_plan *plan)
{
    sent->refusing = true;
    answer(plan, SLICE("E\0\0\0\153SERROR\0VERROR\0C25P02\0Mcurrent transaction is aborted, "
                       "commands ignored until end of transaction block\0\0"));
    return false;
}

bool relay_defer_answers(struct relay_sent *sent, struct slice message, struct relay_plan *plan)
{
    struct slice text;
    enum sql_kind kind;

    if (!sent->defers || message.length <= bytes_u32(message.at + 1))
        return false;
    message.length = 1 + (size_t)bytes_u32(message.at + 1);
    kind = kind_of(message, &text);
    if (sent->begun_length == 0)
        return kind == SQL_BEGIN && !may_fail(text) && begin(sent, text, plan);
    if (kind == SQL_COMMIT || kind == SQL_ROLLBACK)
        return end(sent, kind, plan);
    return sent->begun_failed && refuse(sent, plan);
}

void relay_defer_begin(struct relay *relay, struct relay_sent *sent, struct relay_plan *plan)
{
    REQUIRE(relay->status == 'I' && !relay->unsynced && !sent->begun_failed);
    relay_steps_say_head(relay, plan, WIRE_QUERY, sent->begun_length + 1u);
    relay_steps_say(relay, plan, sent->begun, sent->begun_length);
    relay_steps_say(relay, plan, "", 1);
    owed_push(&relay->owed, OWED_QUERY | OWED_OURS);
    relay->status = 'T'; /* so that nothing of the client's is taken for what stands alone */
    sent->begun_length = 0;
}
