#include <criterion/criterion.h>
#include <string.h>

#include "base/mistake.h"
#include "clean_end.h"

TestSuite(mistake, .fini = clean_end);

Test(mistake, each_is_a_line_that_begins_with_its_place)
{
    struct mistake_list list = {0};

    mistake_add(&list, "nowhere in particular");
    list.at = (struct mistake_place){"weir.ini", 0};
    mistake_add(&list, "the whole file");
    list.at.line = 7;
    mistake_warn(&list, "%d things", 3);
    cr_assert_str_eq(mistake_text(&list), "nowhere in particular\n"
                                          "weir.ini: the whole file\n"
                                          "weir.ini:7: warning: 3 things\n");
    cr_assert_eq(list.errors, 2);
    cr_assert_eq(list.warnings, 1);
    mistake_free(&list);
}

Test(mistake, a_warning_does_not_change_the_verdict)
{
    struct mistake_list list = {0};

    mistake_warn(&list, "odd");
    cr_assert_eq(mistake_verdict(&list), ERR_OK);
    mistake_add(&list, "wrong");
    cr_assert_eq(mistake_verdict(&list), ERR_CONFIG);
    mistake_add_no_memory(&list);
    cr_assert_eq(mistake_verdict(&list), ERR_NO_MEMORY);
    cr_assert_str_eq(mistake_text(&list), "out of memory\n");
    mistake_free(&list);
}

Test(mistake, a_message_stays_on_its_line_and_is_not_endless)
{
    struct mistake_list list = {0};
    char endless[5000];

    memset(endless, 'x', sizeof(endless));
    endless[sizeof(endless) - 1] = '\0';
    mistake_add(&list, "two\nlines\033[2J");
    cr_assert_str_eq(mistake_text(&list), "two?lines?[2J\n");
    mistake_add(&list, "%s", endless);
    cr_assert_lt(list.text.length, 600);
    mistake_free(&list);
}
