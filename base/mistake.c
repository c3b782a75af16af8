#include "base/mistake.h"

#include <stdarg.h>
#include <stdio.h>

enum { LONGEST = 500 };

static void add(struct mistake_list *mistakes, const char *kind, const char *format, va_list rest)
{
    const struct mistake_place *at = &mistakes->at;
    char message[LONGEST + 1];

    if (vsnprintf(message, sizeof(message), format, rest) < 0)
        message[0] = '\0';
    for (char *c = message; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == '\177')
            *c = '?';
    if (at->file != NULL)
        bytes_print(&mistakes->text, "%s:", at->file);
    if (at->file != NULL && at->line > 0)
        bytes_print(&mistakes->text, "%zu:", at->line);
    bytes_print(&mistakes->text, "%s%s%s\n", at->file != NULL ? " " : "", kind, message);
}

void mistake_add(struct mistake_list *mistakes, const char *format, ...)
{
    va_list rest;

    mistakes->errors++;
    va_start(rest, format);
    add(mistakes, "", format, rest);
    va_end(rest);
}

void mistake_warn(struct mistake_list *mistakes, const char *format, ...)
{
    va_list rest;

    mistakes->warnings++;
    va_start(rest, format);
    add(mistakes, "warning: ", format, rest);
    va_end(rest);
}

void mistake_add_no_memory(struct mistake_list *mistakes)
{
    mistakes->text.failed = true;
}

enum err mistake_verdict(const struct mistake_list *mistakes)
{
    if (mistakes->text.failed)
        return ERR_NO_MEMORY;
    return mistakes->errors > 0 ? ERR_CONFIG : ERR_OK;
}

const char *mistake_text(struct mistake_list *mistakes)
{
    bytes_add(&mistakes->text, "", 1);
    if (mistakes->text.failed)
        return "out of memory\n";
    mistakes->text.length--;
    return (const char *)mistakes->text.at;
}

void mistake_free(struct mistake_list *mistakes)
{
    bytes_free(&mistakes->text);
    *mistakes = (struct mistake_list){0};
}
