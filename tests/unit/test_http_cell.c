/* Each row: a type by its OID, a value as PostgreSQL writes it, and as JSON. Each is shown whole,
 * byte by byte, and cut in two at every byte. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/http/cell.h"

static struct bytes told;

static void forget(void)
{
    bytes_free(&told);
    clean_end();
}

TestSuite(http_cell, .fini = forget);

enum {
    BOOL = 16,
    BYTEA = 17,
    INT8 = 20,
    INT2 = 21,
    INT4 = 23,
    TEXT = 25,
    JSON = 114,
    XML_ARRAY = 143,
    JSON_ARRAY = 199,
    FLOAT4 = 700,
    FLOAT8 = 701,
    BOOL_ARRAY = 1000,
    INT4_ARRAY = 1007,
    TEXT_ARRAY = 1009,
    INT8_ARRAY = 1016,
    BOX_ARRAY = 1020,
    FLOAT8_ARRAY = 1022,
    NUMERIC = 1700,
    JSONB = 3802,
    JSONB_ARRAY = 3807,
    MULTIRANGE_ARRAY = 6157,
    OF_A_USER = 16400,
};

#define TEN     "0123456789"
#define HUNDRED TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

/* NULL: no array. */
static const struct {
    uint32_t oid;
    const char *text, *json;
} table[] = {
    /* scalars, as Neon's json.rs has them in its tests */
    {TEXT, "foo", "\"foo\""},
    {INT4, "42", "42"},
    {INT2, "42", "42"},
    {INT8, "42", "\"42\""},
    {FLOAT8, "42.42", "42.42"},
    {FLOAT4, "42.42", "42.42"},
    {FLOAT4, "NaN", "\"NaN\""},
    {FLOAT4, "Infinity", "\"Infinity\""},
    {FLOAT4, "-Infinity", "\"-Infinity\""},
    {JSONB, "{\"s\":\"str\",\"n\":42,\"f\":4.2,\"a\":[null,3,\"a\"]}",
     "{\"s\":\"str\",\"n\":42,\"f\":4.2,\"a\":[null,3,\"a\"]}"},
    /* and others */
    {BOOL, "t", "true"},
    {BOOL, "f", "false"},
    {INT4, "-2147483648", "-2147483648"},
    {FLOAT8, "1e+20", "1e+20"},
    {FLOAT8, "1.7976931348623157e+308", "1.7976931348623157e+308"},
    {FLOAT8, "-0", "-0"},
    {NUMERIC, "1.10", "\"1.10\""},
    {BYTEA, "\\x00ff", "\"\\\\x00ff\""},
    {TEXT, "", "\"\""},
    {TEXT, "null", "\"null\""},
    {TEXT, "NULL", "\"NULL\""},
    {TEXT, "{1,2}", "\"{1,2}\""},
    {TEXT, HUNDRED HUNDRED, "\"" HUNDRED HUNDRED "\""},
    {JSON, "\"" HUNDRED "\\n" HUNDRED "\"", "\"" HUNDRED "\\n" HUNDRED "\""},
    {JSON, " null", " null"},
    {JSON, "\"\xd0\xb6\xf0\x9f\x90\x98\"", "\"\xd0\xb6\xf0\x9f\x90\x98\""},
    {OF_A_USER, "{a,b}", "\"{a,b}\""},
    /* what no server sends is still JSON */
    {BOOL, "x", "\"x\""},
    {INT4, "", "\"\""},
    {INT4, "1 2", "\"1 2\""},
    {INT4, "NULL", "\"NULL\""},
    {INT4_ARRAY, "{\"NULL\"}", "[\"NULL\"]"},
    {INT4, "007", "\"007\""},
    {INT4, "1" HUNDRED HUNDRED, "\"1" HUNDRED HUNDRED "\""},
    {JSON, "", "\"\""},

    /* arrays, as Neon's tests have them */
    {TEXT_ARRAY, "{}", "[]"},
    {TEXT_ARRAY, "{a,b,NULL}", "[\"a\",\"b\",null]"},
    {TEXT_ARRAY, "{\"{\",\"}\",\"\\\\\",\"\\\"\",\"NULL\"}",
     "[\"{\",\"}\",\"\\\\\",\"\\\"\",\"NULL\"]"},
    {TEXT_ARRAY, "{{a,b},{c,d}}", "[[\"a\",\"b\"],[\"c\",\"d\"]]"},
    {TEXT_ARRAY, "{{{a}},{{b}}}", "[[[\"a\"]],[[\"b\"]]]"},
    {BOOL_ARRAY, "{t,f,NULL}", "[true,false,null]"},
    {INT4_ARRAY, "{1,-2,NULL}", "[1,-2,null]"},
    {INT4_ARRAY, "{{1,2,3},{4,5,6}}", "[[1,2,3],[4,5,6]]"},
    {INT8_ARRAY, "{1,NULL}", "[\"1\",null]"},
    {FLOAT8_ARRAY, "{1.5,NaN,-Infinity,1e-07}", "[1.5,\"NaN\",\"-Infinity\",1e-07]"},
    {JSON_ARRAY, "{\"{\\\"a\\\": [1, \\\"b\\\\\\\\c\\\"]}\",1,true,NULL,\"null\"}",
     "[{\"a\": [1, \"b\\\\c\"]},1,true,null,null]"},
    {JSONB_ARRAY, "{\"{}\"}", "[{}]"},
    /* bounds */
    {INT4_ARRAY, "[0:1]={1,2}", "[1,2]"},
    {INT4_ARRAY, "[1:1][-2:-1][3:5]={{{1,2,3},{4,5,6}}}", "[[[1,2,3],[4,5,6]]]"},
    /* and others */
    {TEXT_ARRAY, "{\"\",\" a \",\"a,b\",\"null\",nil,\"\xd0\xb6\"}",
     "[\"\",\" a \",\"a,b\",\"null\",\"nil\",\"\xd0\xb6\"]"},
    {TEXT_ARRAY, "{NULLX,XNULL,NUL,NULL}", "[\"NULLX\",\"XNULL\",\"NUL\",null]"},
    {TEXT_ARRAY, "{" HUNDRED HUNDRED ",NULL}", "[\"" HUNDRED HUNDRED "\",null]"},
    {TEXT_ARRAY, "{\"" HUNDRED "\\\"" HUNDRED "\"}", "[\"" HUNDRED "\\\"" HUNDRED "\"]"},
    {TEXT_ARRAY, "{\"a\nb\",\"\\x41\"}", "[\"a\\nb\",\"x41\"]"},
    {XML_ARRAY, "{<a/>}", "[\"<a/>\"]"},
    {BOX_ARRAY, "{(1,1),(0,0);(2,2),(1,1);NULL}", "[\"(1,1),(0,0)\",\"(2,2),(1,1)\",null]"},
    {MULTIRANGE_ARRAY, "{\"{[1,2),[3,4)}\",\"{}\"}", "[\"{[1,2),[3,4)}\",\"{}\"]"},
    {JSON_ARRAY, "{" HUNDRED HUNDRED "}", "[" HUNDRED HUNDRED "]"},
    {INT4_ARRAY, "{\"12\"}", "[12]"},
    /* no arrays */
    {INT4_ARRAY, "", NULL},
    {INT4_ARRAY, "1", NULL},
    {INT4_ARRAY, "{", NULL},
    {INT4_ARRAY, "{1", NULL},
    {INT4_ARRAY, "{1,", NULL},
    {INT4_ARRAY, "{1,}", NULL},
    {INT4_ARRAY, "{,1}", NULL},
    {INT4_ARRAY, "{1}}", NULL},
    {INT4_ARRAY, "{1} ", NULL},
    {INT4_ARRAY, "{\"1}", NULL},
    {INT4_ARRAY, "{\"1\"2}", NULL},
    {INT4_ARRAY, "{{1}2}", NULL},
    {INT4_ARRAY, "[0:1]", NULL},
    {INT4_ARRAY, "[0:1]=1", NULL},
    {BOX_ARRAY, "{\"1\",\"2\"}", NULL},
};

/* As memory of its own. */
static bool show(struct cell *cell, const char *at, size_t length)
{
    uint8_t *copy = malloc(length + 1);
    bool is_well;

    memcpy(copy, at, length);
    is_well = cell_add_part(cell, (struct slice){copy, length}, &told);
    free(copy);
    return is_well;
}

static void becomes(bool is_well, const char *json, const char *text)
{
    bytes_add(&told, "", 1);
    cr_assert_eq(is_well, json != NULL, "%s", text);
    if (json != NULL)
        cr_assert_str_eq((char *)told.at, json, "%s: %s", text, (char *)told.at);
    bytes_clear(&told);
}

Test(http_cell, each_type_has_its_json)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct types_type type = types_find(table[i].oid);
        const char *text = table[i].text;
        size_t length = strlen(text);
        bool is_well;
        struct cell cell;

        type.kind = type.kind == TYPES_BIG ? TYPES_TEXT : type.kind;
        becomes(cell_add(type, (struct slice){(const uint8_t *)text, length}, &told), table[i].json,
                text);
        for (size_t at = 0; at <= length; at++) {
            cell_begin(&cell, type, &told);
            becomes(show(&cell, text, at) && show(&cell, text + at, length - at) &&
                        cell_end(&cell, &told),
                    table[i].json, text);
        }
        cell_begin(&cell, type, &told);
        is_well = true;
        for (size_t at = 0; at < length && is_well; at++)
            is_well = show(&cell, text + at, 1);
        becomes(is_well && cell_end(&cell, &told), table[i].json, text);
    }
}

Test(http_cell, big_numbers_are_numbers_where_they_are_asked_for)
{
    struct types_type type = {TYPES_BIG, 0};

    becomes(cell_add(type, SLICE("9223372036854775807"), &told), "9223372036854775807", "int8");
    becomes(cell_add(type, SLICE("1.10"), &told), "1.10", "numeric");
    becomes(cell_add(type, SLICE("NaN"), &told), "\"NaN\"", "NaN");
}

Test(http_cell, arrays_are_not_nested_without_end)
{
    static char text[CELL_DEPTH_MOST + 2];
    struct types_type type = {TYPES_TEXT, ','};
    struct cell cell;

    memset(text, '{', sizeof(text));
    cell_begin(&cell, type, &told);
    cr_assert(show(&cell, text, CELL_DEPTH_MOST));
    cr_assert_not(show(&cell, text, 1));
}

Test(http_cell, every_array_of_postgresql_is_known)
{
    /* select oid from pg_type where typcategory = 'A' and oid < 10000 order by 1, without 22 and 30
     */
    static const uint32_t all[] = {
        143,  199,  210,  270,  271,  272,  273,  629,  651,  719,  775,  791,  1000, 1001,
        1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1016,
        1017, 1018, 1019, 1020, 1021, 1022, 1027, 1028, 1034, 1040, 1041, 1115, 1182, 1183,
        1185, 1187, 1231, 1263, 1270, 1561, 1563, 2201, 2207, 2208, 2209, 2210, 2211, 2949,
        2951, 3221, 3643, 3644, 3645, 3735, 3770, 3807, 3905, 3907, 3909, 3911, 3913, 3927,
        4073, 4090, 4097, 4192, 5039, 6150, 6151, 6152, 6153, 6155, 6157};

    for (size_t i = 0; i < COUNT_OF(all); i++)
        cr_assert_eq(types_find(all[i]).delimiter, all[i] == BOX_ARRAY ? ';' : ',', "%u", all[i]);
    cr_assert_eq(types_find(22).delimiter, 0, "int2vector is no array in text");
    cr_assert_eq(types_find(0).delimiter, 0);
    cr_assert_eq(types_find(UINT32_MAX).delimiter, 0);
}
