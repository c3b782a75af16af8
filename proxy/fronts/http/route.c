#include "proxy/fronts/http/route.h"

#include <string.h>

static const struct {
    enum exchange_method method;
    const char *name;
} names[] = {
    {EXCHANGE_GET, "GET"},         {EXCHANGE_HEAD, "HEAD"},   {EXCHANGE_POST, "POST"},
    {EXCHANGE_PUT, "PUT"},         {EXCHANGE_PATCH, "PATCH"}, {EXCHANGE_DELETE, "DELETE"},
    {EXCHANGE_OPTIONS, "OPTIONS"},
};

static unsigned methods_of(const struct exchange_handler *handler)
{
    return handler->methods | EXCHANGE_OPTIONS |
           (handler->methods & EXCHANGE_GET ? (unsigned)EXCHANGE_HEAD : 0);
}

/* How well: 0 is not at all, an exact match is better than the longest prefix. */
static size_t match(const struct exchange_handler *handler, struct slice path)
{
    size_t length = strlen(handler->path);

    if (path.length < length || memcmp(path.at, handler->path, length) != 0)
        return 0;
    if (path.length == length)
        return SIZE_MAX - handler->is_prefix;
    return handler->is_prefix && (handler->path[length - 1] == '/' || path.at[length] == '/')
               ? length
               : 0;
}

void route_find(const struct route_table *table, enum exchange_method method, struct slice path,
                struct route_found *found)
{
    size_t best = 0, nearest = 0;

    *found = (struct route_found){0};
    for (size_t i = 0; i < table->length; i++) {
        const struct exchange_handler *handler = &table->handlers[i];
        size_t how = match(handler, path);
        bool is_asked = (handler->methods & (unsigned)method) != 0 ||
                        (method == EXCHANGE_HEAD && handler->methods & EXCHANGE_GET);

        if (how > 0)
            found->methods |= methods_of(handler);
        if (how > nearest) {
            nearest = how;
            found->near = handler;
        }
        if (how > best && is_asked) {
            best = how;
            found->handler = handler;
        }
    }
}

void route_list_methods(unsigned methods, struct bytes *out)
{
    const char *between = "";

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (methods & (unsigned)names[i].method) {
            bytes_print(out, "%s%s", between, names[i].name);
            between = ", ";
        }
}

bool route_allows_all(const char *origins)
{
    return origins != NULL && strcmp(origins, "*") == 0;
}

bool route_allows_origin(const char *origins, struct slice origin)
{
    size_t length;

    if (origins == NULL || origin.length == 0)
        return false;
    if (route_allows_all(origins))
        return true;
    for (; *origins != '\0'; origins += length) {
        origins += strspn(origins, ", \t");
        length = strcspn(origins, ", \t");
        if (length == origin.length && memcmp(origins, origin.at, length) == 0)
            return true;
    }
    return false;
}
