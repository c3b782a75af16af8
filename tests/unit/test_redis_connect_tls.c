#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "redis_ends.h"

#define HELLO "*2\r\n$5\r\nHELLO\r\n$1\r\n2\r\n"
#define MAP   "*2\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n"

/* ---- certificates ------------------------------------------------------------------------ */

static void add_extension(X509 *certificate, int which, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, which, value);

    cr_assert_not_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static void put_pem(const char *name, X509 *certificate, EVP_PKEY *key)
{
    FILE *file = fopen(name, "w");

    cr_assert_not_null(file);
    if (certificate != NULL)
        cr_assert_eq(PEM_write_X509(file, certificate), 1);
    if (key != NULL)
        cr_assert_eq(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(file);
}

/* NAME.crt, NAME.key and NAME.pem, which is both: signed by itself, so it is its own CA. */
static void certify(const char *name, const char *for_whom)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    char file[64];

    X509_set_version(certificate, X509_VERSION_3);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    add_extension(certificate, NID_subject_alt_name, for_whom);
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    snprintf(file, sizeof(file), "%s.crt", name);
    put_pem(file, certificate, NULL);
    snprintf(file, sizeof(file), "%s.key", name);
    put_pem(file, NULL, key);
    snprintf(file, sizeof(file), "%s.pem", name);
    put_pem(file, certificate, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

/* ---- the words the stories are told in --------------------------------------------------- */

static char sni[64];

static int on_sni(SSL *of, int *alert, void *arg)
{
    const char *name = SSL_get_servername(of, TLSEXT_NAMETYPE_host_name);

    snprintf(sni, sizeof(sni), "%s", name != NULL ? name : "");
    return SSL_TLSEXT_ERR_OK;
}

/* A peer whose certificate is for 127.0.0.1 and db1. */
static void given_a_peer(int version)
{
    certify("server", "IP:127.0.0.1,DNS:db1");
    certify("stranger", "IP:127.0.0.1");
    peer_context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(peer_context, version);
    SSL_CTX_set_max_proto_version(peer_context, version);
    SSL_CTX_set_tlsext_servername_callback(peer_context, on_sni);
    cr_assert_eq(SSL_CTX_use_certificate_chain_file(peer_context, "server.crt"), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(peer_context, "server.key", SSL_FILETYPE_PEM), 1);
    listens();
}

static void logs_in(const char *url)
{
    starts(url);
    until(is_done() || peer_heard(HELLO));
    cr_assert_eq(done_count, 0, "%s", why);
    peer_says(MAP);
    until(is_done());
    cr_assert_eq(result.err, ERR_OK, "%s", why);
    cr_assert_eq(result.version, CONNECT_VERSION(7, 0, 15));
    cr_assert_not_null(result.ssl);
}

static void speaks_both_ways(void)
{
    char bytes[10];

    cr_assert_eq(SSL_get_fd(result.ssl), result.fd);
    cr_assert_eq(SSL_read(result.ssl, bytes, sizeof(bytes)), -1);
    cr_assert_eq(SSL_write(result.ssl, "PING\r\n", 6), 6);
    until(peer_heard("PING\r\n"));
    peer_says("+PONG\r\n");
    until(SSL_read(result.ssl, bytes, sizeof(bytes)) == 7);
}

TestSuite(redis_connect_tls, .init = set_up, .fini = clean_up, .timeout = 120);

/* ---- stories ----------------------------------------------------------------------------- */

Test(redis_connect_tls, gives_what_speaks_tls_1_3)
{
    given_a_peer(TLS1_3_VERSION);
    logs_in("rediss://127.0.0.1:%u?cacert=server.crt");
    cr_assert_eq(SSL_version(result.ssl), TLS1_3_VERSION);
    cr_assert_str_empty(sni, "an address is no name to ask for");
    speaks_both_ways();
}

Test(redis_connect_tls, gives_what_speaks_tls_1_2)
{
    given_a_peer(TLS1_2_VERSION);
    logs_in("rediss://127.0.0.1:%u?cacert=server.crt");
    cr_assert_eq(SSL_version(result.ssl), TLS1_2_VERSION);
    speaks_both_ways();
}

Test(redis_connect_tls, speaks_nothing_older)
{
    given_a_peer(TLS1_1_VERSION);
    SSL_CTX_set_security_level(peer_context, 0);
    starts("rediss://127.0.0.1:%u?cacert=server.crt");
    fails(ERR_BACKEND_DOWN, "no TLS: ");
}

Test(redis_connect_tls, trusts_nobody_whom_it_does_not_know)
{
    given_a_peer(TLS1_3_VERSION);
    starts("rediss://127.0.0.1:%u?cacert=stranger.crt");
    fails(ERR_BACKEND_DOWN, "no TLS: the server's certificate: self-signed certificate");
    cr_assert_eq(heard.length, 0);
}

Test(redis_connect_tls, trusts_the_system_if_nobody_is_named)
{
    given_a_peer(TLS1_3_VERSION);
    starts("rediss://127.0.0.1:%u");
    fails(ERR_BACKEND_DOWN, "no TLS: the server's certificate: self-signed certificate");
    cr_assert_eq(heard.length, 0);
}

Test(redis_connect_tls, trusts_nobody_for_somebody_else)
{
    given_a_peer(TLS1_3_VERSION);
    starts("rediss://:secret@127.0.0.1:%u?cacert=server.crt&sni=db2");
    fails(ERR_BACKEND_DOWN, "no TLS: the server's certificate: hostname mismatch");
    cr_assert_str_eq(sni, "db2");
    cr_assert_eq(heard.length, 0);
}

Test(redis_connect_tls, asks_for_the_name_that_it_is_told)
{
    given_a_peer(TLS1_3_VERSION);
    logs_in("rediss://127.0.0.1:%u?cacert=server.crt&sni=db1");
    cr_assert_str_eq(sni, "db1");
}

Test(redis_connect_tls, compares_addresses_too)
{
    given_a_peer(TLS1_3_VERSION);
    close(listener);
    listens_at((struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET,
                                                        .sin_addr = {htonl(INADDR_LOOPBACK + 1)}},
               sizeof(struct sockaddr_in), 10);
    starts("rediss://127.0.0.2:%u?cacert=server.crt");
    fails(ERR_BACKEND_DOWN, "no TLS: the server's certificate: IP address mismatch");
}

Test(redis_connect_tls, takes_a_known_certificate_for_any_name_if_told_to)
{
    given_a_peer(TLS1_3_VERSION);
    logs_in("rediss://127.0.0.1:%u?cacert=server.crt&sni=db2&ssl_check_hostname=false");
}

Test(redis_connect_tls, takes_no_unknown_certificate_though_the_name_does_not_matter)
{
    given_a_peer(TLS1_3_VERSION);
    starts("rediss://127.0.0.1:%u?cacert=stranger.crt&ssl_check_hostname=false");
    fails(ERR_BACKEND_DOWN, "no TLS: the server's certificate: self-signed certificate");
}

Test(redis_connect_tls, takes_any_certificate_if_told_to)
{
    given_a_peer(TLS1_3_VERSION);
    logs_in("rediss://127.0.0.1:%u?insecure&sni=db2");
}

static void given_a_peer_who_asks_for_a_certificate(void)
{
    given_a_peer(TLS1_3_VERSION);
    certify("client", "DNS:client");
    SSL_CTX_load_verify_file(peer_context, "client.crt");
    SSL_CTX_set_verify(peer_context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

Test(redis_connect_tls, shows_its_own_certificate)
{
    given_a_peer_who_asks_for_a_certificate();
    logs_in("rediss://127.0.0.1:%u?cacert=server.crt&cert=client.crt&key=client.key");
}

Test(redis_connect_tls, finds_the_key_beside_the_certificate)
{
    given_a_peer_who_asks_for_a_certificate();
    logs_in("rediss://127.0.0.1:%u?cacert=server.crt&cert=client.pem");
}

/* Under TLS 1.3 the handshake is over by then. */
Test(redis_connect_tls, is_told_that_it_must_show_one)
{
    given_a_peer_who_asks_for_a_certificate();
    starts("rediss://127.0.0.1:%u?cacert=server.crt");
    until(is_done());
    cr_assert_eq(result.err, ERR_BACKEND_LOST);
    cr_assert(strstr(why, "while logging in: tlsv13 alert certificate required") != NULL, "%s",
              why);
}

Test(redis_connect_tls, says_which_file_cannot_be_used)
{
    static const struct {
        const char *url, *why;
    } rows[] = {
        {"rediss://127.0.0.1:%u?cacert=none.crt", "cacert none.crt: no such file or directory"},
        {"rediss://127.0.0.1:%u?cacert=server.key", "cacert server.key: no certificate"},
        {"rediss://127.0.0.1:%u?cert=none.crt", "cert none.crt: no such file or directory"},
        {"rediss://127.0.0.1:%u?cert=server.crt", "key server.crt: "},
        {"rediss://127.0.0.1:%u?cert=server.crt&key=none.key",
         "key none.key: no such file or directory"},
        {"rediss://127.0.0.1:%u?cert=server.crt&key=stranger.key",
         "key stranger.key: key values mismatch"},
    };

    given_a_peer(TLS1_3_VERSION);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        done_count = 0;
        starts(rows[i].url);
        fails(ERR_CONFIG, rows[i].why);
        cr_assert_eq(peer_fd, -1, "it did not even connect");
    }
}

/* OpenSSL would ask at the terminal. */
Test(redis_connect_tls, asks_nobody_for_a_passphrase)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *file = fopen("locked.key", "w");

    PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(), (unsigned char *)"pw", 2, NULL, NULL);
    fclose(file);
    EVP_PKEY_free(key);
    given_a_peer(TLS1_3_VERSION);
    starts("rediss://127.0.0.1:%u?cert=server.crt&key=locked.key");
    fails(ERR_CONFIG, "key locked.key: ");
}

/* ---- what goes wrong --------------------------------------------------------------------- */

Test(redis_connect_tls, does_not_go_on_with_a_server_that_speaks_no_tls)
{
    listens();
    starts("rediss://127.0.0.1:%u?insecure");
    until(heard.length > 0);
    peer_says("-ERR unknown command\r\n");
    fails(ERR_BACKEND_DOWN, "no TLS: wrong version number");
}

Test(redis_connect_tls, is_lost_when_the_server_closes_before_the_handshake)
{
    listens();
    starts("rediss://127.0.0.1:%u?insecure");
    until(heard.length > 0);
    peer_closes();
    stops_to_listen();
    fails(ERR_BACKEND_DOWN, "no TLS: unexpected eof while reading");
}

Test(redis_connect_tls, is_lost_when_the_server_closes_without_an_answer)
{
    given_a_peer(TLS1_3_VERSION);
    starts("rediss://127.0.0.1:%u?insecure");
    until(peer_heard(HELLO));
    peer_closes();
    stops_to_listen();
    fails(ERR_BACKEND_LOST, "while logging in: unexpected eof while reading");
}

Test(redis_connect_tls, is_lost_when_the_server_says_goodbye_after_its_last_answer)
{
    given_a_peer(TLS1_3_VERSION);
    starts("rediss://127.0.0.1:%u?insecure");
    until(peer_heard(HELLO));
    peer_says(MAP);
    SSL_shutdown(peer);
    fails(ERR_BACKEND_LOST, "while logging in: it closed the connection");
}

Test(redis_connect_tls, does_not_go_on_with_a_server_of_which_something_waits)
{
    given_a_peer(TLS1_3_VERSION);
    starts("rediss://127.0.0.1:%u?insecure");
    until(peer_heard(HELLO));
    peer_says(MAP);
    peer_says("+OK\r\n"); /* a record of its own */
    fails(ERR_PROTOCOL, "");
}

Test(redis_connect_tls, tells_a_refusal_in_the_words_of_redis)
{
    given_a_peer(TLS1_2_VERSION);
    starts("rediss://:x@127.0.0.1:%u?insecure");
    until(peer_heard(HELLO));
    peer_says("-WRONGPASS invalid\r\n-NOAUTH no\r\n");
    fails(ERR_WRONG_PASSWORD, "AUTH: WRONGPASS invalid");
    cr_assert_str_eq(reply, "WRONGPASS invalid");
}

Test(redis_connect_tls, takes_answers_byte_by_byte)
{
    static const char answers[] = "+OK\r\n" MAP;

    given_a_peer(TLS1_3_VERSION);
    starts("rediss://:pw@127.0.0.1:%u?insecure");
    until(peer_heard(HELLO));
    for (size_t i = 0; i + 1 < sizeof(answers); i++) {
        cr_assert_eq(done_count, 0);
        peer_says_bytes(answers + i, 1);
        turn();
    }
    until(is_done());
    cr_assert_eq(result.err, ERR_OK, "%s", why);
    speaks_both_ways();
}

/* More than the socket takes at once, to a peer that does not read yet. */
Test(redis_connect_tls, says_much_as_it_is_taken)
{
    static uint8_t password[20 * 1024 * 1024];
    struct connect_target target = {
        .password = {password, sizeof(password)}, .database = -1, .protocol = 2};

    given_a_peer(TLS1_3_VERSION);
    memset(password, 'x', sizeof(password));
    starts_to(&target, "rediss://127.0.0.1:%u?insecure");
    until(heard.length > 0);
    peer_is_deaf = true;
    for (int i = 0; i < 20; i++)
        turn();
    peer_is_deaf = false;
    until(heard.length >= sizeof(password) && peer_heard(HELLO));
    cr_assert_eq(done_count, 0);
    peer_says("+OK\r\n" MAP);
    until(is_done());
    cr_assert_eq(result.err, ERR_OK, "%s", why);
    speaks_both_ways();
}

/* ---- stopping ---------------------------------------------------------------------------- */

static void stops(void)
{
    connect_stop(connection);
    connection = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(done_count, 0);
}

Test(redis_connect_tls, can_be_stopped_while_it_reads_certificates)
{
    starts("rediss://127.0.0.1:1");
    uv_run(&loop, UV_RUN_NOWAIT);
    stops();
}

Test(redis_connect_tls, can_be_stopped_while_the_server_is_silent)
{
    listens(); /* the peer hears what it does not understand */
    starts("rediss://127.0.0.1:%u?insecure");
    until(heard.length > 0);
    for (int i = 0; i < 5; i++)
        turn();
    cr_assert_eq(uv_backend_timeout(&loop), -1);
    stops();
    until(peer_heard_end);
}
