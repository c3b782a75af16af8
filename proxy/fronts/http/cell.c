#include "proxy/fronts/http/cell.h"

#include <string.h>

/* Where in an array literal: before it, in its bounds, before its first brace, where an element
 * may begin, must begin, in one without quotes, in one with, behind a backslash, behind one,
 * behind all. */
enum place {
    AT_BEGIN,
    IN_BOUNDS,
    AT_BRACE,
    AT_FIRST,
    AT_NEXT,
    IN_BARE,
    IN_QUOTED,
    AT_ESCAPED,
    BEHIND,
    AT_END,
};

/* What becomes of a value's bytes: kept until it is clear what they are, or told as they come. */
enum item { KEPT, TOLD };

/* ---- a value, or an element -------------------------------------------------------------- */

static bool is(struct slice text, const char *word)
{
    return text.length == strlen(word) && memcmp(text.at, word, text.length) == 0;
}

/* All of it is here, and it is not told yet. */
static void add_scalar(enum types_kind kind, struct slice text, struct bytes *out)
{
    if (kind == TYPES_BOOL && is(text, "t"))
        bytes_add(out, "true", 4);
    else if (kind == TYPES_BOOL && is(text, "f"))
        bytes_add(out, "false", 5);
    else if (kind == TYPES_JSON && text.length > 0)
        json_out_inline(out, text);
    else if ((kind == TYPES_NUMBER || kind == TYPES_BIG) && text.length <= CELL_KEPT_MOST &&
             json_out_is_number(text))
        bytes_add(out, text.at, text.length);
    else
        json_out_string(out, text);
}

static void begin_telling(struct cell *cell, struct bytes *out)
{
    cell->item = TOLD;
    if (cell->type.kind == TYPES_JSON)
        json_out_begin_inline(&cell->text);
    else
        json_out_begin_string(&cell->text, out);
}

static void begin_item(struct cell *cell, bool may_be_null, struct bytes *out)
{
    cell->item = KEPT;
    cell->may_be_null = may_be_null;
    cell->kept_length = 0;
    if (cell->type.kind == TYPES_TEXT && !may_be_null)
        begin_telling(cell, out);
}

static void add_to_item(struct cell *cell, const uint8_t *at, size_t length, struct bytes *out)
{
    if (cell->item == KEPT && length <= (size_t)(CELL_KEPT_MOST - cell->kept_length)) {
        memcpy(cell->kept + cell->kept_length, at, length);
        cell->kept_length = (uint8_t)(cell->kept_length + length);
        return;
    }
    if (cell->item == KEPT) { /* more than any number has: it is none, nor is it NULL */
        begin_telling(cell, out);
        json_out_part(&cell->text, (struct slice){cell->kept, cell->kept_length}, out);
    }
    json_out_part(&cell->text, (struct slice){at, length}, out);
}

static void end_item(struct cell *cell, struct bytes *out)
{
    struct slice kept = {cell->kept, cell->kept_length};

    if (cell->item == TOLD)
        json_out_end(&cell->text, out);
    else if (cell->may_be_null && is(kept, "NULL"))
        bytes_add(out, "null", 4);
    else
        add_scalar((enum types_kind)cell->type.kind, kept, out);
}

/* ---- an array ---------------------------------------------------------------------------- */

static bool open_brace(struct cell *cell, struct bytes *out)
{
    if (cell->depth == CELL_DEPTH_MOST)
        return false;
    cell->depth++;
    cell->place = AT_FIRST;
    bytes_add(out, "[", 1);
    return true;
}

static void close_brace(struct cell *cell, struct bytes *out)
{
    cell->depth--;
    cell->place = cell->depth > 0 ? BEHIND : AT_END;
    bytes_add(out, "]", 1);
}

/* Behind an element, quoted or not, or behind an array in it. */
static bool separate(struct cell *cell, uint8_t byte, struct bytes *out)
{
    if (byte == '}') {
        close_brace(cell, out);
        return true;
    }
    cell->place = AT_NEXT;
    bytes_add(out, ",", 1);
    return byte == cell->type.delimiter;
}

/* An element, or an array, begins with byte, or there is none. */
static bool begin_element(struct cell *cell, uint8_t byte, struct bytes *out)
{
    if (byte == '{')
        return open_brace(cell, out);
    if (byte == '}' && cell->place == AT_FIRST) {
        close_brace(cell, out);
        return true;
    }
    if (byte == '}' || byte == cell->type.delimiter)
        return false;
    cell->place = byte == '"' ? IN_QUOTED : IN_BARE;
    begin_item(cell, byte != '"', out);
    if (byte != '"')
        add_to_item(cell, &byte, 1, out);
    return true;
}

/* As much as is part of the element and stands for itself. */
static const uint8_t *run_end(const struct cell *cell, const uint8_t *at, const uint8_t *end)
{
    uint8_t one = cell->place == IN_BARE ? '}' : '"';
    uint8_t other = cell->place == IN_BARE ? cell->type.delimiter : '\\';

    while (at < end && *at != one && *at != other)
        at++;
    return at;
}

/* at: a byte that is not in a run. */
static bool take_byte(struct cell *cell, const uint8_t *at, struct bytes *out)
{
    switch ((enum place)cell->place) {
    case AT_BEGIN:
        cell->place = *at == '[' ? IN_BOUNDS : AT_BRACE;
        return *at == '[' || (*at == '{' && open_brace(cell, out));
    case IN_BOUNDS:
        cell->place = *at == '=' ? AT_BRACE : IN_BOUNDS;
        return true;
    case AT_BRACE:
        return *at == '{' && open_brace(cell, out);
    case AT_FIRST:
    case AT_NEXT:
        return begin_element(cell, *at, out);
    case IN_BARE:
        end_item(cell, out);
        return separate(cell, *at, out);
    case IN_QUOTED:
        cell->place = *at == '\\' ? AT_ESCAPED : BEHIND;
        if (*at == '"')
            end_item(cell, out);
        return true;
    case AT_ESCAPED:
        cell->place = IN_QUOTED;
        add_to_item(cell, at, 1, out);
        return true;
    case BEHIND:
        return separate(cell, *at, out);
    case AT_END:
        return false;
    }
    return false;
}

static bool add_to_array(struct cell *cell, struct slice part, struct bytes *out)
{
    const uint8_t *at = part.at, *end = at + part.length;

    while (at < end) {
        if (cell->place == IN_BARE || cell->place == IN_QUOTED) {
            const uint8_t *run = at;

            at = run_end(cell, at, end);
            add_to_item(cell, run, (size_t)(at - run), out);
            if (at == end)
                break;
        }
        if (!take_byte(cell, at, out))
            return false;
        at++;
    }
    return true;
}

/* ---- outside ----------------------------------------------------------------------------- */

void cell_begin(struct cell *cell, struct types_type type, struct bytes *out)
{
    cell->type = type;
    cell->place = AT_BEGIN;
    cell->depth = 0;
    if (type.delimiter == 0)
        begin_item(cell, false, out);
}

bool cell_add_part(struct cell *cell, struct slice part, struct bytes *out)
{
    if (cell->type.delimiter != 0)
        return add_to_array(cell, part, out);
    add_to_item(cell, part.at, part.length, out);
    return true;
}

bool cell_end(struct cell *cell, struct bytes *out)
{
    if (cell->type.delimiter != 0)
        return cell->place == AT_END;
    end_item(cell, out);
    return true;
}

bool cell_add(struct types_type type, struct slice text, struct bytes *out)
{
    struct cell cell;

    if (type.delimiter == 0) {
        add_scalar((enum types_kind)type.kind, text, out);
        return true;
    }
    cell_begin(&cell, type, out);
    return cell_add_part(&cell, text, out) && cell_end(&cell, out);
}
