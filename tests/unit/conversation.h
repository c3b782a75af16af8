/*
 * tests/unit/conversation.h - the words in which stories about the relay are told.
 *
 *      client_sends("Parse s1 select 1; Bind s1; Execute; Sync");
 *      server_gets("Parse s1 select 1; Bind s1; Execute; Sync");
 *      server_sends("ParseComplete; BindComplete; DataRow 1; ...");
 *
 * A message is its name in the manual and its contents as text. Everything is sent in
 * pieces of `piece` bytes, so a story told once for each size is a story cut at every byte.
 */
#ifndef TESTS_UNIT_CONVERSATION_H
#define TESTS_UNIT_CONVERSATION_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "drivers/postgres/relay.h"
#include "drivers/postgres/wire.h"

struct message_name {
    const char *name;
    uint8_t type;
};

static const struct message_name client_names[] = {
    {"Query", WIRE_QUERY},
    {"Parse", WIRE_PARSE},
    {"Bind", WIRE_BIND},
    {"Describe", WIRE_DESCRIBE},
    {"Execute", WIRE_EXECUTE},
    {"Close", WIRE_CLOSE},
    {"Sync", WIRE_SYNC},
    {"Flush", WIRE_FLUSH},
    {"CopyData", WIRE_COPY_DATA},
    {"CopyDone", WIRE_COPY_DONE},
    {"CopyFail", WIRE_COPY_FAIL},
    {"FunctionCall", WIRE_FUNCTION_CALL},
    {"Terminate", WIRE_TERMINATE},
    {"Unknown", 'y'},
    {NULL, 0},
};

static const struct message_name server_names[] = {
    {"ParseComplete", WIRE_PARSE_COMPLETE},
    {"BindComplete", WIRE_BIND_COMPLETE},
    {"CloseComplete", WIRE_CLOSE_COMPLETE},
    {"ParameterDescription", WIRE_PARAMETER_DESCRIPTION},
    {"RowDescription", WIRE_ROW_DESCRIPTION},
    {"NoData", WIRE_NO_DATA},
    {"DataRow", WIRE_DATA_ROW},
    {"CommandComplete", WIRE_COMMAND_COMPLETE},
    {"EmptyQueryResponse", WIRE_EMPTY_QUERY_RESPONSE},
    {"PortalSuspended", WIRE_PORTAL_SUSPENDED},
    {"ErrorResponse", WIRE_ERROR_RESPONSE},
    {"NoticeResponse", WIRE_NOTICE_RESPONSE},
    {"NotificationResponse", WIRE_NOTIFICATION_RESPONSE},
    {"ParameterStatus", WIRE_PARAMETER_STATUS},
    {"ReadyForQuery", WIRE_READY_FOR_QUERY},
    {"CopyInResponse", WIRE_COPY_IN_RESPONSE},
    {"CopyOutResponse", WIRE_COPY_OUT_RESPONSE},
    {"CopyBothResponse", WIRE_COPY_BOTH_RESPONSE},
    {"CopyData", WIRE_COPY_DATA},
    {"CopyDone", WIRE_COPY_DONE},
    {"FunctionCallResponse", WIRE_FUNCTION_CALL_RESPONSE},
    {NULL, 0},
};

/* A story is told by tell(), below. */
#define Story(name)                                                                                \
    static void name(void);                                                                        \
    Test(relay, name)                                                                              \
    {                                                                                              \
        tell(name);                                                                                \
    }                                                                                              \
    static void name(void)

/* ---- words to bytes and back ------------------------------------------------------------- */

static void write_body(struct bytes *out, uint8_t type, const char *text, size_t length)
{
    const char *space = memchr(text, ' ', length);
    size_t first = space != NULL ? (size_t)(space - text) : length;

    if (length == 0 && type != WIRE_PARSE && type != WIRE_BIND)
        return;
    if (type == WIRE_BIND) { /* the portal's name, ':', and the statement's; no values */
        const char *colon = memchr(text, ':', length);
        size_t portal = colon != NULL ? (size_t)(colon - text) : 0;

        bytes_add(out, text, portal);
        bytes_add(out, "", 1);
        portal += colon != NULL;
        bytes_add(out, text + portal, length - portal);
        bytes_add(out, "\0\0\0\0\0\0", 7);
    } else if ((type == WIRE_DESCRIBE || type == WIRE_CLOSE) && first == 1) { /* S s1 */
        bytes_add(out, text, 1);
        bytes_add(out, text + 2, length > 2 ? length - 2 : 0);
        bytes_add(out, "", 1);
    } else if (type == WIRE_READY_FOR_QUERY) {
        bytes_add(out, text, 1);
    } else if (type == WIRE_PARSE) { /* name, text, no types; "-" is the unnamed one */
        bytes_add(out, text, text[0] == '-' ? 0 : first);
        bytes_add(out, "", 1);
        bytes_add(out, text + first, length - first);
        bytes_add(out, "\0\0", 3);
    } else if (type == WIRE_ERROR_RESPONSE) {
        bytes_print(out, "S%.*s", (int)length, text);
        bytes_add(out, "", 1);
        bytes_print(out, "V%.*s", (int)length, text);
        if (memcmp(text, "STALE", 5) == 0)
            bytes_add(out, "\0C0A000\0Mwhy\0RRevalidateCachedQuery\0", 36);
        else if (memcmp(text, "SYNTAX", 6) == 0)
            bytes_add(out, "\0C42601\0Mwhy\0", 13);
        else
            bytes_add(out, "\0C57014\0Mwhy\0", 13);
    } else {
        bytes_add(out, text, length);
        bytes_add(out, "", 1);
    }
}

static void write_message(struct bytes *out, const struct message_name *names, const char *text,
                          size_t length)
{
    size_t word = strcspn(text, " ;"), start = out->length;

    while (names->name != NULL &&
           (strlen(names->name) != word || strncmp(names->name, text, word) != 0))
        names++;
    cr_assert_not_null(names->name, "no message is called %.*s", (int)word, text);
    bytes_add(out, &names->type, 1);
    bytes_add(out, "\0\0\0", 4);
    text += word < length ? word + 1 : word;
    length -= word < length ? word + 1 : word;
    write_body(out, names->type, text, length);
    bytes_put_u32(out->at + start + 1, (uint32_t)(out->length - start - 1));
}

static struct bytes to_bytes(const struct message_name *names, const char *story)
{
    struct bytes out = {0};

    while (*story != '\0') {
        size_t length = strcspn(story, ";");

        write_message(&out, names, story, length);
        story += length;
        story += strspn(story, "; ");
    }
    return out;
}

static void read_body(char *to, size_t size, const struct message_name *n, struct slice body)
{
    const char *text = (const char *)body.at;
    uint8_t type = n->type;
    bool by_client = n >= client_names && n < client_names + COUNT_OF(client_names);

    if (body.length == 0)
        return;
    if (type == WIRE_READY_FOR_QUERY)
        snprintf(to, size, " %c", text[0]);
    else if (type == WIRE_ERROR_RESPONSE && body.length > 1 && text[0] == 'S')
        snprintf(to, size, " %s", text + 1);
    else if (type == WIRE_PARSE)
        snprintf(to, size, " %s%s", text[0] ? text : "-", text + strlen(text) + 1);
    else if (type == WIRE_BIND && text[0])
        snprintf(to, size, " %s:%s", text, text + strlen(text) + 1);
    else if (type == WIRE_BIND)
        snprintf(to, size, "%s%s", text[1] ? " " : "", text + 1);
    else if (by_client && (type == WIRE_DESCRIBE || type == WIRE_CLOSE) && text[0] == 'S')
        snprintf(to, size, " S%s%s", text[1] ? " " : "", text + 1);
    else
        snprintf(to, size, " %.*s", (int)body.length, text);
}

/* In words, what stands in bytes: whole messages, and "..." for what is not whole. */
static void to_words(char *to, size_t size, const struct message_name *names, struct bytes *bytes)
{
    size_t at = 0;

    to[0] = '\0';
    while (bytes->length - at >= 5) {
        uint8_t type = bytes->at[at];
        size_t length = 1 + (size_t)bytes_u32(bytes->at + at + 1);
        const struct message_name *n = names;

        if (bytes->length - at < length)
            break;
        while (n->name != NULL && n->type != type)
            n++;
        snprintf(to + strlen(to), size - strlen(to), "%s%s", at > 0 ? "; " : "",
                 n->name ? n->name : "?");
        read_body(to + strlen(to), size - strlen(to), n,
                  (struct slice){bytes->at + at + 5, length - 5});
        at += length;
    }
    if (at < bytes->length)
        snprintf(to + strlen(to), size - strlen(to), "%s...", at > 0 ? "; " : "");
    bytes_clear(bytes);
}

/* ---- the stage --------------------------------------------------------------------------- */

static size_t piece;
static struct relay relay;
static struct relay_sent sent;
static struct statement_set statements;
static bool has_server;
static enum relay_verdict verdict;
static struct bytes at_server, at_client, kept_client, kept_server;
static unsigned transactions, refusals, parsed, prepared, bound;

static void add_plan(struct bytes *to, const struct relay_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        bytes_add(to, plan->slices[i].at, plan->slices[i].length);
}

static void forget(struct bytes *kept, size_t used)
{
    memmove(kept->at, kept->at + used, kept->length - used);
    kept->length -= used;
}

static void client_goes_on(void)
{
    struct relay_plan plan;
    size_t used;

    do {
        used = relay_from_client(has_server ? &relay : NULL, &sent,
                                 (struct slice){kept_client.at, kept_client.length}, &plan);
        add_plan(&at_server, &plan);
        bytes_add(&at_client, plan.back.at, plan.back.length);
        forget(&kept_client, used);
        verdict = plan.verdict;
        refusals += plan.refused;
        parsed += plan.parsed;
        prepared += plan.prepared;
        bound += plan.bound;
    } while (used > 0 && kept_client.length > 0);
}

static void server_goes_on(void)
{
    struct relay_plan plan;
    size_t used;

    do {
        used = relay_from_server(&relay, (struct slice){kept_server.at, kept_server.length}, &plan);
        add_plan(&at_client, &plan);
        forget(&kept_server, used);
        transactions += plan.transactions;
        verdict = plan.verdict;
    } while ((used > 0 || plan.count > 0) && (kept_server.length > 0 || relay_plan_is_full(&plan)));
}

static void in_pieces(struct bytes *all, struct bytes *kept, void (*go_on)(void))
{
    size_t size = piece == 0 ? all->length : piece;

    for (size_t at = 0; at < all->length; at += size) {
        bytes_add(kept, all->at + at, all->length - at < size ? all->length - at : size);
        go_on();
    }
    bytes_free(all);
}

static void begin_story(void)
{
    sent = (struct relay_sent){0};
    statements.next_id = 0;
    relay_init(&relay, &statements, 3);
    relay_attach(&relay, &sent);
    relay.names.unnamed = true; /* most stories do not tell where it came from */
    has_server = true;
    transactions = parsed = prepared = bound = 0;
}

static void end_story(void)
{
    relay_fini(&relay);
    statement_names_clear(&sent.names);
    bytes_free(&at_server);
    bytes_free(&at_client);
    bytes_free(&kept_client);
    bytes_free(&kept_server);
}

/* Tells it whole, and then cut into pieces of every size up to 20 bytes. */
static void tell(void (*story)(void))
{
    for (piece = 0; piece <= 20; piece++) {
        begin_story();
        story();
        end_story();
    }
}

/* ---- the words --------------------------------------------------------------------------- */

static void client_sends(const char *story)
{
    struct bytes all = to_bytes(client_names, story);

    in_pieces(&all, &kept_client, client_goes_on);
}

static void server_sends(const char *story)
{
    struct bytes all = to_bytes(server_names, story);

    in_pieces(&all, &kept_server, server_goes_on);
}

static void came(const char *who, const struct message_name *names, struct bytes *bytes,
                 const char *expected)
{
    char words[2048];

    to_words(words, sizeof(words), names, bytes);
    cr_assert_str_eq(words, expected, "in pieces of %zu the %s got \"%s\", not \"%s\"", piece, who,
                     words, expected);
}

static void server_gets(const char *expected)
{
    came("server", client_names, &at_server, expected);
}

static void client_gets(const char *expected)
{
    came("client", server_names, &at_client, expected);
}

static bool is_free(void)
{
    return relay_is_settled(&relay, &sent) && kept_server.length == 0;
}

static void the_server_is_free(void)
{
    cr_assert(is_free(), "in pieces of %zu the server is not free", piece);
    cr_assert(!relay.tainted, "in pieces of %zu the server is tainted", piece);
}

static void the_server_is_not_free(void)
{
    cr_assert(!is_free(), "in pieces of %zu the server is free", piece);
}

/* Sent, got by the server, answered and got by the client, all in one. */
static void exchange(const char *request, const char *answer)
{
    client_sends(request);
    server_gets(request);
    server_sends(answer);
    client_gets(answer);
}

#endif
