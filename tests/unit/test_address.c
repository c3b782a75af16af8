#include <criterion/criterion.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/address.h"

TestSuite(address, .fini = clean_end);

Test(address, one_is_a_host_and_a_port_or_a_folder)
{
    static const struct {
        const char *text, *host;
        unsigned port;
        bool is_folder, is_loopback;
    } rows[] = {
        {"127.0.0.1:6432", "127.0.0.1", 6432, false, true},
        {"127.8.9.10:1", "127.8.9.10", 1, false, true},
        {"localhost:6432", "127.0.0.1", 6432, false, true},
        {"[::1]:6432", "::1", 6432, false, true},
        {"[0::1]:6432", "0::1", 6432, false, true},
        {"/run/weir", "/run/weir", 0, true, true},
        {"/run/weir:6433", "/run/weir", 6433, true, true},
        {"0.0.0.0:6432", "0.0.0.0", 6432, false, false},
        {"*:0", "*", 0, false, false},
        {"[::]:65535", "::", 65535, false, false},
        {"[::ffff:127.0.0.1]:1", "::ffff:127.0.0.1", 1, false, false},
        {"128.0.0.1:1", "128.0.0.1", 1, false, false},
        {"db.example.org:1", "db.example.org", 1, false, false},
        {"127.0.0.1.example.org:1", "127.0.0.1.example.org", 1, false, false},
        {"0127.0.0.1:1", "0127.0.0.1", 1, false, false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address address;

        cr_assert_eq(address_parse(rows[i].text, &address), ERR_OK, "%s", rows[i].text);
        cr_assert_str_eq(address.host, rows[i].host);
        cr_assert_eq(address.port, rows[i].port, "%s", rows[i].text);
        cr_assert_eq(address.is_folder, rows[i].is_folder, "%s", rows[i].text);
        cr_assert_eq(address_is_loopback(&address), rows[i].is_loopback, "%s", rows[i].text);
    }
}

Test(address, all_else_is_none)
{
    static const char *const rows[] = {
        "",     ":",          "6432",      "127.0.0.1",      ":6432",  "127.0.0.1:",
        "::1",  "::1:6432",   "[::1]",     "[]:1",           "[::1:1", "a:65536",
        "a:-1", "a: 1",       "a:0x10",    "a:999999",       "a:b:1",  "/run/weir:",
        "/a:x", "[a]b]:1:[c", "[::1]6432", "http://host:80",
    };
    struct address address;

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        cr_assert_eq(address_parse(rows[i], &address), ERR_CONFIG, "%s", rows[i]);
}

Test(address, one_that_is_too_long_is_none)
{
    char text[300];
    struct address address;

    memset(text, 'x', sizeof(text));
    memcpy(text + sizeof(text) - 3, ":1", 3);
    cr_assert_eq(address_parse(text, &address), ERR_CONFIG);
}

Test(address, a_list_has_commas_or_blanks_between)
{
    const char *list = " 127.0.0.1,::1 , *,";
    char host[ADDRESS_HOST_SIZE];

    cr_assert(address_next(&list, host));
    cr_assert_str_eq(host, "127.0.0.1");
    cr_assert(address_next(&list, host));
    cr_assert_str_eq(host, "::1");
    cr_assert(address_next(&list, host));
    cr_assert_str_eq(host, "*");
    cr_assert_not(address_next(&list, host));
    cr_assert_not(address_next(&list, host));
}

Test(address, the_host_that_is_open_to_others_is_found)
{
    char host[ADDRESS_HOST_SIZE], long_one[300];

    cr_assert_not(address_find_open("127.0.0.1, ::1, localhost", host));
    cr_assert_not(address_find_open("", host));
    cr_assert(address_find_open("127.0.0.1, 10.0.0.1, ::", host));
    cr_assert_str_eq(host, "10.0.0.1");
    cr_assert(address_find_open("localhost.example.org", host));
    memset(long_one, '1', sizeof(long_one));
    memcpy(long_one, "127.0.0.1", 9);
    long_one[sizeof(long_one) - 1] = '\0';
    cr_assert(address_find_open(long_one, host));
}

Test(address, lists_meet_where_both_would_listen)
{
    static const struct {
        const char *one, *other;
        bool meet;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"10.0.0.1, ::1", "a, ::1", true},
        {"*", "::1", true},
        {"127.0.0.1", "*", true},
        {"0.0.0.0", "10.0.0.1", true},
        {"0.0.0.0", "::1", false},
        {"::", "10.0.0.1", false},
        {"::1", "::", true},
        {"*", "", false},
        {"localhost", "127.0.0.1", true},
        {"localhost", "10.0.0.1", false},
        {"db.example.org", "::", false},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        cr_assert_eq(address_lists_meet(rows[i].one, rows[i].other), rows[i].meet, "%s and %s",
                     rows[i].one, rows[i].other);
}
