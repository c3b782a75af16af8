/*
 * Any text as a Redis URL: some as it is, some spelt in the letters that URLs are made of, after a
 * good beginning. What is understood holds together, and what is not has a reason.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "drivers/redis/url.h"
#include "fuzz.h"

static void holds_together(const struct url *url)
{
    char shown[URL_SHOWN];

    REQUIRE((url->host != NULL) != (url->path != NULL));
    REQUIRE((url->port != 0) == (url->host != NULL));
    REQUIRE(url->database >= 0);
    REQUIRE(url->user == NULL || (url->user[0] != '\0' && url->password != NULL));
    REQUIRE(url->tls || (url->cacert == NULL && url->cert == NULL && !url->insecure));
    REQUIRE(url->key == NULL || url->cert != NULL);
    url_write(url, shown, sizeof(shown));
    REQUIRE(strncmp(shown, url->host != NULL ? "redis" : "unix:", 5) == 0);
}

static void spell(struct bytes *text, const uint8_t *data, size_t size)
{
    static const char *const pieces[] = {
        "a",       "1",     ":",    "@",        "/",    "?",    "&",   "=",     "%41",
        "%",       "[",     "]",    "::1",      ",",    "#",    "db=", "user=", "password=",
        "cacert=", "cert=", "key=", "insecure", "sni=", "6379", ".",   "0"};

    for (size_t i = 0; i < size; i++)
        bytes_print(text, "%s", pieces[data[i] % COUNT_OF(pieces)]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const beginnings[] = {"", "redis://", "rediss://a?", "unix:///a?"};
    struct bytes text = {0};
    char why[URL_WHY] = "";
    struct url url, copy;
    enum err e;

    bytes_print(&text, "%s", beginnings[size % COUNT_OF(beginnings)]);
    if (size % 8 == 0)
        bytes_add(&text, data, size);
    else
        spell(&text, data, size % 32);
    bytes_add(&text, "", 1);
    e = url_parse((const char *)text.at, &url, why, sizeof(why));
    REQUIRE((e == ERR_OK) == (why[0] == '\0'));
    if (e == ERR_OK) {
        REQUIRE(url_copy(&url, &copy) == ERR_OK);
        holds_together(&url);
        url_free(&url);
        holds_together(&copy);
        url_free(&copy);
    }
    bytes_free(&text);
    return 0;
}
