/*
 * What a URL says is told as "ana:secret@db1:6379/0" with a word for each option; what is
 * wrong with it, as its reason.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "clean_end.h"
#include "drivers/redis/url.h"
#include "no_memory.h"

TestSuite(redis_url, .fini = clean_end);

/* ---- the words the stories are told in --------------------------------------------------- */

struct row {
    const char *text, *told;
};

static void add(struct bytes *told, const char *name, const char *value)
{
    if (value != NULL)
        bytes_print(told, " %s=%s", name, value);
}

static void tell(const struct url *url, struct bytes *told)
{
    if (url->password != NULL)
        bytes_print(told, "%s:%s@", url->user != NULL ? url->user : "", url->password);
    if (url->path != NULL)
        bytes_print(told, "%s db=%d", url->path, url->database);
    else
        bytes_print(told, "%s:%u/%d", url->host, url->port, url->database);
    bytes_print(told, "%s", url->tls ? " tls" : "");
    add(told, "cacert", url->cacert);
    add(told, "cacertdir", url->cacertdir);
    add(told, "cert", url->cert);
    add(told, "key", url->key);
    add(told, "sni", url->sni);
    bytes_print(told, "%s%s", url->insecure ? " insecure" : "", url->any_name ? " any_name" : "");
    bytes_add(told, "", 1);
}

static void each_is_told(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct bytes told = {0};
        char why[URL_WHY] = "";
        struct url url;

        cr_assert_eq(url_parse(rows[i].text, &url, why, sizeof(why)), ERR_OK, "%s: %s",
                     rows[i].text, why);
        tell(&url, &told);
        cr_assert_str_eq((char *)told.at, rows[i].told, "%s: %s", rows[i].text, (char *)told.at);
        bytes_free(&told);
        url_free(&url);
    }
}

static void each_is_refused(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char why[URL_WHY] = "";
        struct url url = {.database = 77};

        cr_assert_eq(url_parse(rows[i].text, &url, why, sizeof(why)), ERR_CONFIG, "%s",
                     rows[i].text);
        cr_assert_str_eq(why, rows[i].told, "%s: %s", rows[i].text, why);
        cr_assert_eq(url.database, 77, "left alone");
    }
}

/* ---- what is right ----------------------------------------------------------------------- */

Test(redis_url, names_a_server_and_nothing_need_be_said)
{
    static const struct row rows[] = {
        {"redis://", "127.0.0.1:6379/0"},
        {"redis:///", "127.0.0.1:6379/0"},
        {"redis:///7", "127.0.0.1:6379/7"},
        {"redis://db1", "db1:6379/0"},
        {"REDIS://DB1/", "DB1:6379/0"},
        {"redis://db1:", "db1:6379/0"},
        {"redis://:6380", "127.0.0.1:6380/0"},
        {"redis://db1:65535/2147483647", "db1:65535/2147483647"},
        {"redis://10.0.0.1:1/015", "10.0.0.1:1/15"},
        {"redis://db%2D1.example.org:6380/3", "db-1.example.org:6380/3"},
        {"redis://db1?db=3", "db1:6379/3"},
        {"redis://db1/3?db=3", "db1:6379/3"},
        {"redis://db1?", "db1:6379/0"},
        {"redis://db1?&&db=1&", "db1:6379/1"},
        {"rediss://db1", "db1:6379/0 tls"},
    };

    each_is_told(rows, COUNT_OF(rows));
}

Test(redis_url, has_ip6_addresses_in_brackets)
{
    static const struct row rows[] = {
        {"redis://[::1]", "::1:6379/0"},
        {"redis://[::1]:6380/2", "::1:6380/2"},
        {"redis://ana:x@[2001:db8::7]:6380", "ana:x@2001:db8::7:6380/0"},
        {"redis://[fe80::1%25eth0]/1", "fe80::1%eth0:6379/1"},
        {"redis://[::ffff:10.0.0.1]", "::ffff:10.0.0.1:6379/0"},
    };

    each_is_told(rows, COUNT_OF(rows));
}

Test(redis_url, says_who_logs_in)
{
    static const struct row rows[] = {
        {"redis://ana:secret@db1", "ana:secret@db1:6379/0"},
        {"redis://:secret@db1", ":secret@db1:6379/0"},
        {"redis://ana:@db1", "ana:@db1:6379/0"},
        {"redis://:@db1", "db1:6379/0"},
        {"redis://@db1", "db1:6379/0"},
        {"redis://ana:a:b:c@db1:6380", "ana:a:b:c@db1:6380/0"},
        {"redis://a%40b:%3a%2F%3f%23%25%C3%BC@db1", "a@b::/?#%\xc3\xbc@db1:6379/0"},
        {"redis://db1?password=a@b/c", ":a@b/c@db1:6379/0"},
        {"redis://db1?username=ana&password=x", "ana:x@db1:6379/0"},
        {"redis://db1?user=ana", "ana:@db1:6379/0"},
        {"redis://ana@db1?password=x+y", "ana:x+y@db1:6379/0"},
        {"redis://db1?password=", "db1:6379/0"},
    };

    each_is_told(rows, COUNT_OF(rows));
}

Test(redis_url, may_be_the_path_of_a_unix_socket)
{
    static const struct row rows[] = {
        {"unix:///run/redis.sock", "/run/redis.sock db=0"},
        {"redis+unix:///run/redis.sock?db=4", "/run/redis.sock db=4"},
        {"redis+socket:///run/redis.sock", "/run/redis.sock db=0"},
        {"unix://ana:x@/run/r%20s?db=1", "ana:x@/run/r s db=1"},
        {"unix://ana@/run/r?password=x", "ana:x@/run/r db=0"},
        {"unix:///run/me@home/r", "/run/me@home/r db=0"},
    };

    each_is_told(rows, COUNT_OF(rows));
}

Test(redis_url, says_whom_to_trust_in_the_words_of_redis_cli_or_redis_py)
{
    static const struct row rows[] = {
        {"rediss://db1?cacert=/etc/ca.pem&cert=/c&key=/k&sni=other",
         "db1:6379/0 tls cacert=/etc/ca.pem cert=/c key=/k sni=other"},
        {"rediss://db1?ssl_ca_certs=/etc/ca.pem&ssl_certfile=/c&ssl_keyfile=/k",
         "db1:6379/0 tls cacert=/etc/ca.pem cert=/c key=/k"},
        {"rediss://db1?cert=%2Fc", "db1:6379/0 tls cert=/c"},
        {"rediss://db1?cacertdir=/d", "db1:6379/0 tls cacertdir=/d"},
        {"rediss://db1?ssl_ca_path=/d", "db1:6379/0 tls cacertdir=/d"},
        {"rediss://db1?insecure", "db1:6379/0 tls insecure"},
        {"rediss://db1?insecure=TRUE", "db1:6379/0 tls insecure"},
        {"rediss://db1?insecure=0", "db1:6379/0 tls"},
        {"rediss://db1?ssl_cert_reqs=none", "db1:6379/0 tls insecure"},
        {"rediss://db1?ssl_cert_reqs=required", "db1:6379/0 tls"},
        {"rediss://db1?ssl_cert_reqs=optional", "db1:6379/0 tls"},
        {"rediss://db1?ssl_check_hostname=false", "db1:6379/0 tls any_name"},
        {"rediss://db1?ssl_check_hostname=true", "db1:6379/0 tls"},
    };

    each_is_told(rows, COUNT_OF(rows));
}

/* ---- what is wrong ----------------------------------------------------------------------- */

Test(redis_url, without_a_known_beginning_is_refused)
{
    static const struct row rows[] = {
        {"", "it begins with none of redis://, rediss://, unix://"},
        {"redis:", "it begins with none of redis://, rediss://, unix://"},
        {"redis:/db1", "it begins with none of redis://, rediss://, unix://"},
        {"http://db1", "it begins with none of redis://, rediss://, unix://"},
        {"127.0.0.1:6379", "it begins with none of redis://, rediss://, unix://"},
        {"redis://db1/0#x", "a # is written %23"},
        {" redis://db1", "a blank or control character is written with %, such as %20"},
        {"redis://db1\n", "a blank or control character is written with %, such as %20"},
        {"redis://db1%00", "a % stands before two hexadecimal digits (not 00); "
                           "for itself it is written %25"},
    };

    each_is_refused(rows, COUNT_OF(rows));
}

Test(redis_url, with_a_wrong_server_is_refused)
{
    static const char port[] = "the port is no number from 1 to 65535";
    static const char database[] = "the db is no number";
    static const char ip6[] = "no IPv6 address is in the brackets";
    static const char brackets[] = "after [ come an IPv6 address, ] and nothing else but :port";
    static const struct row rows[] = {
        {"redis://db1:0", port},
        {"redis://db1:65536", port},
        {"redis://db1:99999999999999999999999", port},
        {"redis://db1:-1", port},
        {"redis://db1:6379x", port},
        {"redis://db1/x", database},
        {"redis://db1/-1", database},
        {"redis://db1/1/", database},
        {"redis://db1/2147483648", database},
        {"redis://db1?db=", database},
        {"redis://db1/1?db=2", "the db is given twice"},
        {"redis://::1", "an IPv6 address stands in brackets: [::1]"},
        {"redis://db1:1:2", "an IPv6 address stands in brackets: [::1]"},
        {"redis://[::1", brackets},
        {"redis://[::1]6379", brackets},
        {"redis://[]", ip6},
        {"redis://[db1]", ip6},
        {"redis://[1.2.3.4]", ip6},
        {"redis://[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", ip6},
        {"redis://db1:1,db2:1", "a URL names one server"},
    };

    each_is_refused(rows, COUNT_OF(rows));
}

Test(redis_url, with_a_password_that_is_not_encoded_is_refused_and_not_quoted)
{
    static const char hint[] = "an @ comes after a / or ?: in a user or password these are %2F "
                               "and %3F";
    static const struct row rows[] = {
        {"redis://:se/cret@db1", hint},
        {"redis://ana:se/cret@db1", hint},
        {"redis://ana:1?secret@db1", hint},
        {"redis://:12/secret@db1", hint},
        {"redis://ana:se@cret@db1", "an @ in a user or password is written %40"},
        {"redis://ana:se%cret@db1", "a % stands before two hexadecimal digits (not 00); "
                                    "for itself it is written %25"},
        {"redis://ana:s%@db1", "a % stands before two hexadecimal digits (not 00); "
                               "for itself it is written %25"},
        {"redis://secret@db1",
         "is it a user or a password before the @? Write user:password@ or :password@"},
        {"unix://secret@/run/r",
         "is it a user or a password before the @? Write user:password@ or :password@"},
        {"redis://ana:x@db1?user=ben", "user: given twice"},
        {"redis://ana:x@db1?password=y", "password: given twice"},
    };

    each_is_refused(rows, COUNT_OF(rows));
}

Test(redis_url, with_a_wrong_socket_is_refused)
{
    static const char begins[] = "a Unix socket's path begins with /: unix:///run/redis.sock";
    static const struct row rows[] = {
        {"unix://", begins},
        {"unix:///", begins},
        {"unix://run/redis.sock", begins},
        {"unix://ana:x@host/run/redis.sock", begins},
        {"unix:///123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "90123456789012345678901234567",
         "the path is longer than a Unix socket's may be"},
        {"unix:///run/r?insecure", "insecure: is for TLS: rediss://"},
    };

    each_is_refused(rows, COUNT_OF(rows));
}

Test(redis_url, with_an_option_that_would_be_without_effect_is_refused)
{
    static const struct row rows[] = {
        {"redis://db1?socket_timeout=5", "no option of a URL: \"socket_timeout\""},
        {"redis://db1?DB2=5", "no option of a URL after the ?"},
        {"redis://db1?=5", "no option of a URL after the ?"},
        {"redis://db1?cacert=/x", "cacert: is for TLS: rediss://"},
        {"redis://db1?ssl_cert_reqs=none", "ssl_cert_reqs: is for TLS: rediss://"},
        {"rediss://db1?cacert", "cacert: nothing comes after it"},
        {"rediss://db1?sni=", "sni: nothing comes after it"},
        {"rediss://db1?cacert=/x&ssl_ca_certs=/y", "ssl_ca_certs: given twice"},
        {"rediss://db1?insecure&insecure", "insecure: given twice"},
        {"rediss://db1?insecure=maybe", "insecure: neither true nor false"},
        {"rediss://db1?ssl_check_hostname=2", "ssl_check_hostname: neither true nor false"},
        {"rediss://db1?ssl_cert_reqs=some", "ssl_cert_reqs: neither none nor required"},
        {"rediss://db1?key=/k", "key: there is no cert that it belongs to"},
        {"rediss://db1?insecure&cacert=/x", "cacert is of no use when any certificate is taken"},
    };

    each_is_refused(rows, COUNT_OF(rows));
}

/* ---- the rest ---------------------------------------------------------------------------- */

Test(redis_url, is_shown_without_who_logs_in)
{
    static const struct row rows[] = {
        {"redis://ana:secret@db1:6380/2", "redis://db1:6380/2"},
        {"rediss://:secret@[::1]?insecure", "rediss://[::1]:6379/0"},
        {"unix://ana:secret@/run/r?db=3", "unix:///run/r?db=3"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char why[URL_WHY], shown[URL_SHOWN], little[8];
        struct url url;

        cr_assert_eq(url_parse(rows[i].text, &url, why, sizeof(why)), ERR_OK);
        url_write(&url, shown, sizeof(shown));
        cr_assert_str_eq(shown, rows[i].told);
        url_write(&url, little, sizeof(little));
        cr_assert_eq(strncmp(little, rows[i].told, 7), 0);
        url_free(&url);
        cr_assert_null(url.host);
    }
}

Test(redis_url, leaves_nothing_behind_when_memory_runs_out)
{
    const char *text =
        "rediss://ana@db1:1/1?password=x&cacert=/a&cacertdir=/d&cert=/b&key=/k&sni=n";
    enum err e = ERR_NO_MEMORY;
    long n = 0;

    for (; e != ERR_OK; n++) {
        char why[URL_WHY] = "";
        struct url url;

        no_memory_after(n);
        e = url_parse(text, &url, why, sizeof(why));
        no_memory_after(NO_MEMORY_NEVER);
        cr_assert(e == ERR_OK || e == ERR_NO_MEMORY);
        cr_assert(e == ERR_OK || strcmp(why, err_text(ERR_NO_MEMORY)) == 0, "%s", why);
        if (e == ERR_OK)
            url_free(&url);
    }
    cr_assert_gt(n, 7);
}
