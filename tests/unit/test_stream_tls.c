#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tls_ends.h"

TestSuite(stream_tls, .init = set_up, .fini = clean_up, .timeout = 120);

/* ---- stories ----------------------------------------------------------------------------- */

Test(stream_tls, costs_a_plain_stream_one_pointer)
{
    struct stream_without {
        union {
            uv_tcp_t tcp;
            uv_pipe_t pipe;
        } uv;
        void *home, *events, *kept;
        uint32_t lengths[2];
        bool flags[4];
    };

    given_a_connection(TLS1_3_VERSION);
    cr_assert_leq(sizeof(struct stream), sizeof(struct stream_without) + 8);
}

static void bytes_go_both_ways(int version)
{
    uint8_t part[100];

    given_a_connection(version);
    stream_read(&stream);
    stream_write(&stream, &SLICE("a question"), 1);
    cr_assert_eq(stream_queued(&stream), 0);
    cr_assert_eq(peer_reads(part, sizeof(part)), 10);
    cr_assert_eq(memcmp(part, "a question", 10), 0);
    peer_says("an answer", 9);
    turn();
    turn();
    cr_assert_eq(heard_length, 9);
    cr_assert_eq(memcmp(heard, "an answer", 9), 0);
    cr_assert_eq(drained_count, 0);
}

Test(stream_tls, bytes_go_both_ways_over_tls_1_3)
{
    bytes_go_both_ways(TLS1_3_VERSION);
}

Test(stream_tls, bytes_go_both_ways_over_tls_1_2)
{
    bytes_go_both_ways(TLS1_2_VERSION);
}

Test(stream_tls, small_slices_share_a_record)
{
    struct slice slices[] = {SLICE("a"), SLICE(""), SLICE("bc"), {NULL, 0}, SLICE("def")};
    uint8_t part[100];

    given_a_connection(TLS1_3_VERSION);
    stream_write(&stream, slices, 5);
    cr_assert_eq(peer_reads(part, sizeof(part)), 6);
    cr_assert_eq(memcmp(part, "abcdef", 6), 0);
    stream_write(&stream, slices, 0);
    stream_write(&stream, &(struct slice){NULL, 0}, 1);
    cr_assert_leq(peer_reads(part, sizeof(part)), 0);
}

Test(stream_tls, slices_of_every_size_arrive_in_order)
{
    uint8_t *bytes = many_bytes(200000);
    struct slice slices[64];
    size_t count = 0, at = 0;

    given_a_connection(TLS1_3_VERSION);
    for (size_t length = 1; at + length < 200000 && count < 64; length = length * 3 / 2 + 1) {
        slices[count++] = (struct slice){bytes + at, length};
        at += length;
    }
    stream_write(&stream, slices, count);
    peer_reads_all(at);
    free(bytes);
}

/* Both ends write all the time; the stream's owner pauses again and again, uses what is
 * shown in odd pieces, and never queues more than it must. */
static void much_goes_both_ways(int version)
{
    uint8_t *bytes = many_bytes(BIG), part[16384];
    size_t said = 0, written = 0, got = 0;

    given_a_connection(version);
    stream_read(&stream);
    most_used = 50001;
    for (int i = 0; i < 100 * PATIENCE && (heard_length < BIG || got < BIG); i++) {
        size_t now = BIG - written < 70000 ? BIG - written : 70000;
        int sent = said < BIG ? SSL_write(peer, bytes + said, (int)(BIG - said)) : 0, read;

        said += sent > 0 ? (size_t)sent : 0;
        if (stream_queued(&stream) == 0 && now > 0) {
            struct slice slices[] = {{bytes + written, now / 3},
                                     {bytes + written + now / 3, now - now / 3}};

            stream_write(&stream, slices, 2);
            written += now;
        }
        read = i % 3 == 0 ? peer_reads(part, sizeof(part)) : 0;
        for (int k = 0; k < read; k++)
            cr_assert_eq(part[k], byte_at(got++));
        if (i % 5 == 0)
            stream_pause(&stream);
        turn();
        stream_read(&stream);
        stream_again(&stream);
    }
    cr_assert_eq(got, (size_t)BIG);
    heard_all(BIG);
    cr_assert_gt(drained_count, 100);
    free(bytes);
}

Test(stream_tls, much_goes_both_ways_over_tls_1_3)
{
    much_goes_both_ways(TLS1_3_VERSION);
}

Test(stream_tls, much_goes_both_ways_over_tls_1_2)
{
    much_goes_both_ways(TLS1_2_VERSION);
}

Test(stream_tls, what_openssl_holds_is_shown_though_the_socket_is_silent)
{
    uint8_t *bytes = many_bytes(16384);

    given_a_connection(TLS1_3_VERSION);
    home.size = 1000;
    stream_read(&stream);
    peer_says(bytes, 16384);
    while (heard_length == 0)
        turn();
    cr_assert(socket_is_silent());
    cr_assert_lt(heard_length, 16384);
    heard_all(16384);
    cr_assert_geq(shown_count, 16);
    home.size = FULL_BUFFER;
    free(bytes);
}

Test(stream_tls, who_pauses_is_shown_nothing_and_then_what_openssl_held)
{
    uint8_t *bytes = many_bytes(16384);

    given_a_connection(TLS1_3_VERSION);
    home.size = 1000;
    pauses_when_shown = true;
    stream_read(&stream);
    peer_says(bytes, 16384);
    for (size_t shows = 1; heard_length < 16384; shows++) {
        turn_for_a_while();
        cr_assert_eq(shown_count, shows);
        stream_read(&stream);
        cr_assert_eq(shown_count, shows, "not from inside stream_read");
    }
    heard_all(16384);
    home.size = FULL_BUFFER;
    free(bytes);
}

Test(stream_tls, what_is_kept_comes_first_again)
{
    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    most_used = 1;
    peer_says("ab", 2);
    turn_for_a_while();
    cr_assert_eq(heard_length, 1);
    most_used = 0;
    peer_says("cd", 2);
    turn_for_a_while();
    cr_assert_eq(heard_length, 4);
    cr_assert_eq(memcmp(heard, "abcd", 4), 0);
}

Test(stream_tls, an_idle_turn_does_not_spin)
{
    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    peer_says("x", 1);
    turn_for_a_while();
    cr_assert_eq(heard_length, 1);
    cr_assert(loop_rests());
}

Test(stream_tls, half_a_record_does_not_spin)
{
    uint8_t garbled[64];
    BIO *memory = BIO_new(BIO_s_mem());
    int length;

    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    turn_for_a_while();
    SSL_set0_wbio(peer, memory);
    peer_says("in two pieces", 13);
    length = BIO_read(memory, garbled, sizeof(garbled));
    cr_assert_eq(send(peer_fd, garbled, 9, 0), 9);
    turn_for_a_while();
    cr_assert_eq(heard_length, 0);
    cr_assert(loop_rests());
    cr_assert_eq(send(peer_fd, garbled + 9, (size_t)length - 9, 0), length - 9);
    turn_for_a_while();
    cr_assert_eq(heard_length, 13);
}

/* ---- what TLS says for itself ------------------------------------------------------------ */

Test(stream_tls, session_tickets_are_nothing_unread)
{
    given_a_connection(TLS1_3_VERSION);
    cr_assert_not(socket_is_silent(), "the tickets wait");
    cr_assert_not(stream_has_unread(&stream));
    cr_assert(socket_is_silent());
    cr_assert_not(stream_has_unread(&stream));
}

Test(stream_tls, what_was_looked_at_is_still_shown)
{
    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    peer_says("unasked", 7);
    cr_assert(stream_has_unread(&stream));
    cr_assert(socket_is_silent());
    cr_assert(stream_has_unread(&stream));
    turn_for_a_while();
    cr_assert_eq(heard_length, 7);
    cr_assert_not(stream_has_unread(&stream));
}

Test(stream_tls, an_end_is_unread_until_it_is_told)
{
    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    SSL_shutdown(peer);
    cr_assert(stream_has_unread(&stream));
    is_told_the_end(ERR_OK);
    cr_assert(stream_has_unread(&stream));
}

Test(stream_tls, a_lost_peer_is_unread_until_it_is_told)
{
    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    shutdown(peer_fd, SHUT_RDWR);
    cr_assert(stream_has_unread(&stream));
    is_told_the_end(ERR_IO);
}

/* The socket pair fills up in between: new keys are asked for while a record is on its way.
 * Only while there is room for that: this peer's OpenSSL could not read before it was sent. */
Test(stream_tls, the_peer_may_change_keys_while_bytes_go_both_ways)
{
    enum { ROUNDS = 300, PART = 2000 };
    uint8_t *bytes = many_bytes(ROUNDS * PART), part[PART];
    size_t got = 0, waited = 0;

    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    for (size_t i = 0; i < ROUNDS; i++) {
        if (i % 3 == 0 && heard_length == i * PART)
            SSL_key_update(peer, SSL_KEY_UPDATE_REQUESTED);
        stream_write(&stream, &(struct slice){bytes + i * PART, PART}, 1);
        for (int wait = 0; SSL_write(peer, bytes + i * PART, PART) != PART; wait++) {
            cr_assert_lt(wait, PATIENCE);
            int now = wait > 50 ? peer_reads(part, PART) : 0;

            waited += stream_queued(&stream) > 0;
            got += now > 0 ? (size_t)now : 0;
            turn();
        }
        turn();
    }
    cr_assert_gt(waited, 0);
    peer_reads_all_from(got, ROUNDS * PART);
    heard_all(ROUNDS * PART);
    SSL_key_update(peer, SSL_KEY_UPDATE_REQUESTED);
    cr_assert_eq(SSL_do_handshake(peer), 1);
    cr_assert_not(stream_has_unread(&stream), "new keys are not for the reader");
    free(bytes);
}

Test(stream_tls, new_keys_do_not_stop_a_paused_stream_with_much_to_write)
{
    uint8_t *bytes = many_bytes(4 * 1024 * 1024);

    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    turn_for_a_while();
    stream_pause(&stream);
    stream_write(&stream, &(struct slice){bytes, 4 * 1024 * 1024}, 1);
    cr_assert_gt(stream_queued(&stream), 0);
    SSL_key_update(peer, SSL_KEY_UPDATE_REQUESTED);
    cr_assert_eq(SSL_do_handshake(peer), 1);
    peer_reads_all(4 * 1024 * 1024);
    cr_assert_eq(drained_count, 1);
    free(bytes);
}

/* ---- ends -------------------------------------------------------------------------------- */

Test(stream_tls, a_peer_that_said_goodbye_still_hears)
{
    uint8_t *bytes = many_bytes(1024 * 1024);

    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    peer_says("last words", 10);
    SSL_shutdown(peer);
    is_told_the_end(ERR_OK);
    cr_assert_eq(heard_length, 10);
    stream_write(&stream, &(struct slice){bytes, 1024 * 1024}, 1);
    peer_reads_all(1024 * 1024);
    cr_assert_eq(drained_count, 1);
    free(bytes);
}

Test(stream_tls, who_finishes_has_said_all_and_still_hears)
{
    uint8_t *bytes = many_bytes(1024 * 1024), byte;

    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    stream_write(&stream, &(struct slice){bytes, 1024 * 1024}, 1);
    stream_finish(&stream);
    stream_finish(&stream);
    peer_reads_all(1024 * 1024);
    for (int i = 0; i < 100 && (SSL_get_shutdown(peer) & SSL_RECEIVED_SHUTDOWN) == 0; i++) {
        turn();
        cr_assert_leq(peer_reads(&byte, 1), 0);
    }
    cr_assert_eq(SSL_get_shutdown(peer), SSL_RECEIVED_SHUTDOWN);
    cr_assert_eq(ended_count, 0);
    peer_says(bytes, 10000);
    heard_all(10000);
    SSL_shutdown(peer);
    is_told_the_end(ERR_OK);
    free(bytes);
}

Test(stream_tls, what_came_before_a_break_is_shown_and_then_the_end)
{
    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    peer_says("FATAL", 5);
    shutdown(peer_fd, SHUT_RDWR);
    is_told_the_end(ERR_IO);
    cr_assert_eq(heard_length, 5);
}

Test(stream_tls, a_peer_lost_in_the_middle_of_a_write_is_told_once_though_paused)
{
    uint8_t *bytes = many_bytes(1024 * 1024);

    given_a_connection(TLS1_3_VERSION);
    stream_write(&stream, &(struct slice){bytes, 1024 * 1024}, 1);
    cr_assert_gt(stream_queued(&stream), 0);
    shutdown(peer_fd, SHUT_RDWR);
    cr_assert_eq(ended_count, 0);
    is_told_the_end(ERR_IO);
    stream_write(&stream, &SLICE("to nobody"), 1);
    is_told_the_end(ERR_IO);
    cr_assert_eq(drained_count, 0);
    free(bytes);
}

Test(stream_tls, a_failed_write_is_told_by_the_loop)
{
    given_a_connection(TLS1_3_VERSION);
    shutdown(peer_fd, SHUT_RDWR);
    stream_write(&stream, &SLICE("to nobody"), 1);
    cr_assert_eq(ended_count, 0);
    is_told_the_end(ERR_IO);
}

Test(stream_tls, a_write_after_the_peer_s_goodbye_and_loss_fails)
{
    uint8_t *bytes = many_bytes(1024 * 1024);

    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    SSL_shutdown(peer);
    is_told_the_end(ERR_OK);
    stream_write(&stream, &(struct slice){bytes, 1024 * 1024}, 1);
    shutdown(peer_fd, SHUT_RDWR);
    turn_for_a_while();
    cr_assert_eq(ended_count, 1, "an end is told once");
    cr_assert(loop_rests());
    free(bytes);
}

Test(stream_tls, rubbish_is_the_end)
{
    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    turn_for_a_while();
    cr_assert_eq(send(peer_fd, "this is not TLS at all", 22, 0), 22);
    is_told_the_end(ERR_IO);
    cr_assert_eq(heard_length, 0);
}

Test(stream_tls, may_be_closed_with_bytes_in_the_queue)
{
    uint8_t *bytes = many_bytes(1024 * 1024);

    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    stream_write(&stream, &(struct slice){bytes, 1024 * 1024}, 1);
    closes();
    cr_assert_eq(drained_count, 0);
    cr_assert_eq(ended_count, 0);
    free(bytes);
}

Test(stream_tls, leaves_the_ssl_to_its_owner)
{
    uint8_t part[100];

    given_a_connection(TLS1_3_VERSION);
    stream_read(&stream);
    stream_write(&stream, &SLICE("a question"), 1);
    closes();
    cr_assert_eq(SSL_write(ours, "X", 1), 1);
    cr_assert_eq(SSL_shutdown(ours), 0);
    cr_assert_eq(peer_reads(part, sizeof(part)), 10);
    cr_assert_eq(peer_reads(part, sizeof(part)), 1);
    cr_assert_eq(part[0], 'X');
    cr_assert_leq(peer_reads(part, sizeof(part)), 0);
    cr_assert_eq(SSL_get_shutdown(peer), SSL_RECEIVED_SHUTDOWN, "said once, by its owner");
}

Test(stream_tls, a_descriptor_that_cannot_be_watched_is_refused)
{
    FILE *file = tmpfile();
    int fd = dup(fileno(file));
    struct stat before, after;

    cr_assert_eq(fstat(fd, &before), 0);
    given_a_connection(TLS1_3_VERSION);
    closes();
    closed_count = 0;
    cr_assert_eq(stream_adopt_tls(&stream, &home, &events, fd, ours), ERR_IO);
    cr_assert_eq(closed_count, 0);
    turn();
    cr_assert_eq(closed_count, 1);
    cr_assert(fstat(fd, &after) != 0 || after.st_ino != before.st_ino, "it was taken");
    fclose(file);
}
