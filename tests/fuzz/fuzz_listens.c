/*
 * Texts made of pieces that belong together, in any order: whatever is found in one, the cheap
 * look at it must have announced, and a text of several statements is read to its end.
 */
#include <string.h>

#include "fuzz.h"
#include "proxy/fronts/postgres/listens.h"

static const char *const pieces[] = {
    "listen ", "LISTEN\t", "UnListen ", "a",    "\"B;c\"", "*",        ";",   "; ",       "--x\n",
    "/*",      "*/",       "'",         "E'\\", "\"",      "$$",       "$q$", "select 1", "\\",
    "(",       ")",        "begin",     "do ",  "U&\"",    "\xc3\xa4", "\n",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = {0};
    struct listens listens = {0};
    struct listens_item item;
    bool announced;

    for (size_t i = 0; i < size; i++) {
        const char *piece = pieces[data[i] % COUNT_OF(pieces)];

        bytes_add(&text, piece, strlen(piece));
    }
    listens.text = (struct slice){text.at, text.length};
    announced = listens_may_be_in(listens.text);
    while (listens_next(&listens, &item)) {
        REQUIRE(announced);
        REQUIRE(memchr(item.name, '\0', sizeof(item.name)) != NULL);
        REQUIRE(!item.all || item.stops);
    }
    REQUIRE(listens.at == text.length);
    bytes_free(&text);
    return 0;
}
