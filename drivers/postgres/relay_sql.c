#include "drivers/postgres/relay_sql.h"

#include "drivers/postgres/relay_steps.h"
#include "drivers/postgres/sql.h"

enum { WHOLE = RELAY_WHOLE_BELOW }; /* longer than that, who knows what is in it */

/* Where the text begins; 0: it has not come, or is that of a named one. */
static size_t text_at(struct slice message)
{
    if (message.at[0] == WIRE_QUERY)
        return RELAY_HEADER;
    if (message.at[0] == WIRE_PARSE && message.length > RELAY_HEADER &&
        message.at[RELAY_HEADER] == '\0')
        return RELAY_HEADER + 1;
    return 0;
}

bool relay_sql_is_text(struct slice message)
{
    return text_at(message) > 0;
}

static void read_text(struct sql *sql, struct slice message, size_t at)
{
    struct slice text = {message.at + at, message.length - at};
    const uint8_t *end = memchr(text.at, '\0', text.length);

    if (end != NULL)
        text.length = (size_t)(end - text.at);
    sql_begin(sql);
    sql_feed(sql, text);
    sql_end(sql);
}

/* From now on the name means on the server what it means to the client. False: that is not clear
 * yet. */
static bool make_same(struct relay *relay, struct relay_plan *plan, const struct relay_name *name,
                      bool is_query)
{
    const struct statement *mine, *there;
    enum relay_sight at_client = relay_steps_at_client(relay, name, &mine);
    enum relay_sight at_server = relay_steps_at_server(relay, name, &there);
    enum relay_place place;
    struct relay_name as;
    bool in_batch = relay->unsynced || owed_ends_in_batch(&relay->owed), sound;

    if (at_client == RELAY_UNCLEAR || at_server == RELAY_UNCLEAR)
        return false;
    place = mine != NULL ? relay_steps_find_place(relay, name, mine, &as) : RELAY_IS_TAKEN;
    sound = mine == there && (mine == NULL || place == RELAY_IS_THERE);
    if (sound)
        return true;
    if (relay->status == 'E') /* it will fail, unless that ends before */
        return relay->owed.length == 0;
    if (there != NULL)
        relay_steps_close_ahead(relay, plan, name);
    if (mine != NULL)
        relay_steps_parse_ahead(relay, plan, mine, name);
    if (!in_batch && is_query)
        relay_steps_end_ahead(relay, plan);
    return true;
}

/* What it will have changed, once it is answered. */
static void expect_change(struct relay *relay, const struct sql *sql, const struct relay_name *name,
                          bool is_query, struct relay_naming *naming)
{
    bool forgets = sql->kind == SQL_DEALLOCATE && !sql->all && sql->statements == 1;
    struct relay_step *step;

    if (!is_query && !forgets)
        return;
    step = relay_steps_add(relay, NULL, forgets ? name : NULL, forgets && is_query ? name : NULL);
    step->of_all = is_query && !forgets;
    if (is_query) /* what follows does not share its fate */
        relay->names.batch++;
    naming->marks = OWED_NAMED;
}

/* One statement that names what it is about is given just that. Of all else that may execute
 * something, or forget it, or is too long to tell, the server keeps nothing that is another's. */
static bool is_simple(const struct sql *sql)
{
    bool named =
        sql->kind == SQL_PREPARE || sql->kind == SQL_EXECUTE || sql->kind == SQL_DEALLOCATE;

    return sql->statements == 1 && named && !sql->all && sql->name[0] != '\0';
}

static bool is_hidden(const struct sql *sql)
{
    return (sql->hints & (SQL_EXECUTES | SQL_OPAQUE | SQL_LOST | SQL_BACKSLASH | SQL_ENCODING)) !=
           0;
}

static bool see_simple(struct relay *relay, const struct sql *sql, bool is_query,
                       struct relay_plan *plan, struct relay_naming *naming)
{
    struct relay_name name;

    if (plan->count > 0 || relay->names.back_length > 0)
        return false; /* alone: there is always room for it then */
    if (relay->names.count > 0)
        relay_steps_press(relay, plan);
    name = relay_steps_name((struct slice){(const uint8_t *)sql->name, strlen(sql->name)});
    if (relay->names.count > 0 || (is_simple(sql) && !make_same(relay, plan, &name, is_query))) {
        plan->verdict = RELAY_WAITS;
        return false;
    }
    expect_change(relay, sql, &name, is_query, naming);
    return true;
}

bool relay_sql_see(struct relay *relay, struct slice message, struct relay_plan *plan,
                   struct relay_naming *naming)
{
    size_t length = 1 + (size_t)bytes_u32(message.at + 1);
    bool is_query = message.at[0] == WIRE_QUERY;
    struct sql sql;

    if (length > WHOLE)
        return relay_steps_expel(relay, plan);
    if (message.length < length)
        return false;
    message.length = length;
    read_text(&sql, message, text_at(message));
    if (!is_simple(&sql) && is_hidden(&sql) && !relay_steps_expel(relay, plan))
        return false;
    if (!is_simple(&sql) && sql.kind != SQL_DISCARD_ALL && sql.kind != SQL_DEALLOCATE &&
        sql.kind != SQL_PREPARE && sql.kind != SQL_EXECUTE)
        return true;
    return see_simple(relay, &sql, is_query, plan, naming);
}
