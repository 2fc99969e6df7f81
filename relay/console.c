/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What people are told: one line when the relay is ready, one when it cannot go on, and nothing
 * else, for every line on a console costs a simulation time.
 */
#include "console.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

static void
PrintLine(const char* prefix, const char* format, va_list arguments)
{
    char line[512];
    int used = snprintf(line, sizeof(line) - 1, "ns3-qemu relay: %s", prefix);
    int more = vsnprintf(line + used, sizeof(line) - 1 - (size_t)used, format, arguments);
    size_t length = (size_t)used + (more > 0 ? (size_t)more : 0);
    if (length > sizeof(line) - 2)
    {
        length = sizeof(line) - 2;
    }
    line[length++] = '\n';
    const char* rest = line;
    while (length > 0)
    {
        ssize_t written = write(STDERR_FILENO, rest, length);
        if (written < 0 && errno == EINTR)
        {
            continue;
        }
        if (written <= 0)
        {
            break; /* no console: there is nobody to tell that, either */
        }
        rest += written;
        length -= (size_t)written;
    }
    (void)tcdrain(STDERR_FILENO);
}

void
ConsoleLine(const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PrintLine("", format, arguments);
    va_end(arguments);
}

void
Fatal(const char* format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    PrintLine("FATAL: ", format, arguments);
    va_end(arguments);
    _exit(1);
}
