/*
 * Any bytes are a file: nothing breaks, an entry has a section and a name, and a mistake
 * has a line. Half of the inputs are spelled with the letters that mean something here,
 * or the replay, which has no coverage to follow, would hardly ever see an entry.
 */
#include <string.h>

#include "base/ini.h"
#include "fuzz.h"

static void on_entry(void *owner, struct ini_entry *entry)
{
    struct mistake_list *mistakes = owner;
    struct ini_pair pair;

    REQUIRE(entry->section[0] != '\0');
    REQUIRE((entry->key == NULL) == (entry->value == NULL));
    REQUIRE(entry->key == NULL || entry->key[0] != '\0');
    REQUIRE(mistakes->at.line > 0);
    while (entry->value != NULL && ini_next_pair(&entry->value, &pair, mistakes))
        REQUIRE(pair.key[0] != '\0' && pair.value[0] != '\0');
}

static size_t count_lines(const char *text, const char *beginning, size_t length)
{
    size_t lines = 0;

    for (; *text != '\0'; text = strchr(text, '\n') + 1, lines++)
        REQUIRE(strncmp(text, beginning, length) == 0 && text[length] >= '1' &&
                text[length] <= '9');
    return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char letters[] = "\n\n\n==''\"[]  ;%a.";
    struct mistake_list mistakes = {0};
    struct ini_reader reader = {on_entry, &mistakes, &mistakes};
    struct bytes text = {0};

    bytes_add(&text, data, size);
    for (size_t i = 0; size > 0 && data[0] % 2 == 1 && i < size; i++)
        text.at[i] = (uint8_t)letters[data[i] % (sizeof(letters) - 1)];
    if (data != NULL && size > 3 && data[0] % 4 == 1)
        bytes_add(&text, "\n[s]\n", 5);
    ini_read_text(&reader, "x", (struct slice){text.at, text.length});
    REQUIRE(count_lines(mistake_text(&mistakes), "x:", 2) == mistakes.errors);
    mistake_free(&mistakes);
    bytes_free(&text);
    return 0;
}
