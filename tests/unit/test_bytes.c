#include <criterion/criterion.h>
#include <string.h>

#include "base/bytes.h"
#include "clean_end.h"

TestSuite(bytes, .fini = clean_end);

Test(bytes, what_is_added_stands_one_behind_the_other)
{
    struct bytes b = {0};

    bytes_add(&b, "one,", 4);
    bytes_print(&b, "%d,%s", 2, "three");
    cr_assert_eq(b.length, 11);
    cr_assert_arr_eq(b.at, "one,2,three", 11);
    bytes_free(&b);
}

Test(bytes, it_grows_by_itself_and_keeps_what_it_has)
{
    struct bytes b = {0};

    for (int i = 0; i < 10000; i++)
        bytes_add(&b, &i, sizeof(i));
    cr_assert_eq(b.length, 10000 * sizeof(int));
    for (int i = 0; i < 10000; i++)
        cr_assert_arr_eq(b.at + (size_t)i * sizeof(i), &i, sizeof(i));
    bytes_free(&b);
}

Test(bytes, one_failure_is_remembered_so_that_one_check_is_enough)
{
    struct bytes b = {0};

    bytes_add(&b, "kept", 4);
    cr_assert_null(bytes_extend(&b, SIZE_MAX / 2));
    bytes_add(&b, "lost", 4);
    cr_assert(b.failed);
    cr_assert_eq(b.length, 4);
    bytes_free(&b);
}

Test(bytes, numbers_are_in_network_byte_order)
{
    uint8_t raw[4];

    bytes_put_u32(raw, 0x01020304);
    cr_assert_arr_eq(raw, "\1\2\3\4", 4);
    cr_assert_eq(bytes_u32(raw), 0x01020304);
}
