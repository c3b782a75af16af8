#include <criterion/criterion.h>
#include <string.h>

#include "drivers/postgres/shape.h"

struct column {
    const char *name;
    uint32_t table;
    uint16_t attribute;
    uint32_t type;
    uint16_t size;
    uint32_t modifier;
    uint16_t format;
};

static const struct column a_int = {"a", 16384, 1, 23, 4, UINT32_MAX, 0};

static void add_u16(struct bytes *out, uint16_t value)
{
    bytes_add(out, &(uint8_t[2]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static void add_u32(struct bytes *out, uint32_t value)
{
    add_u16(out, (uint16_t)(value >> 16));
    add_u16(out, (uint16_t)value);
}

static struct bytes description(const struct column *columns, uint16_t count)
{
    struct bytes out = {0};

    bytes_add(&out, "T\0\0\0\0", 5);
    add_u16(&out, count);
    for (; count > 0; count--, columns++) {
        bytes_add(&out, columns->name, strlen(columns->name) + 1);
        add_u32(&out, columns->table);
        add_u16(&out, columns->attribute);
        add_u32(&out, columns->type);
        add_u16(&out, columns->size);
        add_u32(&out, columns->modifier);
        add_u16(&out, columns->format);
    }
    bytes_put_u32(out.at + 1, (uint32_t)out.length - 1);
    return out;
}

static uint64_t shape_in_pieces(const struct bytes *message, size_t piece)
{
    struct shape shape;

    shape_begin(&shape);
    for (size_t at = 0; at < message->length; at += piece)
        shape_feed(&shape,
                   (struct slice){message->at + at,
                                  message->length - at < piece ? message->length - at : piece});
    return shape_end(&shape);
}

static uint64_t shape_of(const struct column *columns, uint16_t count)
{
    struct bytes message = description(columns, count);
    uint64_t shape = shape_in_pieces(&message, message.length);

    for (size_t piece = 1; piece < message.length; piece++)
        cr_assert_eq(shape_in_pieces(&message, piece), shape, "in pieces of %zu", piece);
    bytes_free(&message);
    return shape;
}

static void changed(struct column other, bool matters)
{
    struct column before[] = {a_int, a_int}, after[] = {a_int, other};

    cr_assert_eq(shape_of(before, 2) != shape_of(after, 2), matters);
}

Test(shape, names_types_sizes_and_modifiers_matter)
{
    changed((struct column){"b", 16384, 1, 23, 4, UINT32_MAX, 0}, true);
    changed((struct column){"a", 16384, 1, 20, 4, UINT32_MAX, 0}, true);
    changed((struct column){"a", 16384, 1, 0x17000017, 4, UINT32_MAX, 0}, true);
    changed((struct column){"a", 16384, 1, 23, 8, UINT32_MAX, 0}, true);
    changed((struct column){"a", 16384, 1, 23, 0x104, UINT32_MAX, 0}, true);
    changed((struct column){"a", 16384, 1, 23, 4, 0x7fffffff, 0}, true);
    changed((struct column){"a", 16384, 1, 23, 4, 0xfffffffe, 0}, true);
}

Test(shape, tables_and_formats_do_not)
{
    changed((struct column){"a", 99999, 1, 23, 4, UINT32_MAX, 0}, false);
    changed((struct column){"a", 16384, 700, 23, 4, UINT32_MAX, 0}, false);
    changed((struct column){"a", 16384, 1, 23, 4, UINT32_MAX, 0x101}, false);
}

Test(shape, the_number_of_columns_matters_and_their_order)
{
    struct column b = {"b", 16384, 2, 25, 0xffff, UINT32_MAX, 0};
    struct bytes none = {0};
    uint64_t seen[5];

    bytes_add(&none, "n\0\0\0\4", 5);
    seen[0] = shape_in_pieces(&none, 5);
    seen[1] = shape_of(NULL, 0);
    seen[2] = shape_of(&a_int, 1);
    seen[3] = shape_of((struct column[]){a_int, b}, 2);
    seen[4] = shape_of((struct column[]){b, a_int}, 2);
    bytes_free(&none);
    for (int i = 0; i < 5; i++) {
        cr_assert_neq(seen[i], SHAPE_UNKNOWN);
        for (int j = 0; j < i; j++)
            cr_assert_neq(seen[i], seen[j], "%d and %d", i, j);
    }
}
