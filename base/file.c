#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { PIECE = 16384 };

static enum err read_all(int fd, struct bytes *bytes)
{
    ssize_t n;

    do {
        uint8_t *to = bytes_extend(bytes, PIECE);

        if (to == NULL)
            return ERR_NO_MEMORY;
        do
            n = read(fd, to, PIECE);
        while (n < 0 && errno == EINTR);
        bytes->length -= PIECE - (n > 0 ? (size_t)n : 0);
    } while (n > 0);
    return n == 0 ? ERR_OK : ERR_IO;
}

enum err file_read(const char *path, struct bytes *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int why;
    enum err e;

    if (fd < 0)
        return ERR_IO;
    e = read_all(fd, bytes);
    why = errno;
    close(fd);
    errno = why;
    return e;
}
