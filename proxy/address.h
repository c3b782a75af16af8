/* proxy/address.h - where to listen, as the command line has it: HOST:PORT, [::1]:PORT, or
 * /folder of a Unix socket, with or without :PORT. */
#ifndef PROXY_ADDRESS_H
#define PROXY_ADDRESS_H

#include <stdbool.h>

#include "base/contract.h"
#include "base/err.h"

struct address {
    char host[108]; /* or the folder; without brackets */
    unsigned port;  /* 0: none was given */
    bool is_folder;
};

/* ERR_CONFIG for what is no address. A host's name is not looked up; localhost becomes
 * 127.0.0.1 without asking anybody. */
enum err address_parse(const char *text, struct address *address) MUST_CHECK;

/* Whether nobody from outside can come in there: 127.0.0.0/8, ::1, a Unix socket. */
bool address_is_loopback(const struct address *address);

#endif
