/*
 * proxy/config_redis.h - what [redis] can say: the upstreams, and how they are served.
 *
 *      [redis]
 *      cache = redis://user:secret@10.0.0.5/2                  served at listen_port
 *      queue = rediss://10.0.0.6:6380 listen_port=6381         a port of its own
 *      auth = file
 *
 *      for (n = named_first(&config->redis.upstreams); n != NULL; n = named_next(n)) {
 *          upstream = CONTAINER_OF(n, struct config_redis_upstream, named);
 *          for (list = upstream->listen_addr; address_next(&list, &address);)
 *              ... listen on address, upstream->listen_port
 *          if (upstream->unix_socket != NULL) ...
 *      }
 *
 * A key whose value is a URL is the name of an upstream; any other key is a setting. Each
 * field has its setting's name, and a time its unit besides; what they mean stands in the
 * rows of config_redis.c.
 *
 * Who a client is, and as whom it is served:
 *
 *      auth    its AUTH, or HELLO AUTH           links are logged in as
 *      pass    goes to Redis, which decides      that user; Redis's default user before it
 *      none    is not needed                     the URL's user
 *      file    is checked against auth_file      the URL's user
 */
#ifndef PROXY_CONFIG_REDIS_H
#define PROXY_CONFIG_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/contract.h"
#include "base/ini.h"
#include "base/mistake.h"
#include "base/option.h"
#include "drivers/redis/url.h"
#include "proxy/named.h"
#include "proxy/userlist.h"

/* Each as its setting's words. */
enum config_redis_auth { CONFIG_REDIS_AUTH_PASS, CONFIG_REDIS_AUTH_NONE, CONFIG_REDIS_AUTH_FILE };

/* Once it is loaded, where it is served is said here in full: what holds for the first one
 * by [redis] is filled in. */
struct config_redis_upstream {
    struct named named;
    struct url url;
    char *listen_addr;    /* a comma list; "": no TCP */
    uint64_t listen_port; /* 0: no TCP */
    char *unix_socket;    /* a path; NULL or "": none */
    char *file;           /* where it was said, with its line */
    size_t line;
};

struct config_redis {
    struct named_set upstreams; /* of struct config_redis_upstream; none: no Redis door */

    /* who comes in */
    char *listen_addr; /* see the upstreams instead of these three */
    uint64_t listen_port;
    char *unix_socket;
    uint64_t unix_socket_mode;
    enum config_redis_auth auth;
    char *auth_file;
    const struct userlist *userlist; /* of auth = file; never NULL, and perhaps empty */
    uint64_t max_clients;

    /* on which links */
    uint64_t connections, max_dedicated;
    uint64_t max_waiting;                      /* 0: any number */
    uint64_t max_subscriptions;                /* of one client */
    uint64_t large_value, client_output_limit; /* in bytes */

    /* how long; 0 is without end, save where it says otherwise */
    uint64_t connect_timeout_ms, command_timeout_ms, stuck_timeout_ms, wait_timeout_ms;
    uint64_t client_idle_timeout_ms, client_message_timeout_ms, dedicated_idle_timeout_ms;
    uint64_t retry_ms; /* the longest pause */

    struct userlist *own_userlist; /* NULL: that of [weir] */
    bool is_said;                  /* anything, be it wrong */
};

/* The tables of keys, for documentation. */
extern const struct option_table config_redis_table, config_redis_upstream_table;

/* Whether any client can come in. */
bool config_redis_is_served(const struct config_redis *redis);

/* ---- for config.c ------------------------------------------------------------------------ */

/* Somebody else who listens, so that no upstream can there. */
struct config_redis_neighbour {
    const char *name, *listen_addr;
    uint64_t listen_port; /* 0: nowhere */
};

/* What is left to be known when all was read. */
struct config_redis_whole {
    const char *auth_file; /* of [weir], and its users */
    const struct userlist *userlist;
    const struct config_redis_neighbour *neighbours;
    size_t neighbours_length;
};

/* Sets the defaults in a struct of all zero. */
void config_redis_init(struct config_redis *redis, struct mistake_list *mistakes);
void config_redis_fini(struct config_redis *redis);

/* An entry of [redis]. */
void config_redis_take(struct config_redis *redis, struct ini_entry *entry,
                       struct mistake_list *mistakes);

/* An upstream: its URL, which no message shows, and what stands behind it; text is cut up. */
void config_redis_add(struct config_redis *redis, const char *name, char *text,
                      struct mistake_list *mistakes);

/* One upstream without a file, and where to listen: NULL, or as proxy/address.h has it. All
 * are served as the URL's user if it has one, and an auth_file says who they are. */
void config_redis_serve(struct config_redis *redis, const char *url, const char *listen,
                        bool has_auth_file, struct mistake_list *mistakes);

/* Fills in what holds for the first upstream, and says what is wrong as a whole. */
void config_redis_finish(struct config_redis *redis, const struct config_redis_whole *whole,
                         struct mistake_list *mistakes);

#endif
