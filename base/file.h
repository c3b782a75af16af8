/* base/file.h - a whole file in memory. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/bytes.h"
#include "base/contract.h"
#include "base/err.h"

/* Adds what is in the file to bytes. ERR_IO: errno says why, and bytes may hold a part. */
enum err file_read(const char *path, struct bytes *bytes) MUST_CHECK;

#endif
