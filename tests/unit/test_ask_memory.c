/* Memory that runs out while a request is read: it is told, and nothing leaks. jansson's own is
 * not led here; what it says of that is taken for the same. */
#include "ask_words.h"
#include "no_memory.h"

TestSuite(ask_memory, .fini = finish);

static const struct ask_limits none = {0};

typedef enum err reading(void);

static enum err db(void)
{
    return ask_db(
        &ask,
        SLICE("{\"db\":\"d\",\"queries\":[\"a\",{\"sql\":\"b\",\"params\":[1,[\"x\",{\"y\":2}],"
              "{\"z\":[]}]},{\"redis\":[\"SET\",\"k\",5]}]}"),
        &none, &error);
}

static enum err sql(void)
{
    const struct ask_sql_headers headers = {0};
    enum err e = ask_sql_login(&ask, SLICE("postgres://u:p@h/d"), false, &error);

    return e != ERR_OK
               ? e
               : ask_sql(&ask, &headers, SLICE("{\"queries\":[{\"query\":\"a\"}]}"), &none, &error);
}

static enum err pipeline(void)
{
    return ask_rest(&ask, ASK_REST_PIPELINE, SLICE("[[\"a\",1],[\"b\"]]"), &none, &error);
}

static enum err path(void)
{
    const struct ask_rest_parts parts = {SLICE("/a/b"), SLICE("c=d"), SLICE("e")};
    enum err e = ask_rest_token(&ask, SLICE("_token=x"), &error);

    return e != ERR_OK ? e : ask_rest_path(&ask, &parts, &none, &error);
}

Test(ask_memory, want_of_memory_is_told_wherever_it_comes)
{
    static reading *const readings[] = {db, sql, pipeline, path};

    for (size_t i = 0; i < COUNT_OF(readings); i++) {
        enum err e = ERR_NO_MEMORY;
        long n = 0;

        for (; e != ERR_OK; n++) {
            error = (struct ask_error){0};
            no_memory_after(n);
            e = readings[i]();
            no_memory_after(NO_MEMORY_NEVER);
            cr_assert(e == ERR_OK || e == ERR_NO_MEMORY, "%zu, %ld: %s", i, n, error.why);
            cr_assert(e == ERR_OK || error.status == 503);
            ask_free(&ask);
        }
        cr_assert_gt(n, 1);
    }
}
