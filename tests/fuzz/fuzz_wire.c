/* Any bytes as messages: a header is never more than its bytes say, and a field of an
 * error lies within the body and ends with a NUL there. */
#include "fuzz.h"

#include "drivers/postgres/wire.h"

static void look_for_fields(struct slice body)
{
    for (int field = 1; field < 256; field++) {
        struct slice found = wire_error_field(body, (char)field);

        if (found.at == NULL)
            continue;
        REQUIRE(found.at > body.at && found.at[-1] == (uint8_t)field);
        REQUIRE(found.at + found.length < body.at + body.length);
        REQUIRE(found.at[found.length] == '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = {data, size};
    struct wire_header header;

    if (wire_header(in, &header) == WIRE_MESSAGE)
        REQUIRE(header.length >= WIRE_HEADER_SIZE && header.type == data[0]);
    look_for_fields(in);
    return 0;
}
