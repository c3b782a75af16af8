/* errands CONFIG: weir, with errands beside its other clients. What it is told on its standard
 * input, a JSON object a line, it does; what becomes of it, it says on its standard output, the
 * same way. For integration/test_errands.py, which says what the words mean.
 *
 *      {"start": "a", "mode": "parallel", "queries": [{"sql": "select 1"}]}
 *      {"cancel": "a"}
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drivers/postgres/wire.h"
#include "proxy/command.h"
#include "proxy/worker.h"

enum { MOST_SHOWN = 64 * 1024 };

struct answer {
    struct bytes bytes;
    size_t length;
    bool pauses, stops; /* as soon as something of it has come */
};

struct job {
    struct errand *errand;
    struct bytes wire;
    struct answer *answers; /* the last is the transaction's */
    size_t length;
    bool cancels_itself; /* as soon as something has come */
    struct job *next;
    char name[];
};

static struct worker worker;
static struct job *jobs;
static struct bytes heard;

/* ---- what is said -------------------------------------------------------------------------- */

static void say(json_t *what)
{
    char *text;

    json_object_set_new(what, "ms", json_integer((json_int_t)uv_now(&worker.loop)));
    text = json_dumps(what, JSON_COMPACT);
    REQUIRE(text != NULL && puts(text) >= 0 && fflush(stdout) == 0);
    free(text);
    json_decref(what);
}

static json_t *hex(const struct bytes *bytes)
{
    char *text = calloc(1, bytes->length * 2 + 1);
    json_t *value;

    REQUIRE(text != NULL);
    for (size_t i = 0; i < bytes->length; i++)
        sprintf(text + 2 * i, "%02x", bytes->at[i]);
    value = json_string(text);
    free(text);
    return value;
}

static struct answer *answer_of(struct job *job, size_t index)
{
    return &job->answers[index == ERRAND_TRANSACTION ? job->length : index];
}

static void forget(struct job *job)
{
    struct job **at = &jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    for (size_t i = 0; i <= job->length; i++)
        bytes_free(&job->answers[i].bytes);
    bytes_free(&job->wire);
    free(job->answers);
    free(job);
}

static void on_answer(struct errand *errand, size_t index, struct slice bytes)
{
    struct job *job = errand_owner(errand);
    struct answer *answer = answer_of(job, index);

    REQUIRE(bytes.length > 0);
    answer->length += bytes.length;
    if (answer->length <= MOST_SHOWN)
        bytes_add(&answer->bytes, bytes.at, bytes.length);
    if (answer->pauses) {
        answer->pauses = false;
        errand_pause(errand, index);
        say(json_pack("{s:s, s:s, s:I}", "event", "paused", "name", job->name, "index",
                      (json_int_t)index));
    }
    if (answer->stops) {
        answer->stops = false;
        errand_stop(errand, index, ERR_NOT_SUPPORTED);
    }
    if (job->cancels_itself) {
        errand_cancel(errand);
        say(json_pack("{s:s, s:s}", "event", "canceled", "name", job->name));
        forget(job);
    }
}

static void on_over(struct errand *errand, size_t index, const struct errand_end *end)
{
    static const char *const hows[] = {
        [SCHEDULE_WELL] = "well",       [SCHEDULE_ERROR] = "error",
        [SCHEDULE_SKIPPED] = "skipped", [SCHEDULE_STOPPED] = "stopped",
        [SCHEDULE_REFUSED] = "refused", [SCHEDULE_LOST] = "lost",
    };
    struct job *job = errand_owner(errand);
    struct answer *answer = answer_of(job, index);

    say(json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:b, s:b, s:I, s:o}", "event", "over", "name",
                  job->name, "index", index == ERRAND_TRANSACTION ? -1 : (json_int_t)index, "how",
                  hows[end->how], "why", end->why != ERR_OK ? err_sqlstate(end->why) : "", "text",
                  end->text, "told", end->told, "cut", end->cut, "length",
                  (json_int_t)answer->length, "bytes", hex(&answer->bytes)));
}

static void on_finished(struct errand *errand)
{
    struct job *job = errand_owner(errand);

    say(json_pack("{s:s, s:s}", "event", "finished", "name", job->name));
    forget(job);
}

static const struct errand_events events = {
    .answer = on_answer, .over = on_over, .finished = on_finished};

/* ---- what is asked for --------------------------------------------------------------------- */

static const char *text_of(const json_t *from, const char *key, const char *usual)
{
    const char *text = json_string_value(json_object_get(from, key));

    return text != NULL ? text : usual;
}

static uint64_t number_of(const json_t *from, const char *key, uint64_t usual)
{
    const json_t *value = json_object_get(from, key);

    return value != NULL ? (uint64_t)json_integer_value(value) : usual;
}

static bool is_true(const json_t *from, const char *key)
{
    return json_is_true(json_object_get(from, key));
}

/* The number of the word in the list, which ends with NULL. */
static unsigned choice(const json_t *from, const char *key, const char *const *words)
{
    const char *word = text_of(from, key, words[0]);
    unsigned i = 0;

    while (words[i] != NULL && strcmp(words[i], word) != 0)
        i++;
    REQUIRE(words[i] != NULL);
    return i;
}

static void add_message(struct bytes *out, char type, struct slice body)
{
    uint8_t length[4];

    bytes_put_u32(length, (uint32_t)body.length + 4);
    bytes_add(out, &type, 1);
    bytes_add(out, length, sizeof(length));
    bytes_add(out, body.at, body.length);
}

static void add_query(struct bytes *out, const char *sql)
{
    struct bytes parse = {0};

    bytes_add(&parse, "", 1);
    bytes_add(&parse, sql, strlen(sql) + 1);
    bytes_add(&parse, "\0", 2);
    add_message(out, 'P', (struct slice){parse.at, parse.length});
    add_message(out, 'B', SLICE("\0\0\0\0\0\0\0\0"));
    add_message(out, 'D', SLICE("P\0"));
    add_message(out, 'E', SLICE("\0\0\0\0\0"));
    wire_add_bare(out, WIRE_SYNC);
    bytes_free(&parse);
}

static struct broker_place *place_of(const json_t *from)
{
    struct terms_wanted wanted;
    struct broker_place *place;

    terms_look_up(&worker.terms, text_of(from, "user", "ana"), text_of(from, "db", "main"),
                  &wanted);
    REQUIRE(terms_find_place(&worker.terms, &wanted, &place) == ERR_OK);
    return place;
}

static struct errand_options options_of(const json_t *from)
{
    static const char *const modes[] = {"parallel", "pipeline", "transaction", NULL};
    static const char *const on_error[] = {"continue", "stop", "cancel", NULL};
    static const char *const levels[] = {"default",         "read uncommitted", "read committed",
                                         "repeatable read", "serializable",     NULL};

    return (struct errand_options){
        .mode = (enum schedule_mode)choice(from, "mode", modes),
        .on_error = (enum schedule_on_error)choice(from, "on_error", on_error),
        .isolation = (enum errand_isolation)choice(from, "isolation", levels),
        .read_only = is_true(from, "read_only"),
        .deferrable = is_true(from, "deferrable"),
        .timeout_ms = number_of(from, "timeout_ms", 0),
        .cancel_ms = number_of(from, "cancel_ms", 2000),
        .most_parallel = number_of(from, "most_parallel", 100),
        .most_asking = number_of(from, "most_asking", 1),
        .hasty = is_true(from, "hasty"),
    };
}

static void build(struct job *job, const json_t *list, struct errand_query *queries)
{
    size_t *ends = calloc(job->length, sizeof(*ends)), begin = 0;

    REQUIRE(ends != NULL);
    for (size_t i = 0; i < job->length; i++) {
        const json_t *query = json_array_get(list, i);

        add_query(&job->wire, text_of(query, "sql", ""));
        ends[i] = job->wire.length;
        job->answers[i].pauses = is_true(query, "pause");
        job->answers[i].stops = is_true(query, "stop");
        queries[i] = (struct errand_query){.place = place_of(query),
                                           .timeout_ms = number_of(query, "timeout_ms", 0)};
    }
    for (size_t i = 0; i < job->length; begin = ends[i], i++)
        queries[i].wire = (struct slice){job->wire.at + begin, ends[i] - begin};
    free(ends);
}

static void start(const char *name, const json_t *from)
{
    const json_t *list = json_object_get(from, "queries");
    struct errand_options options = options_of(from);
    struct job *job = calloc(1, sizeof(*job) + strlen(name) + 1);
    struct errand_query *queries;
    enum err e;

    REQUIRE(job != NULL && json_array_size(list) > 0);
    strcpy(job->name, name);
    job->length = json_array_size(list);
    job->cancels_itself = is_true(from, "cancels_itself");
    job->answers = calloc(job->length + 1, sizeof(*job->answers));
    queries = calloc(job->length, sizeof(*queries));
    REQUIRE(job->answers != NULL && queries != NULL);
    build(job, list, queries);
    job->next = jobs;
    jobs = job;
    options.queries = queries;
    options.queries_length = job->length;
    e = errand_start(&worker.errands, &options, &events, job, &job->errand);
    free(queries);
    if (e == ERR_OK)
        return;
    say(json_pack("{s:s, s:s, s:s}", "event", "not started", "name", name, "why", err_sqlstate(e)));
    forget(job);
}

static struct job *find(const char *name)
{
    struct job *job = jobs;

    while (job != NULL && strcmp(job->name, name) != 0)
        job = job->next;
    return job;
}

static void cancel(const char *name)
{
    struct job *job = find(name);

    if (job == NULL)
        return;
    errand_cancel(job->errand);
    say(json_pack("{s:s, s:s}", "event", "canceled", "name", name));
    forget(job);
}

static void obey(const json_t *what)
{
    size_t index = number_of(what, "index", 0);
    struct job *job;

    if (json_object_get(what, "start") != NULL)
        start(text_of(what, "start", ""), what);
    if (json_object_get(what, "cancel") != NULL)
        cancel(text_of(what, "cancel", ""));
    if ((job = find(text_of(what, "resume", ""))) != NULL)
        errand_resume(job->errand, index);
    if ((job = find(text_of(what, "stop", ""))) != NULL)
        errand_stop(job->errand, index, ERR_CANCELED);
}

/* ---- the loop ------------------------------------------------------------------------------ */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    *buf = uv_buf_init(malloc(suggested), (unsigned)suggested);
}

static void obey_lines(void)
{
    uint8_t *from = heard.at, *end = heard.at + heard.length, *line_end;
    json_t *what;

    while (from < end && (line_end = memchr(from, '\n', (size_t)(end - from))) != NULL) {
        what = json_loadb((const char *)from, (size_t)(line_end - from), 0, NULL);
        REQUIRE(what != NULL);
        obey(what);
        json_decref(what);
        from = line_end + 1;
    }
    if (from == heard.at)
        return;
    memmove(heard.at, from, (size_t)(end - from));
    heard.length = (size_t)(end - from);
}

static void on_read(uv_stream_t *input, ssize_t count, const uv_buf_t *buf)
{
    if (count > 0)
        bytes_add(&heard, buf->base, (size_t)count);
    free(buf->base);
    obey_lines();
    if (count >= 0)
        return;
    uv_close((uv_handle_t *)input, NULL);
    kill(getpid(), SIGINT); /* as weir is stopped */
}

int main(int argc, char **argv)
{
    struct mistake_list mistakes = {0};
    struct command command = {.config_path = argc > 1 ? argv[1] : ""};
    struct config *config;
    struct log log;
    uv_pipe_t input;
    char why[256];

    signal(SIGPIPE, SIG_IGN);
    if (command_load(&command, &config, &mistakes) != ERR_OK ||
        log_open(&log, &(struct log_options){.level = LOG_LEVEL_INFO}) != ERR_OK) {
        fputs(mistake_text(&mistakes), stderr);
        return 2;
    }
    if (worker_init(&worker, config, &log) != ERR_OK || worker_listen(&worker, why) != ERR_OK)
        return 2;
    uv_pipe_init(&worker.loop, &input, 0);
    REQUIRE(uv_pipe_open(&input, 0) == 0 &&
            uv_read_start((uv_stream_t *)&input, on_alloc, on_read) == 0);
    worker_run(&worker);
    REQUIRE(jobs == NULL && !worker.stuck);
    worker_fini(&worker);
    bytes_free(&heard);
    log_close(&log);
    config_destroy(config);
    mistake_free(&mistakes);
    return 0;
}
