/* What weir says, byte for byte as the manual has it; and the heads of what it hears. */
#include <criterion/criterion.h>
#include <string.h>

#include "clean_end.h"
#include "drivers/postgres/wire.h"

static struct bytes out;

static void forget(void)
{
    bytes_free(&out);
    clean_end();
}

TestSuite(wire, .fini = forget);

/* Compares what was built, and begins anew. */
static void said(const char *expected, size_t length)
{
    cr_assert_not(out.failed);
    cr_assert_eq(out.length, length, "%zu bytes, not %zu", out.length, length);
    cr_assert_arr_eq(out.at, expected, length);
    bytes_clear(&out);
}
#define SAID(text) said(text, sizeof(text) - 1)

static struct slice text(const char *words)
{
    return (struct slice){(const uint8_t *)words, strlen(words)};
}

/* ---- what weir hears --------------------------------------------------------------------- */

Test(wire, a_header_is_seen_when_it_is_whole)
{
    struct wire_header header = {0};
    struct slice in = SLICE("Q\0\0\0\7ab\0");

    for (size_t i = 0; i < WIRE_HEADER_SIZE; i++)
        cr_assert_eq(wire_header((struct slice){in.at, i}, &header), WIRE_MORE);
    cr_assert_eq(wire_header((struct slice){in.at, WIRE_HEADER_SIZE}, &header), WIRE_MESSAGE);
    cr_assert_eq(header.type, WIRE_QUERY);
    cr_assert_eq(header.length, in.length);
}

Test(wire, a_length_that_no_message_can_have_is_broken)
{
    struct wire_header header = {0};

    cr_assert_eq(wire_header(SLICE("S\0\0\0\4"), &header), WIRE_MESSAGE);
    cr_assert_eq(wire_header(SLICE("S\0\0\0\3"), &header), WIRE_BROKEN);
    cr_assert_eq(wire_header(SLICE("S\0\0\0\0"), &header), WIRE_BROKEN);
    cr_assert_eq(wire_header(SLICE("S\x3f\xff\xff\xff"), &header), WIRE_MESSAGE);
    cr_assert_eq(wire_header(SLICE("S\x40\0\0\0"), &header), WIRE_BROKEN);
    cr_assert_eq(wire_header(SLICE("S\xff\xff\xff\xff"), &header), WIRE_BROKEN);
}

Test(wire, a_field_of_an_error_is_found_wherever_it_stands)
{
    struct slice body = SLICE("SFEHLER\0VERROR\0C57014\0Mno\0\0");

    cr_assert_eq(wire_error_field(body, 'C').length, 5);
    cr_assert_arr_eq(wire_error_field(body, 'C').at, "57014", 5);
    cr_assert_arr_eq(wire_error_field(body, 'V').at, "ERROR", 6);
    cr_assert_arr_eq(wire_error_field(body, 'M').at, "no", 3);
    cr_assert_null(wire_error_field(body, 'H').at);
}

Test(wire, a_field_that_does_not_end_is_no_field)
{
    cr_assert_null(wire_error_field(SLICE("SERROR\0C57014"), 'C').at);
    cr_assert_null(wire_error_field(SLICE("\0C57014\0"), 'C').at);
    cr_assert_null(wire_error_field(SLICE("C"), 'C').at);
    cr_assert_null(wire_error_field(SLICE(""), 'C').at);
    cr_assert_null(wire_error_field((struct slice){NULL, 0}, 'C').at);
}

/* ---- what weir says ---------------------------------------------------------------------- */

Test(wire, an_error_has_its_severity_twice_and_only_the_fields_it_has)
{
    struct wire_error error = {.severity = "FATAL", .code = "28P01", .message = "no"};

    wire_add_error(&out, &error);
    SAID("E\0\0\0\x1e"
         "SFATAL\0VFATAL\0C28P01\0Mno\0\0");
    error.detail = "d";
    error.hint = "h";
    wire_add_notice(&out, &error);
    SAID("N\0\0\0\x24"
         "SFATAL\0VFATAL\0C28P01\0Mno\0Dd\0Hh\0\0");
}

Test(wire, requests_to_authenticate)
{
    static const char *const mechanisms[] = {"SCRAM-SHA-256"};

    wire_add_auth_ok(&out);
    SAID("R\0\0\0\x08\0\0\0\0");
    wire_add_auth_cleartext(&out);
    SAID("R\0\0\0\x08\0\0\0\3");
    wire_add_auth_md5(&out, (const uint8_t *)"salt");
    SAID("R\0\0\0\x0c\0\0\0\5salt");
    wire_add_auth_sasl(&out, mechanisms, COUNT_OF(mechanisms));
    SAID("R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0");
    wire_add_auth_sasl_continue(&out, text("r=1"));
    SAID("R\0\0\0\x0b\0\0\0\x0br=1");
    wire_add_auth_sasl_final(&out, text("v=2"));
    SAID("R\0\0\0\x0b\0\0\0\x0cv=2");
}

Test(wire, a_negotiated_version_is_told_whole)
{
    wire_add_negotiate_version(&out, 2, SLICE("_pq_.a\0_pq_.b\0"), 2);
    SAID("v\0\0\0\x1a\0\3\0\2\0\0\0\2_pq_.a\0_pq_.b\0");
}

Test(wire, what_follows_a_login)
{
    wire_add_parameter_status(&out, "a", "bc");
    SAID("S\0\0\0\x09"
         "a\0bc\0");
    wire_add_backend_key(&out, 0x01020304, text("keys"));
    SAID("K\0\0\0\x0c\1\2\3\4keys");
    wire_add_ready_for_query(&out, 'I');
    SAID("Z\0\0\0\5I");
}

Test(wire, rows)
{
    static const struct wire_column columns[] = {{"n", WIRE_TEXT, false}, {"i", WIRE_INT4, true}};
    struct slice values[] = {text("abc"), {NULL, 0}, text("")};

    wire_add_row_description(&out, columns, 1);
    SAID("T\0\0\0\x1a\0\1n\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0");
    wire_add_row_description(&out, columns + 1, 1);
    SAID("T\0\0\0\x1a\0\1i\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\1");
    wire_add_no_parameters(&out);
    SAID("t\0\0\0\6\0\0");
    wire_add_data_row(&out, values, 3);
    SAID("D\0\0\0\x15\0\3\0\0\0\3abc\xff\xff\xff\xff\0\0\0\0");
    wire_add_command_complete(&out, "SHOW");
    SAID("C\0\0\0\x09SHOW\0");
}

Test(wire, what_servers_are_told)
{
    wire_add_query(&out, text("select 1"));
    SAID("Q\0\0\0\x0dselect 1\0");
    wire_add_bare(&out, WIRE_SYNC);
    SAID("S\0\0\0\4");
    wire_add_copy_fail(&out, "gone");
    SAID("f\0\0\0\x09gone\0");
    wire_add_close(&out, 'S', text("s1"));
    SAID("C\0\0\0\x08Ss1\0");
}

Test(wire, messages_stand_one_behind_the_other)
{
    wire_add_bare(&out, WIRE_PARSE_COMPLETE);
    wire_add_query(&out, text("x"));
    wire_add_bare(&out, WIRE_FLUSH);
    SAID("1\0\0\0\4Q\0\0\0\6x\0H\0\0\0\4");
}

Test(wire, without_memory_nothing_is_said_and_nothing_breaks)
{
    cr_assert_null(bytes_extend(&out, SIZE_MAX / 2));
    wire_add_query(&out, text("select 1"));
    cr_assert(out.failed);
    cr_assert_eq(out.length, 0);
}
