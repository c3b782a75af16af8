/*
 * tests/unit/folder.h - a folder of its own for a test that reads files.
 *
 *      TestSuite(ini, .init = folder_enter, .fini = folder_leave);
 *      folder_put("weir.ini", "[weir]\n");
 *
 * It is the working directory, and gone afterwards. Leaving ends like clean_end().
 */
#ifndef TESTS_UNIT_FOLDER_H
#define TESTS_UNIT_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clean_end.h"

static char folder_path[] = "/tmp/weir_test.XXXXXX";

static inline void folder_enter(void)
{
    if (mkdtemp(folder_path) == NULL || chdir(folder_path) != 0)
        abort();
}

static inline void folder_put_bytes(const char *name, const char *text, size_t length)
{
    FILE *file = fopen(name, "w");

    if (file == NULL || fwrite(text, 1, length, file) != length || fclose(file) != 0)
        abort();
}

static inline void folder_put(const char *name, const char *text)
{
    folder_put_bytes(name, text, strlen(text));
}

static inline int folder_remove_one(const char *path, const struct stat *about, int kind,
                                    struct FTW *where)
{
    return remove(path);
}

static inline void folder_leave(void)
{
    if (chdir("/") != 0 || nftw(folder_path, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS) != 0)
        abort();
    clean_end();
}

#endif
