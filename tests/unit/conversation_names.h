/*
 * tests/unit/conversation_names.h - more words for stories about the relay: of clients that prepare
 * statements, and servers that may have them or not. See conversation.h.
 */
#ifndef TESTS_UNIT_CONVERSATION_NAMES_H
#define TESTS_UNIT_CONVERSATION_NAMES_H

#include "conversation.h"

#define SERVED "BindComplete; DataRow 1; CommandComplete SELECT 1; ReadyForQuery I"

/* What the server says when it is asked to parse ahead, or to forget, is for nobody. */
static void prepare(const char *name, const char *text)
{
    char request[100];

    snprintf(request, sizeof(request), "Parse %s %s; Sync", name, text);
    exchange(request, "ParseComplete; ReadyForQuery I");
}

static struct relay_sent other_sent;

/* The client has gone, and another has got its server. */
static void another_client_comes(void)
{
    the_server_is_free();
    relay_detach(&relay);
    other_sent = sent;
    sent = (struct relay_sent){0};
    relay_attach(&relay, &sent);
}

/* Between its transactions it is served by another server. */
static void the_client_gets_a_new_server(void)
{
    the_server_is_free();
    relay_fini(&relay);
    relay_init(&relay, &statements, 3);
    relay_attach(&relay, &sent);
}

static void end_names_story(void)
{
    statement_names_clear(&other_sent.names);
}

#undef Story
#define Story(name)                                                                                \
    static void name(void);                                                                        \
    static void name##_to_the_end(void)                                                            \
    {                                                                                              \
        name();                                                                                    \
        end_names_story();                                                                         \
    }                                                                                              \
    Test(relay, name)                                                                              \
    {                                                                                              \
        tell(name##_to_the_end);                                                                   \
    }                                                                                              \
    static void name(void)

#endif
