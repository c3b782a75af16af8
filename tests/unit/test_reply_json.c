/* Each row: what Redis says, and the JSON it becomes. Each comes whole, cut in two at every byte,
 * and byte by byte: what comes out must not change. */
#include <criterion/criterion.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/http/reply_json.h"

static struct bytes out, kept;
static struct reply_json json;

static void forget(void)
{
    bytes_free(&out);
    bytes_free(&kept);
    clean_end();
}

TestSuite(reply_json, .fini = forget);

static enum resp_found come(struct slice piece)
{
    enum resp_found found;
    size_t used;

    bytes_add(&kept, piece.at, piece.length);
    found = reply_json_read(&json, (struct slice){kept.at, kept.length}, &used, &out);
    memmove(kept.at, kept.at + used, kept.length - used);
    kept.length -= used;
    return found;
}

static void begin(unsigned form)
{
    bytes_clear(&out);
    bytes_clear(&kept);
    reply_json_begin(&json, form);
}

static void check(struct slice reply, const char *expected, enum resp_found found)
{
    cr_assert_eq(found, RESP_WHOLE);
    cr_assert_eq(kept.length, 0);
    cr_assert(out.length == strlen(expected) && memcmp(out.at, expected, out.length) == 0,
              "%.*s became %.*s, not %s", (int)reply.length, (const char *)reply.at,
              (int)out.length, (const char *)out.at, expected);
}

static void becomes_by(unsigned form, struct slice reply, const char *expected)
{
    enum resp_found found = RESP_MORE;

    for (size_t cut = 0; cut <= reply.length; cut++) {
        begin(form);
        found = cut > 0 ? come((struct slice){reply.at, cut}) : RESP_MORE;
        if (cut < reply.length) {
            cr_assert_eq(found, RESP_MORE);
            found = come((struct slice){reply.at + cut, reply.length - cut});
        }
        check(reply, expected, found);
    }
    begin(form);
    for (size_t i = 0; i < reply.length; i++)
        found = come((struct slice){reply.at + i, 1});
    check(reply, expected, found);
}

#define BECOMES(form, reply, expected) becomes_by(form, SLICE(reply), expected)

Test(reply_json, plain_values)
{
    BECOMES(0, "+OK\r\n", "{\"result\":\"OK\"}");
    BECOMES(0, "+a\"b\rc\r\r\n", "{\"result\":\"a\\\"b\\rc\\r\"}");
    BECOMES(0, "-ERR no \"x\"\r\n", "{\"error\":\"ERR no \\\"x\\\"\"}");
    BECOMES(0, ":0\r\n", "{\"result\":0}");
    BECOMES(0, ":-9223372036854775808\r\n", "{\"result\":-9223372036854775808}");
    BECOMES(0, ":+5\r\n", "{\"result\":5}");
    BECOMES(0, "$5\r\nhello\r\n", "{\"result\":\"hello\"}");
    BECOMES(0, "$0\r\n\r\n", "{\"result\":\"\"}");
    BECOMES(0, "$4\r\n\r\n\r\n\r\n", "{\"result\":\"\\r\\n\\r\\n\"}");
    BECOMES(0, "$-1\r\n", "{\"result\":null}");
    BECOMES(0, "*-1\r\n", "{\"result\":null}");
    BECOMES(0, "*0\r\n", "{\"result\":[]}");
    BECOMES(0, "$4\r\n\xc3\xa9\xff\0\r\n", "{\"result\":\"\xc3\xa9\xef\xbf\xbd\\u0000\"}");
}

Test(reply_json, lists)
{
    BECOMES(0, "*3\r\n$1\r\na\r\n$-1\r\n:7\r\n", "{\"result\":[\"a\",null,7]}");
    BECOMES(0, "*2\r\n*2\r\n*0\r\n+x\r\n*1\r\n*1\r\n*-1\r\n", "{\"result\":[[[],\"x\"],[[null]]]}");
    BECOMES(0, "*2\r\n-ERR no\r\n:1\r\n", "{\"result\":[\"ERR no\",1]}");
}

Test(reply_json, base64)
{
    BECOMES(REPLY_JSON_BASE64, "+OK\r\n", "{\"result\":\"OK\"}");
    BECOMES(REPLY_JSON_BASE64, "$2\r\nOK\r\n", "{\"result\":\"OK\"}");
    BECOMES(REPLY_JSON_BASE64, "$3\r\nOKO\r\n", "{\"result\":\"T0tP\"}");
    BECOMES(REPLY_JSON_BASE64, "$5\r\nabcOK\r\n", "{\"result\":\"YWJjT0s=\"}");
    BECOMES(REPLY_JSON_BASE64, "+PONG\r\n", "{\"result\":\"UE9ORw==\"}");
    BECOMES(REPLY_JSON_BASE64, "$0\r\n\r\n", "{\"result\":\"\"}");
    BECOMES(REPLY_JSON_BASE64, "$1\r\n\xff\r\n", "{\"result\":\"/w==\"}");
    BECOMES(REPLY_JSON_BASE64, "$7\r\nabcdefg\r\n", "{\"result\":\"YWJjZGVmZw==\"}");
    BECOMES(REPLY_JSON_BASE64, ":12\r\n", "{\"result\":12}");
    BECOMES(REPLY_JSON_BASE64, "$-1\r\n", "{\"result\":null}");
    BECOMES(REPLY_JSON_BASE64, "-ERR no\r\n", "{\"error\":\"ERR no\"}");
    BECOMES(REPLY_JSON_BASE64, "*4\r\n+OK\r\n-no\r\n*1\r\n$1\r\na\r\n$2\r\nab\r\n",
            "{\"result\":[\"OK\",\"bm8=\",[\"YQ==\"],\"YWI=\"]}");
}

Test(reply_json, each_of_a_transaction)
{
    BECOMES(REPLY_JSON_EACH, "*3\r\n:1\r\n-ERR no\r\n*2\r\n-in\r\n:3\r\n",
            "[{\"result\":1},{\"error\":\"ERR no\"},{\"result\":[\"in\",3]}]");
    cr_assert(json.is_list && !json.is_error);
    BECOMES(REPLY_JSON_EACH | REPLY_JSON_BASE64, "*2\r\n-ERR no\r\n$1\r\na\r\n",
            "[{\"error\":\"ERR no\"},{\"result\":\"YQ==\"}]");
    BECOMES(REPLY_JSON_EACH, "*2\r\n*0\r\n*-1\r\n", "[{\"result\":[]},{\"result\":null}]");
    BECOMES(REPLY_JSON_EACH, "*0\r\n", "[]");
    BECOMES(REPLY_JSON_EACH, "-EXECABORT no\r\n", "{\"error\":\"EXECABORT no\"}");
    cr_assert(!json.is_list && json.is_error);
    BECOMES(REPLY_JSON_EACH, "*-1\r\n", "{\"result\":null}");
    cr_assert(!json.is_list && !json.is_error);
}

Test(reply_json, what_it_is_is_known_from_the_beginning)
{
    begin(0);
    cr_assert_eq(come(SLICE("-")), RESP_MORE);
    cr_assert(json.is_begun && json.is_error);
    begin(0);
    cr_assert_eq(come(SLICE("$1000000\r\nab")), RESP_MORE);
    cr_assert(json.is_begun && !json.is_error);
    cr_assert_eq(kept.length, 0, "nothing is gathered");
    begin(REPLY_JSON_EACH);
    cr_assert_eq(come(SLICE("*2\r\n")), RESP_MORE);
    cr_assert(json.is_begun && json.is_list);
}

Test(reply_json, what_is_no_reply_is_broken)
{
    static const char *const rows[] = {"x\r\n",  ",1.5\r\n",    "%1\r\n", "_\r\n",
                                       "#t\r\n", "(12\r\n",     "$1x",    "$1\r\nabcd",
                                       ":x\r\n", ">1\r\n+x\r\n"};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin(0);
        cr_assert_eq(come((struct slice){(const uint8_t *)rows[i], strlen(rows[i])}), RESP_BROKEN,
                     "%s", rows[i]);
    }
}

/* "*1" within "*1" takes no room in resp.h, and brackets have to be closed all the same. */
Test(reply_json, lists_may_be_nested_so_deeply)
{
    enum resp_found found = RESP_MORE;

    begin(0);
    for (int i = 0; i < REPLY_JSON_DEEPEST; i++)
        cr_assert_eq(come(SLICE("*1\r\n")), RESP_MORE);
    found = come(SLICE(":1\r\n"));
    cr_assert_eq(found, RESP_WHOLE);
    cr_assert_eq(out.at[out.length - 1], '}');
    begin(0);
    for (int i = 0; i < REPLY_JSON_DEEPEST; i++)
        cr_assert_eq(come(SLICE("*1\r\n")), RESP_MORE);
    cr_assert_eq(come(SLICE("*1\r\n")), RESP_BROKEN);
}
