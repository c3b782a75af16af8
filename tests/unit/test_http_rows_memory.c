/* What a result takes: nothing for a value, nothing for a row, and of a value of any size no more
 * than came of it. */
#include "http_rows_story.h"
#include "no_memory.h"

TestSuite(http_rows_memory, .fini = forget);

enum { PIECE = 64 * 1024, PIECES = 512, LARGE = PIECE * PIECES };

static enum rows_sight take(struct slice in)
{
    size_t used;
    enum rows_sight sight = rows_take(&rows, in, &used, &told);

    cr_assert_eq(used, in.length);
    return sight;
}

Test(http_rows_memory, once_the_columns_are_known_nothing_is_allocated)
{
    size_t first_row, end;

    is_bound();
    describes("n:23 t:25 a:1009 j:114 n:23");
    first_row = said.length;
    for (unsigned i = 0; i < 50; i++)
        says_row("123456", "a\n\"text\"\xff", "{a,\"b\\\"c\",NULL}", "{\"a\": 1}", NULL);
    end = said.length;
    completes("SELECT 50");
    for (size_t form = 0; form < 3; form++) {
        rows_begin(&rows, &(struct rows_options){.form = (enum rows_form)form});
        cr_assert_eq(take((struct slice){said.at, first_row}), ROWS_MORE);
        cr_assert_not_null(bytes_extend(&told, 10000));
        told.length = 0;
        no_memory_after(0);
        for (size_t at = first_row; at < end; at++)
            cr_assert_eq(take((struct slice){said.at + at, 1}), ROWS_MORE);
        cr_assert_eq(take((struct slice){said.at + end, said.length - end}), ROWS_READY);
        no_memory_after(NO_MEMORY_NEVER);
        cr_assert_not(told.failed);
    }
    /* and nothing for the columns, when there was a result like it */
    rows_begin(&rows, &db);
    bytes_clear(&told);
    no_memory_after(0);
    cr_assert_eq(take((struct slice){said.at, said.length}), ROWS_READY);
    no_memory_after(NO_MEMORY_NEVER);
}

Test(http_rows_memory, a_large_value_takes_what_its_pieces_take)
{
    static const char *const kinds[] = {"t:25", "a:1009", "j:114"};
    static const char *const begins[] = {"", "{\"", "\""};
    static uint8_t piece[PIECE];
    uint8_t head[] = {'D', 0, 0, 0, 0, 0, 1, 0, 0, 0, 0};

    memset(piece, 'x', sizeof(piece));
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        size_t around = strlen(begins[i]);

        bytes_clear(&said);
        describes(kinds[i]);
        bytes_put_u32(head + 1, 4 + 2 + 4 + LARGE + 2 * (uint32_t)around);
        bytes_put_u32(head + 7, LARGE + 2 * (uint32_t)around);
        bytes_add(&said, head, sizeof(head));
        bytes_add(&said, begins[i], around);
        rows_begin(&rows, &lines);
        cr_assert_eq(take((struct slice){said.at, said.length}), ROWS_MORE);
        for (unsigned k = 0; k < PIECES; k++) {
            told.length = 0;
            cr_assert_eq(take((struct slice){piece, PIECE}), ROWS_MORE);
            cr_assert_leq(told.length, PIECE + CELL_KEPT_MOST + 8);
        }
        told.length = 0;
        cr_assert_eq(take((struct slice){(const uint8_t *)"\"}" + (around != 2), around}),
                     ROWS_MORE);
        cr_assert_leq(rows.gathered.capacity, 1024);
        cr_assert_leq(told.capacity, 4 * PIECE);
    }
}

/* Wherever memory runs out, out has failed, and is not to be sent; nothing is lost. */
Test(http_rows_memory, without_memory_out_has_failed)
{
    bool has_failed = true;

    is_bound();
    describes("n:23 t:25");
    says_row("1", "a");
    completes("SELECT 1");
    for (long n = 0; has_failed; n++) {
        size_t used, half = said.length / 2;

        rows_fini(&rows);
        bytes_free(&told);
        rows_begin(&rows, &neon);
        no_memory_after(n);
        if (rows_take(&rows, (struct slice){said.at, half}, &used, &told) == ROWS_MORE)
            (void)!rows_take(&rows, (struct slice){said.at + half, said.length - half}, &used,
                             &told);
        no_memory_after(NO_MEMORY_NEVER);
        has_failed = told.failed;
        cr_assert(has_failed || rows_is_over(&rows));
        cr_assert(n < 100);
    }
}
