#include "proxy/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HIGHEST_PORT = 65535 };

static enum err read_port(const char *text, unsigned *port)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long value = strtoul(text, NULL, 10);

    if (digits == 0 || digits > 5 || text[digits] != '\0' || value > HIGHEST_PORT)
        return ERR_CONFIG;
    *port = (unsigned)value;
    return ERR_OK;
}

/* The host is what stands before the port's colon, without brackets; an address of IPv6
 * must have them, or its end would be taken for a port. */
static enum err read_host(const char *text, size_t length, struct address *address)
{
    if (length > 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    } else if (memchr(text, ':', length) != NULL || memchr(text, '[', length) != NULL) {
        return ERR_CONFIG;
    }
    if (length == 0 || length >= sizeof(address->host))
        return ERR_CONFIG;
    memcpy(address->host, text, length);
    address->host[length] = '\0';
    return ERR_OK;
}

enum err address_parse(const char *text, struct address *address)
{
    struct address read = {.is_folder = text[0] == '/'};
    const char *colon = strrchr(text, ':');
    size_t length = colon != NULL ? (size_t)(colon - text) : strlen(text);
    enum err e = read_host(text, length, &read);

    if (e == ERR_OK && (colon != NULL || !read.is_folder))
        e = colon != NULL ? read_port(colon + 1, &read.port) : ERR_CONFIG;
    if (e != ERR_OK)
        return e;
    if (strcmp(read.host, "localhost") == 0)
        memcpy(read.host, "127.0.0.1", sizeof("127.0.0.1"));
    *address = read;
    return ERR_OK;
}

static bool host_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool address_is_loopback(const struct address *address)
{
    return address->is_folder || host_is_loopback(address->host);
}

/* ---- lists ------------------------------------------------------------------------------- */

bool address_next(const char **list, char host[ADDRESS_HOST_SIZE])
{
    size_t length;

    *list += strspn(*list, ", ");
    length = strcspn(*list, ", ");
    snprintf(host, ADDRESS_HOST_SIZE, "%.*s", (int)length, *list);
    *list += length;
    return length > 0;
}

bool address_find_open(const char *list, char host[ADDRESS_HOST_SIZE])
{
    while (address_next(&list, host))
        if (!host_is_loopback(host) && strcmp(host, "localhost") != 0)
            return true;
    return false;
}

static bool covers(const char *wide, const char *host)
{
    bool is_v6 = strchr(host, ':') != NULL;

    return strcmp(wide, "*") == 0 || strcmp(wide, host) == 0 ||
           (strcmp(wide, "0.0.0.0") == 0 && !is_v6) || (strcmp(wide, "::") == 0 && is_v6) ||
           (strcmp(wide, "localhost") == 0 && host_is_loopback(host));
}

bool address_lists_meet(const char *one, const char *other)
{
    char a[ADDRESS_HOST_SIZE], b[ADDRESS_HOST_SIZE];

    while (address_next(&one, a))
        for (const char *rest = other; address_next(&rest, b);)
            if (covers(a, b) || covers(b, a))
                return true;
    return false;
}
