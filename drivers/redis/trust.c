#include "drivers/redis/trust.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

/* ---- the context ------------------------------------------------------------------------- */

/* OpenSSL would ask at the terminal, and wait. */
static int on_passphrase(char *to, int size, int writing, void *owner)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)owner;
    return -1;
}

/* The first is the cause, and what comes behind it says who noticed. */
static const char *reason(void)
{
    unsigned long first = ERR_peek_error();
    const char *text = ERR_reason_error_string(first);

    if (ERR_SYSTEM_ERROR(first))
        return uv_strerror(uv_translate_sys_error(ERR_GET_REASON(first)));
    return text != NULL ? text : "unknown reason";
}

static bool complain(const char *what, const char *file, char *why, size_t size)
{
    snprintf(why, size, "%s %s: %s", what, file, reason());
    return false;
}

static bool load_cas(SSL_CTX *context, const struct url *url, char *why, size_t size)
{
    if (url->insecure)
        return true;
    if (url->cacert != NULL && SSL_CTX_load_verify_file(context, url->cacert) != 1)
        return complain("cacert", url->cacert, why, size);
    if (url->cacertdir != NULL && SSL_CTX_load_verify_dir(context, url->cacertdir) != 1)
        return complain("cacertdir", url->cacertdir, why, size);
    if (url->cacert == NULL && url->cacertdir == NULL &&
        SSL_CTX_set_default_verify_paths(context) != 1)
        return complain("the CAs", "of the system", why, size);
    return true;
}

static bool load_own(SSL_CTX *context, const struct url *url, char *why, size_t size)
{
    const char *key = url->key != NULL ? url->key : url->cert;

    if (url->cert == NULL)
        return true;
    if (SSL_CTX_use_certificate_chain_file(context, url->cert) != 1)
        return complain("cert", url->cert, why, size);
    if (SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return complain("key", key, why, size);
    return true;
}

SSL_CTX *trust_create(const struct url *url, char *why, size_t size)
{
    SSL_CTX *context;

    ERR_clear_error();
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) {
        snprintf(why, size, "%s", reason());
        return NULL;
    }
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_verify(context, url->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(context, on_passphrase);
    if (!load_cas(context, url, why, size) || !load_own(context, url, why, size)) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

/* ---- a connection ------------------------------------------------------------------------ */

static bool is_address(const char *name)
{
    struct in6_addr ip;

    return inet_pton(AF_INET, name, &ip) == 1 || inet_pton(AF_INET6, name, &ip) == 1;
}

/* Names are asked for (RFC 6066 allows no address), and either is compared. */
static bool expect(SSL *ssl, const char *name, bool any)
{
    X509_VERIFY_PARAM *expected = SSL_get0_param(ssl);

    if (is_address(name))
        return any || X509_VERIFY_PARAM_set1_ip_asc(expected, name) == 1;
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 &&
           (any || X509_VERIFY_PARAM_set1_host(expected, name, 0) == 1);
}

SSL *trust_secure(SSL_CTX *context, const struct url *url, int fd)
{
    SSL *ssl = SSL_new(context);
    char name[TLSEXT_MAXLEN_host_name + 2]; /* OpenSSL refuses one that fills it */

    snprintf(name, sizeof(name), "%s", url->sni != NULL ? url->sni : url->host);
    if (strchr(name, ':') != NULL)
        name[strcspn(name, "%")] = '\0'; /* the zone is ours, and not in a certificate */
    if (ssl == NULL)
        return NULL;
    if (SSL_set_fd(ssl, fd) != 1 || !expect(ssl, name, url->insecure || url->any_name)) {
        SSL_free(ssl);
        return NULL;
    }
    return ssl;
}

void trust_explain(const SSL *ssl, char *why, size_t size)
{
    long verdict = SSL_get_verify_result(ssl);

    if (verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE)
        snprintf(why, size, "the server's certificate: %s", X509_verify_cert_error_string(verdict));
    else if (ERR_peek_error() != 0)
        snprintf(why, size, "%s", reason());
    else
        snprintf(why, size, "the connection was closed");
}
