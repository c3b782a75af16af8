/*
 * base/mistake.h - all that is wrong with what a person wrote, not only the first of it.
 *
 *      struct mistake_list mistakes = {0};
 *      mistakes.at = (struct mistake_place){"weir.ini", 12};
 *      mistake_add(&mistakes, "listen_port: %d is more than %d", port, 65535);
 *      if (mistake_verdict(&mistakes) != ERR_OK)
 *          fputs(mistake_text(&mistakes), stderr);     weir.ini:12: listen_port: 70000 is ...
 *      mistake_free(&mistakes);
 *
 * Whoever reads keeps `at` where it reads, and whoever checks complains without knowing
 * where: a file's line, an option of the command line, or nothing for a console's SET.
 * Want of memory is kept as in struct bytes: it lasts, and is asked for once, at the end.
 */
#ifndef BASE_MISTAKE_H
#define BASE_MISTAKE_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"

struct mistake_place {
    const char *file; /* lent; NULL: nowhere in particular */
    size_t line;      /* from 1; 0: the file as a whole */
};

struct mistake_list {
    struct mistake_place at;
    size_t errors, warnings;
    struct bytes text; /* a line each */
};

/* A message is one line of at most 500 characters; what does not print becomes '?'. */
void mistake_add(struct mistake_list *mistakes, const char *format, ...) PRINTF_LIKE(2, 3);
void mistake_warn(struct mistake_list *mistakes, const char *format, ...) PRINTF_LIKE(2, 3);
void mistake_add_no_memory(struct mistake_list *mistakes);

/* ERR_NO_MEMORY, else ERR_CONFIG if there was an error; a warning is none. */
enum err mistake_verdict(const struct mistake_list *mistakes) MUST_CHECK;

/* All lines, warnings among them; lent until the next call. */
const char *mistake_text(struct mistake_list *mistakes);
void mistake_free(struct mistake_list *mistakes);

#endif
