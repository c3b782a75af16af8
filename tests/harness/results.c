/* The HTTP door's two translators without a door, for integration/test_http_results.py:
 *
 *      results ask              {"sql": "...", "params": [...]} becomes messages of the protocol
 *      results FORM PIECE       a server's messages become JSON, shown in pieces of so many bytes
 *
 * FORM: neon, db or lines, and any of +arrays, +text, +numbers. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/fronts/http/extended.h"
#include "proxy/fronts/http/parameter.h"
#include "proxy/fronts/http/rows.h"

enum { MOST_PARAMS = 64 };

static void read_all(struct bytes *in)
{
    uint8_t buffer[65536];
    size_t length;

    while ((length = fread(buffer, 1, sizeof(buffer), stdin)) > 0)
        bytes_add(in, buffer, length);
}

static int ask(const struct bytes *in)
{
    json_t *request = json_loadb((char *)in->at, in->length, 0, NULL), *params, *sql;
    struct bytes texts[MOST_PARAMS] = {0}, out = {0};
    struct slice slices[MOST_PARAMS];
    size_t count;

    params = json_object_get(request, "params");
    sql = json_object_get(request, "sql");
    count = json_array_size(params);
    if (!json_is_string(sql) || count > MOST_PARAMS)
        return 2;
    for (size_t i = 0; i < count; i++) {
        bool is_null;

        if (parameter_add(json_array_get(params, i), &is_null, &texts[i]) != ERR_OK)
            return 3;
        bytes_add(&texts[i], "", 1); /* so that an empty text has a place */
        slices[i] = (struct slice){is_null ? NULL : texts[i].at, texts[i].length - 1};
    }
    if (extended_add_query(
            &out, (struct slice){(const uint8_t *)json_string_value(sql), json_string_length(sql)},
            slices, count) != ERR_OK)
        return 4;
    fwrite(out.at, 1, out.length, stdout);
    for (size_t i = 0; i < count; i++)
        bytes_free(&texts[i]);
    bytes_free(&out);
    json_decref(request);
    return 0;
}

static struct rows_options options_of(const char *form)
{
    return (struct rows_options){.form = strncmp(form, "neon", 4) == 0 ? ROWS_NEON
                                         : strncmp(form, "db", 2) == 0 ? ROWS_DB
                                                                       : ROWS_NDJSON,
                                 .as_arrays = strstr(form, "+arrays") != NULL,
                                 .as_text = strstr(form, "+text") != NULL,
                                 .big_numbers = strstr(form, "+numbers") != NULL};
}

static int tell(const struct bytes *in, const char *form, size_t piece)
{
    struct rows_options options = options_of(form);
    enum rows_sight sight = ROWS_MORE;
    struct bytes out = {0};
    struct rows rows = {0};
    size_t at = 0, used;

    rows_begin(&rows, &options);
    while (at < in->length && sight != ROWS_READY && sight != ROWS_BROKEN) {
        size_t left = in->length - at;

        sight =
            rows_take(&rows, (struct slice){in->at + at, left < piece ? left : piece}, &used, &out);
        at += used;
        if (sight >= ROWS_FAILED && options.form == ROWS_NEON)
            out.length = 0;
        if (sight > ROWS_FAILED && !rows_refuse(&rows, sight, &out))
            return 6;
    }
    if (sight != ROWS_READY || at != in->length || out.failed)
        return 5;
    fwrite(out.at, 1, out.length, stdout);
    bytes_free(&out);
    rows_fini(&rows);
    return 0;
}

int main(int argc, char **argv)
{
    struct bytes in = {0};
    int result;

    read_all(&in);
    if (in.failed || in.length == 0)
        return 1;
    result = argc == 3 ? tell(&in, argv[1], strtoul(argv[2], NULL, 10)) : ask(&in);
    bytes_free(&in);
    return result != 0 || ferror(stdout) || fclose(stdout) == EOF;
}
