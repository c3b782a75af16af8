/*
 * What /sql answers, whatever a server says and however its queries end: JSON, with a status that
 * fits. A success only if every query was answered to its end, and a batch committed.
 */
#include <jansson.h>
#include <string.h>

#include "choices.h"
#include "drivers/postgres/wire.h"
#include "fuzz.h"
#include "proxy/fronts/http/neon_result.h"

enum { MOST_QUERIES = 4, MOST_MESSAGES = 6 };

struct play {
    struct choices choices;
    struct ask ask;
    struct ask_query queries[MOST_QUERIES];
    struct neon_result result;
    struct bytes said;
    bool is_committed, is_done;
};

static void add_row(struct play *play)
{
    struct slice value = SLICE("\"1\xff");

    value.length = choose(&play->choices) % (value.length + 1);
    wire_add_data_row(&play->said, &value, 1);
}

static void add_error(struct play *play)
{
    static const char error[] = "E\0\0\0\x1bSERROR\0C22012\0Mfailed\0";

    bytes_add(&play->said, error, sizeof(error));
}

static void add_describes(struct play *play)
{
    static const char description[] =
        "T\0\0\0\x1a\0\1n\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0";

    bytes_add(&play->said, description, sizeof(description));
}

static void add_anything(struct play *play)
{
    for (unsigned n = choose(&play->choices) % 12; n > 0; n--) {
        uint8_t byte = choose(&play->choices);

        bytes_add(&play->said, &byte, 1);
    }
}

/* A result as it should be, or what comes to mind. Whether it is one. */
static bool make_answer(struct play *play)
{
    bytes_clear(&play->said);
    if (choose(&play->choices) % 4 != 0) {
        add_describes(play);
        for (unsigned n = choose(&play->choices) % 4; n > 0; n--)
            add_row(play);
        wire_add_command_complete(&play->said, "SELECT 1");
        wire_add_ready_for_query(&play->said, 'I');
        return true;
    }
    for (unsigned n = choose(&play->choices) % MOST_MESSAGES; n > 0; n--) {
        static void (*const parts[])(struct play *) = {add_row, add_error, add_describes,
                                                       add_anything};

        parts[choose(&play->choices) % COUNT_OF(parts)](play);
    }
    return false;
}

/* In pieces. */
static void take(struct play *play, size_t index)
{
    size_t from = 0;

    while (from < play->said.length && !play->is_done) {
        size_t length = 1 + choose(&play->choices) % 64u;

        length = length < play->said.length - from ? length : play->said.length - from;
        play->is_done =
            !neon_result_take(&play->result, index, (struct slice){play->said.at + from, length});
        REQUIRE(!play->is_done || play->result.state == NEON_RESULT_FAILED);
        from += length;
    }
}

static struct errand_end make_end(struct play *play, bool is_well)
{
    struct errand_end end = {.how = is_well ? SCHEDULE_WELL : SCHEDULE_ERROR, .text = ""};
    uint8_t chosen = choose(&play->choices);

    if (chosen % 8 == 0) {
        end.how = (enum schedule_how)(chosen / 8 % (SCHEDULE_LOST + 1));
        end.why = (enum err)(choose(&play->choices) % ERR_COUNT);
        end.cut = choose(&play->choices) % 2;
    }
    return end;
}

static void answer(struct play *play, size_t index)
{
    bool is_well = index != ERRAND_TRANSACTION && make_answer(play);
    struct errand_end end;

    if (index != ERRAND_TRANSACTION || choose(&play->choices) % 4 == 0)
        take(play, index);
    if (play->is_done)
        return;
    end = make_end(play, is_well || index == ERRAND_TRANSACTION);
    play->is_committed |= index == ERRAND_TRANSACTION && end.how == SCHEDULE_WELL;
    neon_result_over(&play->result, index, &end);
}

static void check(struct play *play)
{
    const struct neon_result *result = &play->result;
    json_t *read = json_loadb((const char *)result->out.at, result->out.length, 0, NULL);
    size_t length = play->ask.queries_length;

    REQUIRE(!result->out.failed && read != NULL);
    REQUIRE(result->state == NEON_RESULT_WELL || result->state == NEON_RESULT_FAILED);
    REQUIRE((result->status == 200) == (result->state == NEON_RESULT_WELL));
    if (result->status != 200) {
        REQUIRE(result->status == 400 || result->status == 500 || result->status == 507);
        REQUIRE(json_object_size(read) == 17); /* all null, where a server says nothing */
    } else if (play->ask.is_batch) {
        REQUIRE(play->is_committed);
        REQUIRE(json_array_size(json_object_get(read, "results")) == length);
    } else {
        REQUIRE(json_is_array(json_object_get(read, "rows")));
    }
    if (play->ask.max_bytes > 0 && result->status == 200)
        REQUIRE(result->out.length <= play->ask.max_bytes + 2); /* the last ]} */
    json_decref(read);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct play play = {.choices = {data, size}};
    uint8_t how = choose(&play.choices);

    play.ask.queries = play.queries;
    play.ask.is_batch = how % 2;
    play.ask.queries_length = play.ask.is_batch ? how / 2u % (MOST_QUERIES + 1) : 1;
    play.ask.max_bytes = how / 16 % 2 ? 200u + choose(&play.choices) : 0;
    play.ask.max_rows = how / 32 % 4;
    play.ask.format = how & 0x80 ? ASK_FORMAT_TEXT : ASK_FORMAT_JSON;
    for (size_t i = 0; i < play.ask.queries_length; i++)
        play.queries[i].rows = choose(&play.choices) % 2 ? ASK_ROWS_ARRAYS : ASK_ROWS_OBJECTS;

    neon_result_begin(&play.result, &play.ask);
    for (size_t i = 0; i < play.ask.queries_length && !play.is_done; i++)
        answer(&play, i);
    if (play.ask.is_batch && !play.is_done)
        answer(&play, ERRAND_TRANSACTION);
    neon_result_finish(&play.result);
    check(&play);
    neon_result_fini(&play.result);
    bytes_free(&play.said);
    return 0;
}
