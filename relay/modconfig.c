/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Reads modprobe.d(5): aliases, options, blacklists, commands and soft dependencies. It never
 * frees: who reads it ends soon, or has little of it.
 */
#include "modconfig.h"

#include "files.h"
#include "modstore.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A file in one of them stands in for those of its name in the later ones. */
static const char* const g_directories[] = {
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
};

typedef struct Source
{
    char name[256];
    const char* directory;
    size_t rank; /* of the directory */
} Source;

static char** g_lines; /* without comments, those that are continued in one piece */
static size_t g_count;
static char g_commandLine[4096];
static bool g_read;

static void
AddLine(char* line)
{
    line += strspn(line, " \t\r");
    if (*line == '\0' || *line == '#')
    {
        return;
    }
    char** larger = realloc(g_lines, (g_count + 1) * sizeof(g_lines[0]));
    if (larger)
    {
        g_lines = larger;
        g_lines[g_count++] = line;
    }
}

static void
ReadConfig(const char* path)
{
    size_t length = 0;
    char* text = FileReadWhole(path, &length);
    char* line = text;
    for (char* at = text; at && *at != '\0'; ++at)
    {
        if (at[0] == '\\' && at[1] == '\n')
        {
            at[0] = at[1] = ' ';
        }
        else if (*at == '\n')
        {
            *at = '\0';
            AddLine(line);
            line = at + 1;
        }
    }
    if (line)
    {
        AddLine(line);
    }
}

static int
CompareSources(const void* a, const void* b)
{
    const Source* one = a;
    const Source* other = b;
    const int order = strcmp(one->name, other->name);
    return order != 0 ? order : (one->rank > other->rank) - (one->rank < other->rank);
}

static void
ReadDirectories(const char* const* directories, size_t count)
{
    Source* sources = NULL;
    size_t found = 0;
    for (size_t rank = 0; rank < count; ++rank)
    {
        DIR* directory = opendir(directories[rank]);
        const struct dirent* entry;
        while (directory && (entry = readdir(directory)) != NULL)
        {
            const size_t length = strlen(entry->d_name);
            Source* larger = NULL;
            if (length > 5 && length < sizeof(sources->name) &&
                strcmp(entry->d_name + length - 5, ".conf") == 0)
            {
                larger = realloc(sources, (found + 1) * sizeof(sources[0]));
            }
            if (larger)
            {
                sources = larger;
                sources[found] = (Source){.directory = directories[rank], .rank = rank};
                memcpy(sources[found++].name, entry->d_name, length + 1);
            }
        }
        if (directory)
        {
            (void)closedir(directory);
        }
    }
    if (found > 0)
    {
        qsort(sources, found, sizeof(sources[0]), CompareSources);
    }
    for (size_t i = 0; i < found; ++i)
    {
        char path[512];
        if (i == 0 || strcmp(sources[i].name, sources[i - 1].name) != 0)
        {
            (void)snprintf(path, sizeof(path), "%s/%s", sources[i].directory, sources[i].name);
            ReadConfig(path);
        }
    }
    free(sources);
}

void
ModuleConfigRead(const char* instead)
{
    struct stat status;
    if (g_read)
    {
        return;
    }
    g_read = true;
    if (!FileReadText("/proc/cmdline", g_commandLine, sizeof(g_commandLine)))
    {
        g_commandLine[0] = '\0';
    }
    if (!instead)
    {
        ReadDirectories(g_directories, sizeof(g_directories) / sizeof(g_directories[0]));
    }
    else if (stat(instead, &status) == 0 && S_ISDIR(status.st_mode))
    {
        ReadDirectories(&instead, 1);
    }
    else
    {
        ReadConfig(instead);
    }
}

/* What follows the name in a line that begins with this word, if it is about this name. NULL: it is
 * not. Where `pattern` is set the line may have a pattern in its place. */
static const char*
About(const char* line, const char* command, const char* name, bool pattern)
{
    char word[MODULE_NAME_MAX];
    const char* rest = ModuleWord(line, word);
    if (!rest || strcmp(word, command) != 0)
    {
        return NULL;
    }
    rest = ModuleWord(rest, word);
    if (!rest)
    {
        return NULL;
    }
    ModuleNormalize(word);
    const bool same = pattern ? fnmatch(word, name, 0) == 0 : strcmp(word, name) == 0;
    return same ? rest + strspn(rest, " \t") : NULL;
}

static void
Append(char* text, size_t size, const char* more, size_t length)
{
    const size_t used = strlen(text);
    if (length > 0 && used + length + 2 <= size)
    {
        text[used] = ' ';
        memcpy(text + used + 1, more, length);
        text[used + 1 + length] = '\0';
    }
}

/* "module.parameter=value" of the kernel's command line is for modules, too. */
static void
AppendCommandLine(const char* name, char* text, size_t size)
{
    const char* word = g_commandLine;
    for (word += strspn(word, " "); *word != '\0'; word += strspn(word, " "))
    {
        const size_t length = strcspn(word, " ");
        const char* dot = memchr(word, '.', length);
        char module[MODULE_NAME_MAX];
        if (dot && dot > word && (size_t)(dot - word) < sizeof(module))
        {
            memcpy(module, word, (size_t)(dot - word));
            module[dot - word] = '\0';
            ModuleNormalize(module);
            if (strcmp(module, name) == 0)
            {
                Append(text, size, dot + 1, length - (size_t)(dot + 1 - word));
            }
        }
        word += length;
    }
}

void
ModuleConfigOptions(const char* name, char* text, size_t size)
{
    for (size_t i = 0; i < g_count; ++i)
    {
        const char* options = About(g_lines[i], "options", name, false);
        if (options)
        {
            Append(text, size, options, strlen(options));
        }
    }
    AppendCommandLine(name, text, size);
}

void
ModuleConfigResolve(const char* alias, ModuleNames* found)
{
    for (size_t i = 0; i < g_count; ++i)
    {
        const char* rest = About(g_lines[i], "alias", alias, true);
        char word[MODULE_NAME_MAX];
        if (rest && ModuleWord(rest, word))
        {
            ModuleNamesAdd(found, word);
        }
    }
}

bool
ModuleConfigIsBlacklisted(const char* name)
{
    static const char parameter[] = "modprobe.blacklist=";
    for (size_t i = 0; i < g_count; ++i)
    {
        if (About(g_lines[i], "blacklist", name, false))
        {
            return true;
        }
    }
    const char* list = strstr(g_commandLine, parameter);
    list = list ? list + sizeof(parameter) - 1 : "";
    while (*list != '\0' && *list != ' ')
    {
        const size_t length = strcspn(list, ", ");
        char word[MODULE_NAME_MAX] = "";
        if (length < sizeof(word))
        {
            memcpy(word, list, length);
            ModuleNormalize(word);
        }
        if (strcmp(word, name) == 0)
        {
            return true;
        }
        list += length + (list[length] == ',');
    }
    return false;
}

const char*
ModuleConfigCommand(const char* name, bool remove)
{
    for (size_t i = 0; i < g_count; ++i)
    {
        const char* command = About(g_lines[i], remove ? "remove" : "install", name, true);
        if (command)
        {
            return command;
        }
    }
    return NULL;
}

void
ModuleConfigCompanions(const char* name, bool after, ModuleNames* found)
{
    for (size_t i = 0; i < g_count; ++i)
    {
        const char* rest = About(g_lines[i], "softdep", name, false);
        if (rest)
        {
            ModuleNamesAddCompanions(found, rest, after);
        }
    }
}
