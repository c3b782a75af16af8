/*
 * drivers/redis/url.h - a Redis server's address, as people write it.
 *
 *      struct url url;
 *      char why[URL_WHY];
 *
 *      if (url_parse("rediss://ana:pass%40word@db1:6380/2?cacert=/etc/ca.pem", &url, why) !=
 * ERR_OK) complain(why);                          "the port is no number from 1 to 65535"
 *      url_write(&url, shown, sizeof(shown));      "rediss://db1:6380/2": no password, no user
 *      url_free(&url);
 *
 *      redis://[[user]:password@][host][:port][/db][?option=value&...]
 *      rediss://...                                the same over TLS
 *      unix://[[user]:password@]/path/of/socket[?db=n]
 *                                                  redis+unix:// and redis+socket:// too
 *
 * As redis-cli -u and redis-py's from_url() have it. Without a host it is 127.0.0.1, without
 * a port 6379, TLS or not, without a db 0; an IPv6 address stands in brackets. What is no number
 * may be percent-encoded, and what means something else in a URL must be: a password's @ / ? #.
 * Where the two disagree we do not guess: redis-cli takes what stands alone before the @ for a
 * password and redis-py for a user, so it is a mistake unless ?password= is there as well.
 * Neither is sent when both are empty.
 *
 *      option           redis-py's name        meaning
 *      db               the same               for Unix sockets, which have no /db
 *      user             username               as before the @
 *      password         the same
 *      cacert           ssl_ca_certs           file of the CAs that may sign the server's
 *                                              certificate; otherwise the system's
 *      cacertdir        ssl_ca_path            folder of them (openssl rehash)
 *      cert             ssl_certfile           file of our certificate and those above it
 *      key              ssl_keyfile            file of its key; otherwise it is in cert
 *      sni                                     name to ask for, and to be shown, instead of host
 *      insecure         ssl_cert_reqs=none     take any certificate
 *                       ssl_check_hostname     false: of a known CA, but for any name
 *
 * Names of options are redis-cli's. true, yes, on and 1 are true. The server's certificate is
 * verified, and so is the name in it: redis-cli does not do that, nor did redis-py before 6.
 * An option that is not in the list is a mistake, since it would be without effect.
 *
 * Ownership: the strings are the url's until url_free. The reasons never quote the text, of
 * which any part may be a password, save for the name of an option.
 */
#ifndef DRIVERS_REDIS_URL_H
#define DRIVERS_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "base/err.h"

enum {
    URL_WHY = 200,  /* room for a reason */
    URL_SHOWN = 320 /* room for what url_write writes */
};

/* NULL where nothing was said. */
struct url {
    char *host; /* a name or an address without brackets; NULL for a Unix socket */
    char *path; /* of a Unix socket; else NULL */
    uint16_t port;
    int database;
    char *user, *password; /* no user without a password, but there is an empty password */
    bool tls;
    char *cacert, *cacertdir, *cert, *key, *sni;
    bool insecure; /* any certificate */
    bool any_name; /* a good certificate, of whomever */
};

/* ERR_CONFIG or ERR_NO_MEMORY, and why; then there is nothing to free. */
enum err url_parse(const char *text, struct url *url, char *why, size_t size) MUST_CHECK;
enum err url_copy(const struct url *from, struct url *url) MUST_CHECK;
void url_free(struct url *url);

/* For people: without user, password and options. */
void url_write(const struct url *url, char *to, size_t size);

#endif
