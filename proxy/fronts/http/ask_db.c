#include <stdio.h>
#include <string.h>

#include "base/option.h"
#include "proxy/fronts/http/ask_parts.h"

enum { MOST_KEYS = 16, LONGEST_NUMBER = 15 }; /* digits: exact in a double, and in uint64_t */

/* One /db: what is read, and what was said that only the whole can judge. */
struct reading {
    struct ask_reading common;
    struct ask_query *query; /* the one that is read */
    const json_t *queries;
    struct slice database;
    bool has_on_error, has_query_database;
    const char *of_transaction; /* a key that was said and needs one */
    char redis_at[32];          /* where there is one for Redis; "": nowhere */
};

typedef enum err take(struct reading *reading, const char *key, json_t *value);

struct key {
    const char *name;
    take *take;
};

/* ---- kinds of values --------------------------------------------------------------------- */

/* words: with a | between. Gives the place among them, as option words do. */
static enum err take_word(struct reading *reading, const char *key, const json_t *value,
                          const char *words, int *place)
{
    const char *text = json_string_value(value), *word = words;
    size_t length;

    if (text == NULL)
        return ask_complain_of_type(&reading->common, key, "a string", value);
    for (int i = 0; *word != '\0'; i++) {
        length = strcspn(word, "|");
        if (strlen(text) == length && json_string_length(value) == length &&
            memcmp(text, word, length) == 0) {
            *place = i;
            return ERR_OK;
        }
        word += length + (word[length] == '|');
    }
    return ask_complain(&reading->common, key, "\"%.40s\" is none of %s", text, words);
}

static enum err take_bool(struct reading *reading, const char *key, const json_t *value, bool *flag)
{
    if (!json_is_boolean(value))
        return ask_complain_of_type(&reading->common, key, "true or false", value);
    *flag = json_is_true(value);
    return ERR_OK;
}

/* A whole number from 1 to most, where a most of 0 is none. */
static enum err take_count(struct reading *reading, const char *key, const json_t *value,
                           uint64_t most, uint64_t *count)
{
    struct slice digits;
    uint64_t number = 0;

    if (!json_is_integer(value))
        return ask_complain_of_type(&reading->common, key, "a number", value);
    digits = document_number(&reading->common.ask->document, value);
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.at[i] < '0' || digits.at[i] > '9' || digits.length > LONGEST_NUMBER)
            return ask_complain(
                &reading->common, key, "%.*s is not a whole number of 1 to %d digits",
                (int)(digits.length < 40 ? digits.length : 40), digits.at, LONGEST_NUMBER);
        number = number * 10 + (uint64_t)(digits.at[i] - '0');
    }
    if (number == 0)
        return ask_complain(&reading->common, key, "it is at least 1");
    if (most > 0 && number > most)
        return ask_complain(&reading->common, key, "%llu is more than the configured %llu",
                            (unsigned long long)number, (unsigned long long)most);
    *count = number;
    return ERR_OK;
}

static enum err take_database(struct reading *reading, const char *key, const json_t *value,
                              struct slice *database)
{
    enum err e = ask_take_text(&reading->common, key, value, database);

    if (e == ERR_OK && (database->length == 0 || database->length > ASK_LONGEST_DATABASE))
        return ask_complain(&reading->common, key, "a database's name has 1 to %d bytes",
                            ASK_LONGEST_DATABASE);
    return e;
}

/* ---- objects ----------------------------------------------------------------------------- */

static enum err complain_of_key(const struct reading *reading, const struct key *keys, size_t count,
                                const char *name)
{
    struct option_row rows[MOST_KEYS] = {0};
    const struct option_table table = {rows, count, "key"};
    const char *near;
    char key[80];

    REQUIRE(count <= MOST_KEYS);
    for (size_t i = 0; i < count; i++)
        rows[i].name = keys[i].name;
    near = option_nearest(&table, name);
    snprintf(key, sizeof(key), ".%.60s", name);
    if (near != NULL)
        return ask_complain(&reading->common, key, "unknown; did you mean %s?", near);
    return ask_complain(&reading->common, key, "unknown");
}

static enum err take_key(struct reading *reading, const struct key *keys, size_t count,
                         const char *name, json_t *value)
{
    char key[40];

    for (size_t i = 0; i < count; i++) {
        if (strcmp(keys[i].name, name) != 0)
            continue;
        snprintf(key, sizeof(key), ".%s", name);
        return keys[i].take(reading, key, value);
    }
    return complain_of_key(reading, keys, count, name);
}

static enum err take_object(struct reading *reading, const struct key *keys, size_t count,
                            json_t *object)
{
    const char *name;
    json_t *value;
    enum err e;

    json_object_foreach(object, name, value)
    {
        e = take_key(reading, keys, count, name, value);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

/* ---- a query ----------------------------------------------------------------------------- */

static enum err take_sql(struct reading *reading, const char *key, json_t *value)
{
    return ask_take_text(&reading->common, key, value, &reading->query->sql);
}

static enum err take_params(struct reading *reading, const char *key, json_t *value)
{
    return ask_take_params(&reading->common, key, value, reading->query);
}

static enum err take_query_database(struct reading *reading, const char *key, json_t *value)
{
    return take_database(reading, key, value, &reading->query->database);
}

static enum err take_query_timeout(struct reading *reading, const char *key, json_t *value)
{
    return take_count(reading, key, value, 0, &reading->query->timeout_ms);
}

static enum err take_redis(struct reading *reading, const char *key, json_t *value)
{
    snprintf(reading->redis_at, sizeof(reading->redis_at), "%.31s", reading->common.place);
    return ask_take_command(&reading->common, key, value, reading->query);
}

static const struct key query_keys[] = {
    {"sql", take_sql},           {"params", take_params},
    {"db", take_query_database}, {"timeout_ms", take_query_timeout},
    {"redis", take_redis},
};

static enum err check_query(const struct reading *reading)
{
    const struct ask_query *query = reading->query;
    bool is_redis = query->arguments != NULL;

    if (query->sql.at == NULL && !is_redis)
        return ask_complain(&reading->common, "", "neither sql nor redis is said");
    if (query->sql.at != NULL && is_redis)
        return ask_complain(&reading->common, "", "sql and redis are two queries");
    if (is_redis && query->params != NULL)
        return ask_complain(&reading->common, ".params", "goes with sql");
    if (is_redis && query->database.at != NULL)
        return ask_complain(&reading->common, ".db", "goes with sql");
    return ERR_OK;
}

static enum err take_query(struct reading *reading, json_t *value)
{
    enum err e;

    if (json_is_string(value))
        return ask_take_text(&reading->common, "", value, &reading->query->sql);
    if (!json_is_object(value))
        return ask_complain_of_type(&reading->common, "", "a string or an object", value);
    e = take_object(reading, query_keys, COUNT_OF(query_keys), value);
    return e == ERR_OK ? check_query(reading) : e;
}

static enum err take_queries(struct reading *reading, const char *key, json_t *value)
{
    size_t length = json_array_size(value);
    struct ask *ask = reading->common.ask;
    enum err e;

    reading->queries = value;
    if (!json_is_array(value))
        return ask_complain_of_type(&reading->common, key, "an array", value);
    e = ask_make_queries(&reading->common, length);
    for (size_t i = 0; i < length && e == ERR_OK; i++) {
        ask_place(&reading->common, "queries[%zu]", i);
        reading->query = &ask->queries[i];
        e = take_query(reading, json_array_get(value, i));
        reading->has_query_database |= reading->query->database.at != NULL;
    }
    ask_place(&reading->common, "%s", "");
    return e;
}

/* ---- the request ------------------------------------------------------------------------- */

static enum err take_all_database(struct reading *reading, const char *key, json_t *value)
{
    return take_database(reading, key, value, &reading->database);
}

static enum err take_mode(struct reading *reading, const char *key, json_t *value)
{
    int place = 0;
    enum err e = take_word(reading, key, value, "parallel|pipeline|transaction", &place);

    reading->common.ask->mode = (enum ask_mode)place;
    return e;
}

static enum err take_on_error(struct reading *reading, const char *key, json_t *value)
{
    int place = 0;
    enum err e = take_word(reading, key, value, "continue|stop|cancel", &place);

    reading->common.ask->on_error = (enum ask_on_error)place;
    reading->has_on_error = true;
    return e;
}

static enum err take_isolation(struct reading *reading, const char *key, json_t *value)
{
    int place = 0;
    enum err e = take_word(reading, key, value,
                           "read uncommitted|read committed|repeatable read|serializable", &place);

    reading->common.ask->isolation = (enum ask_isolation)(place + ASK_READ_UNCOMMITTED);
    reading->of_transaction = ".isolation";
    return e;
}

static enum err take_read_only(struct reading *reading, const char *key, json_t *value)
{
    reading->of_transaction = ".read_only";
    return take_bool(reading, key, value, &reading->common.ask->read_only);
}

static enum err take_deferrable(struct reading *reading, const char *key, json_t *value)
{
    reading->of_transaction = ".deferrable";
    return take_bool(reading, key, value, &reading->common.ask->deferrable);
}

static enum err take_timeout(struct reading *reading, const char *key, json_t *value)
{
    return take_count(reading, key, value, reading->common.limits->timeout_ms,
                      &reading->common.ask->timeout_ms);
}

static enum err take_max_rows(struct reading *reading, const char *key, json_t *value)
{
    return take_count(reading, key, value, reading->common.limits->rows,
                      &reading->common.ask->max_rows);
}

static enum err take_max_bytes(struct reading *reading, const char *key, json_t *value)
{
    return take_count(reading, key, value, reading->common.limits->bytes,
                      &reading->common.ask->max_bytes);
}

static enum err take_format(struct reading *reading, const char *key, json_t *value)
{
    int place = 0;
    enum err e = take_word(reading, key, value, "json|text", &place);

    reading->common.ask->format = (enum ask_format)place;
    return e;
}

static enum err take_numbers(struct reading *reading, const char *key, json_t *value)
{
    int place = 0;
    enum err e = take_word(reading, key, value, "safe|exact", &place);

    reading->common.ask->numbers = (enum ask_numbers)place;
    return e;
}

static enum err take_rows(struct reading *reading, const char *key, json_t *value)
{
    int place = 0;
    enum err e = take_word(reading, key, value, "objects|arrays", &place);

    reading->common.ask->rows = (enum ask_rows)place;
    return e;
}

static const struct key keys[] = {
    {"queries", take_queries},       {"db", take_all_database},     {"mode", take_mode},
    {"on_error", take_on_error},     {"isolation", take_isolation}, {"read_only", take_read_only},
    {"deferrable", take_deferrable}, {"timeout_ms", take_timeout},  {"format", take_format},
    {"numbers", take_numbers},       {"rows", take_rows},           {"max_rows", take_max_rows},
    {"max_bytes", take_max_bytes},
};

/* ---- the whole --------------------------------------------------------------------------- */

static enum err check_transaction(struct reading *reading)
{
    struct ask *ask = reading->common.ask;

    if (ask->mode != ASK_TRANSACTION && reading->of_transaction != NULL)
        return ask_complain(&reading->common, reading->of_transaction,
                            "goes with mode transaction");
    if (ask->mode != ASK_TRANSACTION)
        return ERR_OK;
    if (reading->redis_at[0] != '\0')
        return ask_complain(&reading->common, reading->redis_at,
                            "Redis takes part in no transaction");
    if (reading->has_on_error && ask->on_error == ASK_CONTINUE)
        return ask_complain(&reading->common, ".on_error",
                            "a transaction ends with its first error");
    ask->on_error = ASK_STOP;
    return ERR_OK;
}

static enum err check_whole(struct reading *reading)
{
    const struct ask *ask = reading->common.ask;

    if (reading->queries == NULL)
        return ask_complain(&reading->common, ".queries", "missing");
    if (ask->mode != ASK_PARALLEL && reading->has_query_database)
        return ask_complain(&reading->common, "",
                            "in mode %s all queries share one database: say db beside queries",
                            ask->mode == ASK_PIPELINE ? "pipeline" : "transaction");
    return check_transaction(reading);
}

/* What was said for all holds for each that says nothing. */
static void spread(struct reading *reading)
{
    struct ask *ask = reading->common.ask;

    for (size_t i = 0; i < ask->queries_length; i++) {
        ask->queries[i].rows = ask->rows;
        if (ask->queries[i].database.at == NULL && ask->queries[i].sql.at != NULL)
            ask->queries[i].database = reading->database;
    }
}

enum err ask_db(struct ask *ask, struct slice body, const struct ask_limits *limits,
                struct ask_error *error)
{
    struct reading reading = {
        .common = {.ask = ask, .limits = limits, .error = error, .prefix = ""}};
    enum err e;

    ask->timeout_ms = limits->timeout_ms;
    ask->max_rows = limits->rows;
    ask->max_bytes = limits->bytes;
    ask->is_batch = true;
    reading.common.prefix = "the body is not JSON: ";
    e = ask_read(&reading.common, body);
    reading.common.prefix = "";
    if (e != ERR_OK)
        return e;
    if (!json_is_object(ask->document.root))
        return ask_complain_of_type(&reading.common, "", "an object with queries",
                                    ask->document.root);
    e = take_object(&reading, keys, COUNT_OF(keys), ask->document.root);
    if (e == ERR_OK)
        e = check_whole(&reading);
    if (e == ERR_OK)
        spread(&reading);
    return e;
}
