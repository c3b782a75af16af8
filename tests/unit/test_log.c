#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "clean_end.h"

static char name[64], moved[80], written[1 << 16];
static struct log a_log;
static const struct log_who ana = {'C', 12, "app", "ana", "127.0.0.1:5555"};

static void set_up(void)
{
    snprintf(name, sizeof(name), "/tmp/test_log.%d", (int)getpid());
    snprintf(moved, sizeof(moved), "%s.1", name);
    setenv("TZ", "UTC", 1);
}

static void clean_up(void)
{
    log_close(&a_log);
    unlink(name);
    unlink(moved);
    clean_end();
}

TestSuite(log, .init = set_up, .fini = clean_up);

static void given_a_log(enum log_level level, enum log_format format)
{
    struct log_options options = {.level = level, .format = format, .file = name};

    cr_assert_eq(log_open(&a_log, &options), ERR_OK);
}

static const char *text_of(const char *file)
{
    int fd = open(file, O_RDONLY);
    ssize_t length = read(fd, written, sizeof(written) - 1);

    cr_assert(fd >= 0 && length >= 0);
    close(fd);
    written[length] = '\0';
    return written;
}

/* What stands between the first place of after and the end of the last line. */
static const char *behind(const char *after)
{
    char *at = strstr((char *)(uintptr_t)text_of(name), after);

    cr_assert_not_null(at, "%s is not in: %s", after, written);
    cr_assert_eq(written[strlen(written) - 1], '\n');
    written[strlen(written) - 1] = '\0';
    return at + strlen(after);
}

Test(log, a_line_reads_like_pgbouncers)
{
    int year, millisecond, pid;
    char zone[8];

    given_a_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_write(&a_log, LOG_LEVEL_INFO, &ana, "login attempt: tls=%s", "no");
    cr_assert_eq(sscanf(text_of(name), "%4d-%*2d-%*2d %*2d:%*2d:%*2d.%3d %7s [%d] LOG", &year,
                        &millisecond, zone, &pid),
                 4);
    cr_assert(year >= 2024);
    cr_assert_str_eq(zone, "UTC");
    cr_assert_eq(pid, getpid());
    cr_assert_str_eq(behind("] "), "LOG C-12: app/ana@127.0.0.1:5555 login attempt: tls=no");
}

Test(log, who_is_not_known_yet_is_named_so)
{
    struct log_who stranger = {.kind = 'C', .id = 3, .address = "unix"};
    struct log_who pooler = {.kind = '-', .database = "app", .user = "ana"};

    given_a_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_write(&a_log, LOG_LEVEL_WARNING, &stranger, "no");
    cr_assert_str_eq(behind("] "), "WARNING C-3: (nodb)/(nouser)@unix no");
    cr_assert_eq(truncate(name, 0), 0);
    log_write(&a_log, LOG_LEVEL_ERROR, &pooler, "no");
    cr_assert_str_eq(behind("] "), "ERROR app/ana@(unknown) no");
    cr_assert_eq(truncate(name, 0), 0);
    log_write(&a_log, LOG_LEVEL_FATAL, NULL, "no");
    cr_assert_str_eq(behind("] "), "FATAL no");
}

Test(log, what_is_below_the_level_is_not_written)
{
    given_a_log(LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
    cr_assert_not(log_wants(&a_log, LOG_LEVEL_INFO));
    log_write(&a_log, LOG_LEVEL_INFO, NULL, "quiet");
    cr_assert_str_empty(text_of(name));
    log_set_level(&a_log, LOG_LEVEL_DEBUG);
    log_write(&a_log, LOG_LEVEL_DEBUG, NULL, "loud");
    cr_assert_str_eq(behind("] "), "DEBUG loud");
}

Test(log, whatever_is_said_a_line_stays_a_line)
{
    static const struct {
        const char *message, *text, *json;
    } table[] = {
        {"plain", "plain", "plain"},
        {"two\nlines\r\n", "two\\nlines\\r\\n", "two\\u000alines\\u000d\\u000a"},
        {"a\ttab", "a\\ttab", "a\\u0009tab"},
        {"\x1b[31mred\x7f", "\\x1b[31mred\\x7f", "\\u001b[31mred\\u007f"},
        {"say \"it\" \\o/", "say \"it\" \\o/", "say \\\"it\\\" \\\\o/"},
        {"caf\xc3\xa9 \xf0\x9f\x90\x98", "caf\xc3\xa9 \xf0\x9f\x90\x98",
         "caf\xc3\xa9 \xf0\x9f\x90\x98"},
        {"\xc2\x9b control", "\\xc2\\x9b control", "\\u009b control"},
        {"bad \xff\xc3", "bad \\xff\\xc3", "bad \\ufffd\\ufffd"},
        {"zero \xc0\x80.", "zero \\xc0\\x80.", "zero \\ufffd\\ufffd."},
    };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char expected[128];

        given_a_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
        log_write(&a_log, LOG_LEVEL_INFO, NULL, "%s", table[i].message);
        cr_assert_str_eq(behind("LOG "), table[i].text);
        log_close(&a_log);
        cr_assert_eq(truncate(name, 0), 0);

        given_a_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
        log_write(&a_log, LOG_LEVEL_INFO, NULL, "%s", table[i].message);
        snprintf(expected, sizeof(expected), "%s\"}", table[i].json);
        cr_assert_str_eq(behind("\"message\":\""), expected);
        log_close(&a_log);
        cr_assert_eq(truncate(name, 0), 0);
    }
}

Test(log, names_are_no_more_trusted_than_messages)
{
    struct log_who eve = {'C', 1, "a\nb", "e\"ve", NULL};

    given_a_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_write(&a_log, LOG_LEVEL_INFO, &eve, "hi");
    cr_assert_str_eq(behind("LOG "), "C-1: a\\nb/e\"ve@(unknown) hi");
}

Test(log, json_leaves_out_what_is_not_known)
{
    struct log_who eve = {'S', 1, "a\nb", "e\"ve", NULL};

    given_a_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_write(&a_log, LOG_LEVEL_INFO, &eve, "hi");
    cr_assert_str_eq(strchr(behind("\"pid\":"), ','),
                     ",\"id\":\"S-1\",\"database\":\"a\\u000ab\",\"user\":\"e\\\"ve\",\"message\":"
                     "\"hi\"}");
}

Test(log, what_is_too_long_is_cut_and_says_so)
{
    char big[3 * LOG_LINE_MOST];
    struct log_who long_name = {'C', 1, big, "ana", big};

    memset(big, '\n', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    given_a_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_write(&a_log, LOG_LEVEL_INFO, &long_name, "%s", big);
    cr_assert_leq(strlen(text_of(name)), LOG_LINE_MOST);
    cr_assert_not_null(strstr(text_of(name), "...\",\"user\":\"ana\""));
    cr_assert_str_eq(written + strlen(written) - 6, "...\"}\n");
}

Test(log, reopening_follows_a_file_that_was_moved_away)
{
    given_a_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_write(&a_log, LOG_LEVEL_INFO, NULL, "before");
    cr_assert_eq(rename(name, moved), 0);
    cr_assert_eq(log_reopen(&a_log), ERR_OK);
    log_write(&a_log, LOG_LEVEL_INFO, NULL, "after");
    cr_assert_not_null(strstr(text_of(moved), "before\n"));
    cr_assert_str_eq(behind("LOG "), "after");
}

Test(log, what_cannot_be_opened_is_told_and_reopening_keeps_the_old_one)
{
    struct log_options nowhere = {.file = "/nonexistent/log"};
    struct log_options nobody = {.syslog_ident = "weir", .syslog_facility = "kitchen"};

    cr_assert_eq(log_open(&a_log, &nowhere), ERR_IO);
    cr_assert_eq(log_open(&a_log, &nobody), ERR_CONFIG);
    given_a_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    cr_assert_eq(rename(name, moved), 0);
    cr_assert_eq(mkdir(name, 0700), 0);
    cr_assert_eq(log_reopen(&a_log), ERR_IO);
    cr_assert_eq(rmdir(name), 0);
    log_write(&a_log, LOG_LEVEL_INFO, NULL, "goes on");
    cr_assert_not_null(strstr(text_of(moved), "goes on"));
}

Test(log, a_full_disk_stops_nothing)
{
    struct log_options full = {.level = LOG_LEVEL_INFO, .file = "/dev/full"};

    cr_assert_eq(log_open(&a_log, &full), ERR_OK);
    log_write(&a_log, LOG_LEVEL_INFO, NULL, "lost");
    log_write(&a_log, LOG_LEVEL_INFO, NULL, "lost");
    cr_assert_eq(a_log.lost, 2);
}

/* Standard error becomes a pipe; its reading end is returned. */
static int given_standard_error_is_a_pipe(void)
{
    struct log_options options = {.level = LOG_LEVEL_INFO};
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    cr_assert_eq(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    cr_assert_eq(log_open(&a_log, &options), ERR_OK);
    return ends[0];
}

Test(log, a_closed_pipe_stops_nothing)
{
    close(given_standard_error_is_a_pipe());
    log_write(&a_log, LOG_LEVEL_INFO, NULL, "lost");
    cr_assert_eq(a_log.lost, 1);
}

Test(log, a_full_pipe_stops_nothing_and_its_reader_learns_what_was_lost)
{
    int reader = given_standard_error_is_a_pipe();
    int lines = 0;

    while (a_log.lost < 5 && lines++ < 100000)
        log_write(&a_log, LOG_LEVEL_INFO, NULL, "line");
    cr_assert_eq(a_log.lost, 5);
    cr_assert(read(reader, written, sizeof(written)) > 0);
    log_write(&a_log, LOG_LEVEL_INFO, NULL, "again");
    cr_assert_eq(a_log.lost, 0);
    lines = (int)read(reader, written, sizeof(written) - 1);
    written[lines] = '\0';
    cr_assert_not_null(strstr(written, "LOG again\n"));
    cr_assert_not_null(strstr(written, "WARNING 5 lines of this log were lost\n"));
    close(reader);
}
