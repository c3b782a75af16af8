#include "proxy/fronts/http/rows.h"

#include <stdio.h>
#include <string.h>

#include "drivers/postgres/wire.h"

/* What becomes of what comes. */
enum part { HEAD, SKIP, GATHER, ROW, ERROR };

/* Until rows_refuse; for ever if it is broken. */
static enum rows_sight stop(struct rows *rows, enum rows_sight why)
{
    rows->stopped = why;
    return why;
}

static enum rows_sight broken(struct rows *rows)
{
    return stop(rows, ROWS_BROKEN);
}

static void add(struct bytes *out, const char *text)
{
    bytes_add(out, text, strlen(text));
}

static void add_slice(struct bytes *out, struct slice text)
{
    bytes_add(out, text.at, text.length);
}

static struct slice cut(struct slice *from, size_t length)
{
    struct slice piece = {from->at, length};

    from->at += length;
    from->length -= length;
    return piece;
}

/* A number of several bytes; NULL: it is not whole yet. Valid until the next one. */
static const uint8_t *take_fixed(struct rows *rows, struct slice *rest, size_t length)
{
    size_t missing = length - rows->fixed_length;
    struct slice piece;

    if (missing == length && rest->length >= length)
        return cut(rest, length).at;
    piece = cut(rest, rest->length < missing ? rest->length : missing);
    memcpy(rows->fixed + rows->fixed_length, piece.at, piece.length);
    rows->fixed_length = (uint8_t)(rows->fixed_length + piece.length);
    if (rows->fixed_length < length)
        return NULL;
    rows->fixed_length = 0;
    return rows->fixed;
}

static uint16_t u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

/* ---- columns ----------------------------------------------------------------------------- */

static void begin_fields(struct rows *rows, struct bytes *out)
{
    if (rows->options.form == ROWS_NDJSON)
        add(out, rows->line);
    else
        add(out, "{");
    if (rows->options.form == ROWS_NEON)
        add(out, rows->options.as_arrays ? "\"rowAsArray\":true," : "\"rowAsArray\":false,");
    add(out, "\"fields\":[");
}

static void end_fields(struct rows *rows, struct bytes *out)
{
    rows->has_fields = true;
    add(out, rows->options.form == ROWS_NDJSON ? "]}\n" : "],\"rows\":[");
}

static enum rows_sight take_description(struct rows *rows, struct slice body, struct bytes *out)
{
    size_t begin = out->length;

    begin_fields(rows, out);
    if (!rows_columns_take(&rows->columns, body, &rows->options, out)) {
        out->length = begin; /* nothing of it has been told */
        return broken(rows);
    }
    end_fields(rows, out);
    rows->state = ROWS_TELLING;
    return ROWS_MORE;
}

/* ---- rows -------------------------------------------------------------------------------- */

static enum rows_sight begin_row(struct rows *rows, uint32_t length, const struct bytes *out)
{
    const struct rows_options *options = &rows->options;
    uint64_t told = rows->told + (out->length - rows->begin);

    if (rows->state != ROWS_TELLING)
        return broken(rows);
    rows->part = SKIP;
    if (options->rows_most > 0 && rows->count >= options->rows_most)
        return stop(rows, ROWS_TOO_MANY);
    if (options->bytes_most > 0 && told + length > options->bytes_most)
        return stop(rows, ROWS_TOO_LARGE);
    rows->part = ROW;
    rows->is_begun = rows->is_cell_told = rows->is_in_cell = false;
    rows->column = 0;
    return ROWS_MORE;
}

static enum rows_sight begin_cells(struct rows *rows, struct slice *rest, struct bytes *out)
{
    const uint8_t *count;

    if (rows->fixed_length == 0 && rows->left < 2)
        return broken(rows);
    count = take_fixed(rows, rest, 2);
    if (count == NULL)
        return ROWS_MORE;
    rows->left -= 2;
    if (u16(count) != rows->columns.length)
        return broken(rows);
    rows->is_begun = true;
    if (rows->options.form == ROWS_NDJSON) {
        add(out, rows->line);
        add(out, "\"row\":");
    } else if (rows->count > 0)
        bytes_add(out, ",", 1);
    bytes_add(out, rows->options.as_arrays ? "[" : "{", 1);
    return ROWS_MORE;
}

static enum rows_sight end_row(struct rows *rows, struct bytes *out)
{
    if (rows->left > 0)
        return broken(rows);
    bytes_add(out, rows->options.as_arrays ? "]" : "}", 1);
    if (rows->options.form == ROWS_NDJSON)
        bytes_add(out, "}\n", 2);
    rows->count++;
    rows->part = HEAD;
    return ROWS_MORE;
}

/* The comma and the name. */
static void begin_cell(struct rows *rows, const struct rows_column *column, struct bytes *out)
{
    size_t comma = rows->is_cell_told ? 0 : 1;

    if (rows->options.as_arrays)
        bytes_add(out, ",", 1 - comma);
    else
        bytes_add(out, rows->columns.names.at + column->key + comma, column->key_length - comma);
    rows->is_cell_told = true;
}

/* Its length is known, and as much of it as there is. */
static enum rows_sight add_to_cell(struct rows *rows, struct slice *rest, struct bytes *out)
{
    size_t length = rest->length < rows->cell_left ? rest->length : rows->cell_left;
    struct slice piece = cut(rest, length);

    rows->cell_left -= (uint32_t)length;
    rows->left -= (uint32_t)length;
    if (!rows->is_cell_hidden && !cell_add_part(&rows->cell, piece, out))
        return broken(rows);
    if (rows->cell_left > 0)
        return ROWS_MORE;
    rows->is_in_cell = false;
    rows->column++;
    return rows->is_cell_hidden || cell_end(&rows->cell, out) ? ROWS_MORE : broken(rows);
}

/* A length, and the value behind it if all of it is here. */
static enum rows_sight take_cell(struct rows *rows, struct slice *rest, struct bytes *out)
{
    const struct rows_column *column = rows_columns_at(&rows->columns, rows->column);
    const uint8_t *raw;
    uint32_t length;

    if (rows->fixed_length == 0 && rows->left < 4)
        return broken(rows);
    raw = take_fixed(rows, rest, 4);
    if (raw == NULL)
        return ROWS_MORE;
    rows->left -= 4;
    length = bytes_u32(raw);
    if (length > rows->left && length != UINT32_MAX)
        return broken(rows);
    rows->is_cell_hidden = column->is_hidden && !rows->options.as_arrays;
    if (!rows->is_cell_hidden)
        begin_cell(rows, column, out);
    if (length == UINT32_MAX) {
        if (!rows->is_cell_hidden)
            bytes_add(out, "null", 4);
        rows->column++;
        return ROWS_MORE;
    }
    if (rest->length >= length && !rows->is_cell_hidden) {
        rows->left -= length;
        rows->column++;
        return cell_add(column->type, cut(rest, length), out) ? ROWS_MORE : broken(rows);
    }
    rows->is_in_cell = true;
    rows->cell_left = length;
    if (!rows->is_cell_hidden)
        cell_begin(&rows->cell, column->type, out);
    return add_to_cell(rows, rest, out);
}

/* On to the end of the row, or of what there is. */
static enum rows_sight take_row(struct rows *rows, struct slice *rest, struct bytes *out)
{
    enum rows_sight sight = ROWS_MORE;

    if (!rows->is_begun)
        sight = begin_cells(rows, rest, out);
    if (!rows->is_begun || sight != ROWS_MORE)
        return sight;
    while (sight == ROWS_MORE && rows->column < rows->columns.length && rest->length > 0)
        sight = rows->is_in_cell ? add_to_cell(rows, rest, out) : take_cell(rows, rest, out);
    if (sight == ROWS_MORE && rows->column == rows->columns.length)
        sight = end_row(rows, out);
    return sight;
}

/* ---- the end ----------------------------------------------------------------------------- */

/* The last word of a tag if it is a number: "INSERT 0 5", "SELECT 5". */
static struct slice count_of(struct slice tag)
{
    const uint8_t *blank = tag.length > 0 ? memrchr(tag.at, ' ', tag.length) : NULL;
    struct slice word;

    if (blank == NULL)
        return (struct slice){NULL, 0};
    word = (struct slice){blank + 1, (size_t)(tag.at + tag.length - blank) - 1};
    return word.length <= 19 && json_out_is_number(word) ? word : (struct slice){NULL, 0};
}

/* Neon's is the first word, /db's all but the numbers. */
static struct slice command_of(struct slice tag, enum rows_form form)
{
    const uint8_t *blank = tag.length > 0 ? memchr(tag.at, ' ', tag.length) : NULL;
    struct slice count;

    if (form == ROWS_NEON && blank != NULL)
        return (struct slice){tag.at, (size_t)(blank - tag.at)};
    if (form == ROWS_NEON)
        return tag;
    while ((count = count_of(tag)).at != NULL)
        tag.length -= count.length + 1;
    return tag;
}

static void tell_command(const struct rows *rows, struct bytes *out)
{
    struct slice tag = {(const uint8_t *)rows->tag, strlen(rows->tag)};
    struct slice count = count_of(tag);

    add(out, "\"command\":");
    json_out_string(out, command_of(tag, rows->options.form));
    add(out, rows->options.form == ROWS_NEON ? ",\"rowCount\":" : ",\"row_count\":");
    add_slice(out, count.at != NULL ? count : SLICE("null"));
}

static void tell_success(struct rows *rows, struct bytes *out)
{
    if (rows->options.form == ROWS_NDJSON) {
        add(out, rows->line);
        add(out, "\"done\":{");
        tell_command(rows, out);
        add(out, "}}\n");
        return;
    }
    if (!rows->has_fields) {
        begin_fields(rows, out);
        end_fields(rows, out);
    }
    add(out, "],");
    tell_command(rows, out);
    add(out, "}");
}

/* ---- errors ------------------------------------------------------------------------------ */

static void begin_error(struct rows *rows, struct bytes *out)
{
    rows->is_error_begun = true;
    rows_error_begin(&rows->error, &rows->options);
    if (rows->options.form == ROWS_NDJSON)
        add(out, rows->line);
    else if (rows->options.form == ROWS_DB && rows->has_fields)
        add(out, "],");
    else
        add(out, "{");
    if (rows->options.form != ROWS_NEON)
        add(out, "\"error\":{");
}

static void end_error(struct rows *rows, struct bytes *out)
{
    static const char *const ends[] = {[ROWS_NEON] = "}", [ROWS_DB] = "}}", [ROWS_NDJSON] = "}}\n"};

    rows->state = ROWS_OVER;
    add(out, ends[rows->options.form]);
}

static enum rows_sight take_error(struct rows *rows, struct slice *rest, struct bytes *out)
{
    struct slice part = cut(rest, rest->length < rows->left ? rest->length : rows->left);

    rows->left -= (uint32_t)part.length;
    if (!rows->is_error_begun)
        begin_error(rows, out);
    if (rows_error_take(&rows->error, part, out)) {
        end_error(rows, out);
        rows->part = rows->left > 0 ? SKIP : HEAD;
        return ROWS_MORE;
    }
    return rows->left > 0 ? ROWS_MORE : broken(rows);
}

/* ---- messages ---------------------------------------------------------------------------- */

static enum rows_sight begin_gathering(struct rows *rows, uint32_t most, bool is_in_place)
{
    rows->part = GATHER;
    bytes_clear(&rows->gathered);
    return is_in_place && rows->left > 0 && rows->left <= most ? ROWS_MORE : broken(rows);
}

static enum rows_sight begin_failing(struct rows *rows)
{
    if (rows->state == ROWS_FAILING || rows->left == 0)
        return broken(rows);
    rows->state = ROWS_FAILING;
    rows->part = ERROR;
    return ROWS_FAILED;
}

/* Messages whose bodies mean nothing here. */
static enum rows_sight begin_other(struct rows *rows)
{
    rows->part = rows->left > 0 ? SKIP : HEAD;
    switch (rows->type) {
    case WIRE_EMPTY_QUERY_RESPONSE:
        if (rows->state != ROWS_WAITING)
            return broken(rows);
        rows->state = ROWS_COMPLETE;
        return ROWS_MORE;
    case WIRE_COPY_IN_RESPONSE:
        return stop(rows, ROWS_COPY_IN);
    case WIRE_COPY_OUT_RESPONSE:
        return stop(rows, ROWS_COPY_OUT);
    case WIRE_PARSE_COMPLETE:
    case WIRE_BIND_COMPLETE:
    case WIRE_CLOSE_COMPLETE:
    case WIRE_NO_DATA:
    case WIRE_PARAMETER_DESCRIPTION:
    case WIRE_PORTAL_SUSPENDED:
    case WIRE_PARAMETER_STATUS:
    case WIRE_NOTICE_RESPONSE:
    case WIRE_NOTIFICATION_RESPONSE:
        return ROWS_MORE;
    default:
        return broken(rows);
    }
}

static enum rows_sight begin_message(struct rows *rows, const struct bytes *out)
{
    bool is_waiting = rows->state == ROWS_WAITING, is_telling = rows->state == ROWS_TELLING;

    if (rows->type == WIRE_READY_FOR_QUERY)
        return begin_gathering(rows, 1, rows->state == ROWS_COMPLETE || rows->state == ROWS_OVER);
    if (rows->state == ROWS_OVER) {
        rows->part = rows->left > 0 ? SKIP : HEAD;
        return ROWS_MORE;
    }
    if (rows->type == WIRE_ROW_DESCRIPTION)
        return begin_gathering(rows, ROWS_DESCRIPTION_MOST, is_waiting);
    if (rows->type == WIRE_DATA_ROW)
        return begin_row(rows, rows->left, out);
    if (rows->type == WIRE_COMMAND_COMPLETE)
        return begin_gathering(rows, ROWS_TAG_MOST, is_waiting || is_telling);
    if (rows->type == WIRE_ERROR_RESPONSE)
        return begin_failing(rows);
    return begin_other(rows);
}

static enum rows_sight take_head(struct rows *rows, struct slice *rest, const struct bytes *out)
{
    const uint8_t *raw = take_fixed(rows, rest, WIRE_HEADER_SIZE);
    struct wire_header header;

    if (raw == NULL)
        return ROWS_MORE;
    if (wire_header((struct slice){raw, WIRE_HEADER_SIZE}, &header) != WIRE_MESSAGE)
        return broken(rows);
    rows->type = header.type;
    rows->left = header.length - WIRE_HEADER_SIZE;
    return begin_message(rows, out);
}

static enum rows_sight take_gathered(struct rows *rows, struct slice body, struct bytes *out)
{
    if (rows->type == WIRE_ROW_DESCRIPTION)
        return take_description(rows, body, out);
    if (rows->type == WIRE_COMMAND_COMPLETE) {
        if (body.at[body.length - 1] != 0)
            return broken(rows);
        memcpy(rows->tag, body.at, body.length);
        rows->state = ROWS_COMPLETE;
        return ROWS_MORE;
    }
    if (rows->state == ROWS_COMPLETE)
        tell_success(rows, out);
    rows->state = ROWS_OVER;
    rows->status = (char)body.at[0];
    return ROWS_READY;
}

static enum rows_sight gather(struct rows *rows, struct slice *rest, struct bytes *out)
{
    size_t length = rest->length < rows->left ? rest->length : rows->left;
    struct slice piece = cut(rest, length);

    rows->left -= (uint32_t)length;
    if (rows->left > 0 || rows->gathered.length > 0) {
        add_slice(&rows->gathered, piece);
        piece = (struct slice){rows->gathered.at, rows->gathered.length};
    }
    if (rows->gathered.failed) {
        out->failed = true;
        return broken(rows);
    }
    if (rows->left > 0)
        return ROWS_MORE;
    rows->part = HEAD;
    return take_gathered(rows, piece, out);
}

static enum rows_sight skip(struct rows *rows, struct slice *rest)
{
    size_t length = rest->length < rows->left ? rest->length : rows->left;

    (void)cut(rest, length);
    rows->left -= (uint32_t)length;
    if (rows->left == 0)
        rows->part = HEAD;
    return ROWS_MORE;
}

static enum rows_sight step(struct rows *rows, struct slice *rest, struct bytes *out)
{
    switch ((enum part)rows->part) {
    case HEAD:
        return take_head(rows, rest, out);
    case SKIP:
        return skip(rows, rest);
    case GATHER:
        return gather(rows, rest, out);
    case ROW:
        return take_row(rows, rest, out);
    case ERROR:
        return take_error(rows, rest, out);
    }
    return broken(rows);
}

/* ---- outside ----------------------------------------------------------------------------- */

void rows_begin(struct rows *rows, const struct rows_options *options)
{
    struct bytes gathered = rows->gathered;
    struct rows_columns columns = rows->columns;

    *rows = (struct rows){.options = *options, .gathered = gathered, .columns = columns};
    bytes_clear(&rows->gathered);
    rows_columns_clear(&rows->columns);
    snprintf(rows->line, sizeof(rows->line), "{\"i\":%zu,", options->index);
}

void rows_fini(struct rows *rows)
{
    bytes_free(&rows->gathered);
    rows_columns_fini(&rows->columns);
}

enum rows_sight rows_take(struct rows *rows, struct slice in, size_t *used, struct bytes *out)
{
    enum rows_sight sight = rows->stopped;
    struct slice rest = in;

    rows->begin = out->length;
    while (sight == ROWS_MORE && rest.length > 0)
        sight = step(rows, &rest, out);
    rows->told += out->length - rows->begin;
    *used = in.length - rest.length;
    return sight;
}

/* What is left of the message does not matter any more. */
static void leave_message(struct rows *rows)
{
    if (rows->part == HEAD)
        return;
    rows->left -= rows->fixed_length;
    rows->fixed_length = 0;
    rows->part = rows->left > 0 ? SKIP : HEAD;
}

bool rows_refuse_as(struct rows *rows, const char *sqlstate, const char *message, struct bytes *out)
{
    bool is_half_told = (rows->part == ROW && rows->is_begun) || rows->is_error_begun;

    ASSERT(rows->state != ROWS_OVER);
    rows->state = ROWS_OVER;
    if (rows->stopped != ROWS_BROKEN)
        rows->stopped = ROWS_MORE;
    leave_message(rows);
    if (is_half_told && rows->options.form != ROWS_NEON)
        return false;
    begin_error(rows, out);
    rows_error_say(&rows->error, sqlstate, message, out);
    end_error(rows, out);
    return true;
}

bool rows_refuse(struct rows *rows, enum rows_sight why, struct bytes *out)
{
    char message[128];

    switch (why) {
    case ROWS_TOO_MANY:
        snprintf(message, sizeof(message), "the result has too many rows (max is %llu)",
                 (unsigned long long)rows->options.rows_most);
        return rows_refuse_as(rows, "54000", message, out);
    case ROWS_TOO_LARGE:
        snprintf(message, sizeof(message), "response is too large (max is %llu bytes)",
                 (unsigned long long)rows->options.bytes_most);
        return rows_refuse_as(rows, "54000", message, out);
    case ROWS_COPY_IN:
        return rows_refuse_as(rows, "0A000", "COPY FROM STDIN is not possible over HTTP", out);
    case ROWS_COPY_OUT:
        return rows_refuse_as(rows, "0A000", "COPY TO STDOUT is not possible over HTTP", out);
    case ROWS_MORE:
    case ROWS_READY:
    case ROWS_FAILED:
    case ROWS_BROKEN:
        break;
    }
    return rows_refuse_as(rows, "08P01", "the server did not keep to the protocol", out);
}
