#include "drivers/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "drivers/tls.h"

enum {
    BUFFER_SIZE = 128 * 1024, /* large results: half the reads of 64 KB, and still in the cache */
    BLOCK_SIZE = 1024,        /* most of what is kept is one short query */
    MOST_SPARE = 1024,
    MOST_SLICES = 64,
};

/* A block that is not in use is a link in home->spare. */
struct stream_block {
    struct stream_block *next;
};

/* The loop's side of TLS. */
struct stream_tls {
    struct tls tls;
    uv_idle_t again; /* turns the loop for what the socket will not tell */
    int fd;
    int awaited;   /* what uv.poll watches for */
    unsigned open; /* handles to be closed */
};

_Static_assert((int)TLS_READABLE == UV_READABLE && (int)TLS_WRITABLE == UV_WRITABLE,
               "the events of tls are libuv's");
_Static_assert(sizeof(uv_poll_t) <= sizeof(uv_pipe_t), "TLS makes no plain stream larger");

/* What the socket did not take at once. */
struct outgoing {
    uv_write_t request;
    size_t length;
    uint8_t bytes[];
};

/* ---- home -------------------------------------------------------------------------------- */

enum err stream_home_init(struct stream_home *home, uv_loop_t *loop)
{
    *home = (struct stream_home){.loop = loop, .size = BUFFER_SIZE};
    home->buffer = malloc(BUFFER_SIZE);
    return home->buffer != NULL ? ERR_OK : ERR_NO_MEMORY;
}

void stream_home_fini(struct stream_home *home)
{
    while (home->spare != NULL) {
        struct stream_block *block = home->spare;

        home->spare = block->next;
        free(block);
    }
    free(home->buffer);
}

static uint8_t *take_block(struct stream_home *home)
{
    struct stream_block *block = home->spare;

    if (block == NULL)
        return malloc(BLOCK_SIZE);
    home->spare = block->next;
    home->spare_count--;
    return (uint8_t *)block;
}

static void give_block(struct stream_home *home, uint8_t *memory)
{
    struct stream_block *block = (struct stream_block *)(void *)memory;

    if (home->spare_count == MOST_SPARE) {
        free(memory);
        return;
    }
    block->next = home->spare;
    home->spare = block;
    home->spare_count++;
}

/* ---- what was shown and not used --------------------------------------------------------- */

static void forget_kept(struct stream *stream)
{
    if (stream->kept == NULL)
        return;
    if (stream->kept_capacity == BLOCK_SIZE)
        give_block(stream->home, stream->kept);
    else
        free(stream->kept);
    stream->kept = NULL;
    stream->kept_length = stream->kept_capacity = 0;
}

static enum err make_room(struct stream *stream, size_t length)
{
    size_t capacity = BLOCK_SIZE;
    uint8_t *memory;

    if (length <= stream->kept_capacity)
        return ERR_OK;
    while (capacity < length)
        capacity *= 2;
    memory = capacity == BLOCK_SIZE ? take_block(stream->home) : malloc(capacity);
    if (memory == NULL)
        return ERR_NO_MEMORY;
    forget_kept(stream); /* its contents are in what is about to be kept */
    stream->kept = memory;
    stream->kept_capacity = (uint32_t)capacity;
    return ERR_OK;
}

static enum err keep(struct stream *stream, struct slice rest)
{
    enum err e;

    if (rest.length == 0) {
        forget_kept(stream);
        return ERR_OK;
    }
    if ((e = make_room(stream, rest.length)) != ERR_OK)
        return e;
    memmove(stream->kept, rest.at, rest.length);
    stream->kept_length = (uint32_t)rest.length;
    return ERR_OK;
}

/* ---- reading ----------------------------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf);
static void on_read(uv_stream_t *handle, ssize_t count, const uv_buf_t *buf);
static void await(struct stream *stream);

static bool is_closing(const struct stream *stream)
{
    return uv_is_closing(&stream->uv.handle) != 0;
}

/* Reads if that is wanted and there is room, and not otherwise. */
static void settle_reading(struct stream *stream)
{
    bool room = stream->kept_length < stream->home->size / 2;
    bool should = !stream->ended && (stream->broken || (stream->wants_reading && room));

    if (is_closing(stream))
        return;
    if (stream->tls != NULL) {
        stream->is_reading = should;
        await(stream);
    } else if (should != stream->is_reading) {
        stream->is_reading = should;
        if (should)
            uv_read_start(&stream->uv.stream, on_alloc, on_read);
        else
            uv_read_stop(&stream->uv.stream);
    }
}

static void end(struct stream *stream, enum err why)
{
    if (stream->ended || is_closing(stream))
        return;
    stream->ended = true;
    settle_reading(stream);
    stream->events->ended(stream, why);
}

static void show(struct stream *stream, struct slice in)
{
    size_t used = stream->events->bytes(stream, in);

    REQUIRE(used <= in.length);
    if (is_closing(stream))
        return;
    if (keep(stream, (struct slice){in.at + used, in.length - used}) != ERR_OK)
        end(stream, ERR_NO_MEMORY);
    settle_reading(stream);
}

/* What is kept goes first into the buffer, and the new bytes come right behind it. */
static uint8_t *put_kept_first(struct stream *stream)
{
    struct stream_home *home = stream->home;

    if (stream->kept_length > 0)
        memcpy(home->buffer, stream->kept, stream->kept_length);
    return home->buffer + stream->kept_length;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct stream *stream = handle->data;

    (void)suggested;
    buf->base = (char *)put_kept_first(stream);
    buf->len = stream->home->size - stream->kept_length;
}

static void on_read(uv_stream_t *handle, ssize_t count, const uv_buf_t *buf)
{
    struct stream *stream = handle->data;

    (void)buf;
    if (count == UV_EOF)
        end(stream, ERR_OK);
    else if (count < 0)
        end(stream, ERR_IO);
    else if (count > 0 && !stream->broken)
        show(stream, (struct slice){stream->home->buffer, stream->kept_length + (size_t)count});
}

void stream_read(struct stream *stream)
{
    stream->wants_reading = true;
    settle_reading(stream);
}

void stream_pause(struct stream *stream)
{
    stream->wants_reading = false;
    settle_reading(stream);
}

void stream_again(struct stream *stream)
{
    if (stream->kept_length > 0 && !is_closing(stream))
        show(stream, (struct slice){stream->kept, stream->kept_length});
}

/* ---- TLS --------------------------------------------------------------------------------- */

/* One buffer full a turn, so that others have theirs. */
static void read_records(struct stream *stream)
{
    uint8_t *to = put_kept_first(stream);
    size_t got = tls_read(&stream->tls->tls, to, stream->home->size - stream->kept_length);
    enum err why;

    if (got > 0)
        show(stream, (struct slice){stream->home->buffer, stream->kept_length + got});
    else if (tls_has_ended(&stream->tls->tls, &why))
        end(stream, why);
}

/* A failure is told by the loop, paused or not, as for a plain socket. */
static void settle_tls(struct stream *stream)
{
    enum err why;

    if (tls_has_ended(&stream->tls->tls, &why) && why != ERR_OK)
        stream->broken = true;
    settle_reading(stream);
}

/* The socket is ready for something, or need not be: whatever can be done is done. */
static void go_on(struct stream *stream)
{
    struct tls *tls = &stream->tls->tls;
    bool had_queued = tls_queued(tls) > 0;

    tls_flush(tls);
    if (had_queued && tls_queued(tls) == 0)
        stream->events->drained(stream);
    if (stream->is_reading && !is_closing(stream))
        read_records(stream);
    settle_tls(stream);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct stream *stream = poll->data;

    (void)events;
    if (status < 0) /* libuv has stopped watching; OpenSSL will meet the error itself */
        stream->tls->awaited = 0;
    go_on(stream);
}

static void on_again(uv_idle_t *again)
{
    go_on(again->data);
}

/* Watches the socket for what OpenSSL needs, and turns the loop for what it has already:
 * the socket would be silent about it (trap 56). Costs nothing while nothing changes. */
static void await(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;
    int events = tls_awaits(&tls->tls, stream->is_reading);

    if (events != tls->awaited && events != 0)
        uv_poll_start(&stream->uv.poll, events, on_ready);
    else if (events != tls->awaited)
        uv_poll_stop(&stream->uv.poll);
    tls->awaited = events;
    if (stream->is_reading && tls_is_hiding(&tls->tls))
        uv_idle_start(&tls->again, on_again);
    else
        uv_idle_stop(&tls->again);
}

/* ---- writing ----------------------------------------------------------------------------- */

/* Reading tells the end of a socket that cannot be written any more, paused or not. */
static void break_off(struct stream *stream)
{
    stream->broken = true;
    settle_reading(stream);
}

static void on_written(uv_write_t *request, int status)
{
    struct outgoing *out = CONTAINER_OF(request, struct outgoing, request);
    struct stream *stream = request->handle->data;

    free(out);
    if (is_closing(stream))
        return;
    if (status < 0)
        break_off(stream);
    else if (stream_queued(stream) == 0)
        stream->events->drained(stream);
}

static void queue(struct stream *stream, const uv_buf_t *bufs, unsigned count, size_t taken)
{
    struct outgoing *out;
    uv_buf_t buf;
    size_t total = 0;

    for (unsigned i = 0; i < count; i++)
        total += bufs[i].len;
    out = malloc(sizeof(*out) + total - taken);
    if (out == NULL) { /* a hole in the byte stream: nothing may follow */
        break_off(stream);
        return;
    }
    out->length = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t skip = taken < bufs[i].len ? taken : bufs[i].len;

        memcpy(out->bytes + out->length, bufs[i].base + skip, bufs[i].len - skip);
        out->length += bufs[i].len - skip;
        taken -= skip;
    }
    buf = uv_buf_init((char *)out->bytes, (unsigned)out->length);
    if (uv_write(&out->request, &stream->uv.stream, &buf, 1, on_written) != 0) {
        free(out);
        break_off(stream);
    }
}

static void write_some(struct stream *stream, const struct slice *slices, size_t count)
{
    uv_buf_t bufs[MOST_SLICES];
    size_t total = 0;
    int taken;

    for (size_t i = 0; i < count; i++) {
        bufs[i] = uv_buf_init((char *)(uintptr_t)slices[i].at, (unsigned)slices[i].length);
        total += slices[i].length;
    }
    taken = uv_try_write(&stream->uv.stream, bufs, (unsigned)count);
    if (taken == UV_EAGAIN)
        taken = 0;
    if (taken < 0)
        break_off(stream);
    else if ((size_t)taken < total)
        queue(stream, bufs, (unsigned)count, (size_t)taken);
}

void stream_write(struct stream *stream, const struct slice *slices, size_t count)
{
    if (stream->tls != NULL && !is_closing(stream)) {
        tls_write(&stream->tls->tls, slices, count);
        settle_tls(stream);
        return;
    }
    for (size_t done = 0; done < count; done += MOST_SLICES) {
        size_t now = count - done < MOST_SLICES ? count - done : MOST_SLICES;

        if (is_closing(stream) || stream->broken)
            return;
        write_some(stream, slices + done, now);
    }
}

size_t stream_queued(const struct stream *stream)
{
    if (stream->tls != NULL)
        return tls_queued(&stream->tls->tls);
    return uv_stream_get_write_queue_size(&stream->uv.stream);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)status; /* the end of reading tells what became of it */
    free(request);
}

void stream_finish(struct stream *stream)
{
    uv_shutdown_t *request;

    if (stream->tls != NULL && !is_closing(stream)) {
        tls_finish(&stream->tls->tls);
        settle_tls(stream);
        return;
    }
    if (is_closing(stream) || !uv_is_writable(&stream->uv.stream))
        return;
    request = malloc(sizeof(*request));
    if (request == NULL || uv_shutdown(request, &stream->uv.stream, on_shutdown) != 0)
        free(request);
}

/* ---- opening and closing ----------------------------------------------------------------- */

static void forget_tls(struct stream *stream)
{
    close(stream->tls->fd); /* libuv leaves it open */
    tls_fini(&stream->tls->tls);
    free(stream->tls);
    stream->tls = NULL;
}

static void on_close(uv_handle_t *handle)
{
    struct stream *stream = handle->data;

    if (stream->tls != NULL && --stream->tls->open > 0)
        return;
    if (stream->tls != NULL)
        forget_tls(stream);
    forget_kept(stream);
    stream->events->closed(stream);
}

void stream_close(struct stream *stream)
{
    if (is_closing(stream))
        return;
    if (stream->tls != NULL)
        uv_close((uv_handle_t *)&stream->tls->again, on_close);
    uv_close(&stream->uv.handle, on_close);
}

static void set_up(struct stream *stream, struct stream_home *home,
                   const struct stream_events *events, bool is_tcp)
{
    *stream = (struct stream){.home = home, .events = events};
    if (is_tcp)
        uv_tcp_init(home->loop, &stream->uv.tcp);
    else
        uv_pipe_init(home->loop, &stream->uv.pipe, 0);
    stream->uv.handle.data = stream;
}

static enum err opened(struct stream *stream, int failure)
{
    if (failure == 0 && stream->uv.handle.type == UV_TCP)
        uv_tcp_nodelay(&stream->uv.tcp, 1);
    if (failure == 0)
        return ERR_OK;
    stream_close(stream);
    return ERR_IO;
}

enum err stream_accept(struct stream *stream, struct stream_home *home,
                       const struct stream_events *events, uv_stream_t *listener)
{
    set_up(stream, home, events, listener->type == UV_TCP);
    return opened(stream, uv_accept(listener, &stream->uv.stream));
}

enum err stream_adopt(struct stream *stream, struct stream_home *home,
                      const struct stream_events *events, int fd)
{
    struct sockaddr_storage name = {.ss_family = AF_UNSPEC};
    socklen_t length = sizeof(name);
    bool is_tcp = getsockname(fd, (struct sockaddr *)&name, &length) == 0 && //
                  name.ss_family != AF_UNIX;
    int failure;

    set_up(stream, home, events, is_tcp);
    failure = is_tcp ? uv_tcp_open(&stream->uv.tcp, fd) : uv_pipe_open(&stream->uv.pipe, fd);
    if (failure != 0)
        close(fd);
    return opened(stream, failure);
}

static enum err watch(struct stream *stream, int fd, SSL *ssl)
{
    struct stream_tls *tls = calloc(1, sizeof(*tls));

    if (tls == NULL)
        return ERR_NO_MEMORY;
    if (uv_poll_init(stream->home->loop, &stream->uv.poll, fd) != 0) {
        free(tls);
        return ERR_IO;
    }
    uv_idle_init(stream->home->loop, &tls->again);
    tls_init(&tls->tls, ssl);
    tls->again.data = stream->uv.handle.data = stream;
    tls->fd = fd;
    tls->open = 2;
    stream->tls = tls;
    return ERR_OK;
}

enum err stream_adopt_tls(struct stream *stream, struct stream_home *home,
                          const struct stream_events *events, int fd, SSL *ssl)
{
    enum err e;

    *stream = (struct stream){.home = home, .events = events};
    e = watch(stream, fd, ssl);
    if (e != ERR_OK) {
        close(fd);
        set_up(stream, home, events, true); /* a handle, for events.closed to come from */
        stream_close(stream);
    }
    return e;
}

/* ---- looking ----------------------------------------------------------------------------- */

/* What was peeked at is in OpenSSL now: the socket will not tell it again. */
static bool has_unread_record(const struct stream *stream)
{
    struct stream_tls *tls = stream->tls;
    bool has = tls_has_unread(&tls->tls);

    if (has && stream->is_reading)
        uv_idle_start(&tls->again, on_again);
    return has;
}

bool stream_has_unread(const struct stream *stream)
{
    uv_os_fd_t fd;
    char byte;

    if (stream->ended || stream->broken || stream->kept_length > 0 ||
        uv_fileno(&stream->uv.handle, &fd) != 0)
        return true;
    if (stream->tls != NULL)
        return has_unread_record(stream);
    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
           (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}
