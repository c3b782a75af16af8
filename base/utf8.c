#include "base/utf8.h"

/* The first bytes of the characters of each length, and the least and most the second
 * byte may be after it: that excludes overlong forms, surrogates and what is too large
 * (Unicode standard, table 3-7). */
static const struct {
    uint8_t first, last, least_second, most_second, length;
} forms[] = {
    {0x00, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

size_t utf8_length(struct slice text)
{
    const uint8_t *at = text.at;
    size_t i = 0;

    ASSERT(text.length > 0);
    while (i < COUNT_OF(forms) && (at[0] < forms[i].first || at[0] > forms[i].last))
        i++;
    if (i == COUNT_OF(forms) || text.length < forms[i].length)
        return 0;
    if (forms[i].length > 1 && (at[1] < forms[i].least_second || at[1] > forms[i].most_second))
        return 0;
    for (size_t k = 2; k < forms[i].length; k++)
        if ((at[k] & 0xc0) != 0x80)
            return 0;
    return forms[i].length;
}
