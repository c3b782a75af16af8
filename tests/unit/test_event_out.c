/* Each row: what Redis says to who listens, and the events it becomes: whole, cut in two at every
 * byte, and byte by byte. */
#include <criterion/criterion.h>
#include <string.h>

#include "clean_end.h"
#include "proxy/fronts/http/event_out.h"

static struct bytes out, kept;
static struct event_out event;

static void forget(void)
{
    bytes_free(&out);
    bytes_free(&kept);
    clean_end();
}

TestSuite(event_out, .fini = forget);

static void begin(void)
{
    bytes_clear(&out);
    bytes_clear(&kept);
    event = (struct event_out){0};
}

/* RESP_WHOLE: the last of it ended a value. */
static enum resp_found come(struct slice piece)
{
    enum resp_found found = RESP_MORE;
    size_t used;

    bytes_add(&kept, piece.at, piece.length);
    do {
        found = event_out_read(&event, (struct slice){kept.at, kept.length}, &used, &out);
        memmove(kept.at, kept.at + used, kept.length - used);
        kept.length -= used;
    } while (found == RESP_WHOLE && kept.length > 0);
    return found;
}

static void check(const char *expected, enum resp_found found)
{
    cr_assert_eq(found, RESP_WHOLE);
    cr_assert(out.length == strlen(expected) && memcmp(out.at, expected, out.length) == 0,
              "%.*s, not %s", (int)out.length, (const char *)out.at, expected);
}

static void becomes_by(struct slice said, const char *expected)
{
    enum resp_found found = RESP_MORE;

    for (size_t cut = 1; cut <= said.length; cut++) {
        begin();
        found = come((struct slice){said.at, cut});
        if (cut < said.length)
            found = come((struct slice){said.at + cut, said.length - cut});
        check(expected, found);
    }
    begin();
    for (size_t i = 0; i < said.length; i++)
        found = come((struct slice){said.at + i, 1});
    check(expected, found);
}

#define BECOMES(said, expected) becomes_by(SLICE(said), expected)

Test(event_out, words_of_redis_are_events)
{
    BECOMES("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", "data: subscribe,c,1\n\n");
    BECOMES("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$0\r\n\r\n", "data: message,c,\n\n");
    BECOMES("*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$9\r\n{\"a\":1,0}\r\n",
            "data: pmessage,*,c,{\"a\":1,0}\n\n");
    BECOMES("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", "data: unsubscribe,null,0\n\n");
    BECOMES("+OK\r\n+1.5 [0 1:2] \"GET\"\r\n", "data: OK\n\ndata: 1.5 [0 1:2] \"GET\"\n\n");
}

Test(event_out, no_message_is_another_event)
{
    BECOMES("*2\r\n$7\r\nmessage\r\n$4\r\na\n\nb\r\n", "data: message,a\ndata: \ndata: b\n\n");
    BECOMES("*2\r\n$7\r\nmessage\r\n$6\r\na\r\n\r\nb\r\n", "data: message,a\ndata: \ndata: b\n\n");
    BECOMES("*2\r\n$3\r\na\rb\r\n$1\r\n\r\r\n", "data: a\ndata: b,\ndata: \n\n");
    BECOMES("*2\r\n$2\r\na\r\r\n$2\r\n\nb\r\n", "data: a\ndata: ,\ndata: b\n\n");
    BECOMES("*1\r\n$19\r\nx\n\nevent: a\ndata: b\r\n",
            "data: x\ndata: \ndata: event: a\ndata: data: b\n\n");
}

Test(event_out, what_nobody_says_here_is_broken)
{
    static const char *const rows[] = {"-ERR no\r\n",  "*0\r\n", "*-1\r\n",
                                       "*2\r\n*1\r\n", "%1\r\n", "+a\nb\r\n"};

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin();
        cr_assert_eq(come((struct slice){(const uint8_t *)rows[i], strlen(rows[i])}), RESP_BROKEN,
                     "%s", rows[i]);
    }
}
