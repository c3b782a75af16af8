#include "proxy/fronts/postgres/console_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { NUMERIC_BASE = 10000, NUMERIC_DIGITS = 5 /* of a number of 64 bits */ };

void console_rows_begin(struct console_rows *rows, struct bytes *out,
                        const struct wire_column *columns, uint16_t count)
{
    REQUIRE(count > 0 && count <= CONSOLE_ROWS_COLUMNS_MOST);
    *rows = (struct console_rows){.out = out, .columns = columns, .count = count};
}

void console_rows_end(struct console_rows *rows)
{
    REQUIRE(rows->next == 0);
    bytes_free(&rows->cells);
}

/* All cells are there. */
static void end_row(struct console_rows *rows)
{
    struct slice values[CONSOLE_ROWS_COLUMNS_MOST];
    size_t begin = 1;

    for (uint16_t i = 0; i < rows->count; begin = rows->ends[i++]) {
        values[i] = (struct slice){rows->cells.at + begin, rows->ends[i] - begin};
        if (rows->nulls[i])
            values[i] = (struct slice){NULL, 0};
    }
    rows->next = 0;
    rows->out->failed |= rows->cells.failed;
    if (!rows->out->failed)
        wire_add_data_row(rows->out, values, rows->count);
    bytes_clear(&rows->cells);
}

static void add(struct console_rows *rows, const void *from, size_t length, bool is_null)
{
    if (rows->next == 0)
        bytes_add(&rows->cells, "", 1); /* so that an empty cell is somewhere, and not NULL */
    bytes_add(&rows->cells, from, length);
    rows->nulls[rows->next] = is_null;
    rows->ends[rows->next] = rows->cells.length;
    if (++rows->next == rows->count)
        end_row(rows);
}

void console_rows_text(struct console_rows *rows, const char *text)
{
    REQUIRE(text == NULL || rows->columns[rows->next].type == WIRE_TEXT);
    add(rows, text, text != NULL ? strlen(text) : 0, text == NULL);
}

void console_rows_time(struct console_rows *rows, uint64_t us)
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm parts;
    char text[64] = "";

    if (localtime_r(&seconds, &parts) != NULL)
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %Z", &parts);
    console_rows_text(rows, text);
}

/* ---- numbers ----------------------------------------------------------------------------- */

static void put_u16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

/* PostgreSQL's numeric_send(): how many digits of base 10000, the first one's power, sign and
 * places behind the point, and the digits. */
static size_t write_numeric(uint8_t *to, uint64_t number)
{
    unsigned digits[NUMERIC_DIGITS], count = 0;

    for (; number > 0; number /= NUMERIC_BASE)
        digits[count++] = (unsigned)(number % NUMERIC_BASE);
    put_u16(to, count);
    put_u16(to + 2, count > 0 ? count - 1 : 0);
    put_u16(to + 4, 0);
    put_u16(to + 6, 0);
    for (unsigned i = 0; i < count; i++)
        put_u16(to + 8 + (size_t)2 * i, digits[count - 1 - i]);
    return 8 + (size_t)2 * count;
}

static size_t write_binary(enum wire_type type, uint8_t *to, uint64_t number)
{
    if (type == WIRE_NUMERIC)
        return write_numeric(to, number);
    if (type == WIRE_INT4) {
        bytes_put_u32(to, (uint32_t)number);
        return 4;
    }
    bytes_put_u32(to, (uint32_t)(number >> 32));
    bytes_put_u32(to + 4, (uint32_t)number);
    return 8;
}

/* What is larger than its column can hold is the largest that it can. */
static uint64_t limit(enum wire_type type, uint64_t number)
{
    uint64_t most = type == WIRE_INT4 ? INT32_MAX : type == WIRE_INT8 ? INT64_MAX : UINT64_MAX;

    return number < most ? number : most;
}

void console_rows_number(struct console_rows *rows, uint64_t number)
{
    const struct wire_column *column = &rows->columns[rows->next];
    uint8_t binary[8 + 2 * NUMERIC_DIGITS];
    char text[24];

    REQUIRE(column->type == WIRE_INT4 || column->type == WIRE_INT8 || column->type == WIRE_NUMERIC);
    number = limit(column->type, number);
    if (column->is_binary)
        add(rows, binary, write_binary(column->type, binary, number), false);
    else
        add(rows, text, (size_t)snprintf(text, sizeof(text), "%" PRIu64, number), false);
}
