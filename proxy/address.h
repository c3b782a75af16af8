/*
 * proxy/address.h - where to listen.
 *
 * As the command line has it: HOST:PORT, [::1]:PORT, or /folder of a Unix socket, with or
 * without :PORT. As files have it: a list of hosts with commas or blanks between.
 *
 *      for (list = "127.0.0.1, ::1"; address_next(&list, host);)
 *          ... listen on host
 */
#ifndef PROXY_ADDRESS_H
#define PROXY_ADDRESS_H

#include <stdbool.h>

#include "base/contract.h"
#include "base/err.h"

enum { ADDRESS_HOST_SIZE = 108 };

struct address {
    char host[ADDRESS_HOST_SIZE]; /* or the folder; without brackets */
    unsigned port;                /* 0: none was given */
    bool is_folder;
};

/* ERR_CONFIG for what is no address. A host's name is not looked up; localhost becomes
 * 127.0.0.1 without asking anybody. */
enum err address_parse(const char *text, struct address *address) MUST_CHECK;

/* Whether nobody from outside can come in there: 127.0.0.0/8, ::1, a Unix socket. */
bool address_is_loopback(const struct address *address);

/* Moves *list behind its next host, which it gives; false at the end. One that is too long
 * is cut, and then nobody's. */
bool address_next(const char **list, char host[ADDRESS_HOST_SIZE]) MUST_CHECK;

/* The first host of the list where somebody from outside can come in; false if none is. */
bool address_find_open(const char *list, char host[ADDRESS_HOST_SIZE]) MUST_CHECK;

/* Whether both lists have the same address, as far as can be seen without asking anybody;
 * "*" is all addresses, 0.0.0.0 and :: all of their kind. */
bool address_lists_meet(const char *one, const char *other);

#endif
