#include <criterion/criterion.h>

#include "base/utf8.h"
#include "clean_end.h"

TestSuite(utf8, .fini = clean_end);

Test(utf8, a_character_is_as_long_as_the_standard_says)
{
    static const struct {
        const char *text;
        size_t bytes, length;
    } table[] = {
        {"a", 1, 1},
        {"\0", 1, 1},
        {"\x7f", 1, 1},
        {"\xc3\xa9", 2, 2},         /* e with an acute */
        {"\xe2\x82\xac", 3, 3},     /* the euro sign */
        {"\xf0\x9f\x90\x98", 4, 4}, /* an elephant */
        {"\xed\x9f\xbf", 3, 3},     /* the last before the surrogates */
        {"\xf4\x8f\xbf\xbf", 4, 4}, /* the last of all */
        {"\x80", 1, 0},             /* begins in the middle */
        {"\xc3", 1, 0},             /* cut off */
        {"\xc3\x28", 2, 0},         /* not continued */
        {"\xe2\x82", 2, 0},
        {"\xe2\x82\x28", 3, 0},
        {"\xf0\x9f\x90\x28", 4, 0},
        {"\xc0\x80", 2, 0}, /* zero, longer than need be */
        {"\xe0\x80\x80", 3, 0},
        {"\xf0\x80\x80\x80", 4, 0},
        {"\xed\xa0\x80", 3, 0},     /* a surrogate */
        {"\xf4\x90\x80\x80", 4, 0}, /* behind the last of all */
        {"\xff", 1, 0},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct slice text = {(const uint8_t *)table[i].text, table[i].bytes};

        cr_assert_eq(utf8_length(text), table[i].length, "row %zu", i);
    }
}
