/*
 * drivers/redis/trust.h - whom a rediss:// connection believes, and who it says it is.
 *
 *      context = trust_create(&url, why, sizeof(why));     reads files: on a thread
 *      ssl = trust_secure(context, &url, fd);              then SSL_connect(ssl)
 *      SSL_CTX_free(context);                              ssl goes on with it
 *      trust_explain(ssl, why, sizeof(why));               after it failed
 *
 * TLS 1.2 or 1.3. The server's certificate must come from a CA we know, and be for the host
 * we meant to reach (a name or an address), or for sni; unless the url asks for less.
 */
#ifndef DRIVERS_REDIS_TRUST_H
#define DRIVERS_REDIS_TRUST_H

#include <openssl/types.h>
#include <stddef.h>

#include "base/contract.h"
#include "drivers/redis/url.h"

/* Gives; NULL and why. A key with a passphrase cannot be used: there is nobody to ask. */
SSL_CTX *trust_create(const struct url *url, char *why, size_t size) MUST_CHECK;

/* Gives an SSL for the connected socket fd, which is lent; NULL for want of memory, or if
 * the name cannot be one. */
SSL *trust_secure(SSL_CTX *context, const struct url *url, int fd) MUST_CHECK;

/* Why the last call on ssl failed, which OpenSSL knows until the next. */
void trust_explain(const SSL *ssl, char *why, size_t size);

#endif
