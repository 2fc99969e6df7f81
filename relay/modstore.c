/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Finds modules in the image's store: the memory of the device sim-store, which needs no driver
 * (qemu-patches/src/hw/misc/sim-store.c).
 *
 * The store is the host's, so it is taken at its word.
 */
#include "modstore.h"

#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PCI_DEVICES "/sys/bus/pci/devices"
#define VENDOR "0x1234"
#define DEVICE "0x6e33"

#define STORE_MAGIC "ns3-qemu modules"
#define STORE_VERSION 1

/* What the store begins with. */
typedef struct StoreHeader
{
    char magic[16];
    uint32_t version;
    uint32_t pad;
    uint64_t index;    /* where it is: lines of text */
    uint64_t length;   /* of the index, in bytes */
    uint64_t patterns; /* where in it the aliases with wildcards begin */
} StoreHeader;

static StoreHeader g_header;
static const char* g_index;
static int g_store = -1;

static bool
HasText(const char* device, const char* file, const char* wanted)
{
    char path[320];
    char text[32];
    (void)snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", device, file);
    return FileReadText(path, text, sizeof(text)) && strcmp(text, wanted) == 0;
}

/* Maps a part of the store, and no more: the kernel makes the page tables for all of it at once.
 * It stays until the process ends, which is soon. NULL: errno */
static const void*
Map(int fd, size_t offset, size_t length)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t before = offset % page;
    void* memory = mmap(NULL, length + before, PROT_READ, MAP_SHARED, fd, (off_t)(offset - before));
    return memory == MAP_FAILED ? NULL : (const char*)memory + before;
}

/* Takes a device for the store if it is that. */
static bool
Take(const char* device)
{
    char path[320];
    (void)snprintf(path, sizeof(path), PCI_DEVICES "/%s/resource0", device);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const void* begin = fd < 0 ? NULL : Map(fd, 0, sizeof(g_header));
    if (begin)
    {
        memcpy(&g_header, begin, sizeof(g_header));
    }
    if (begin && memcmp(g_header.magic, STORE_MAGIC, sizeof(g_header.magic)) == 0 &&
        g_header.version == STORE_VERSION)
    {
        g_index = Map(fd, g_header.index, g_header.length);
        g_store = fd;
        return g_index != NULL;
    }
    if (fd >= 0)
    {
        (void)close(fd);
    }
    return false;
}

bool
StoreOpen(void)
{
    DIR* directory = g_index ? NULL : opendir(PCI_DEVICES);
    const struct dirent* entry;
    bool found = g_index != NULL;
    while (directory && !found && (entry = readdir(directory)) != NULL)
    {
        found = HasText(entry->d_name, "vendor", VENDOR) &&
                HasText(entry->d_name, "device", DEVICE) && Take(entry->d_name);
    }
    if (directory)
    {
        (void)closedir(directory);
    }
    return found;
}

/* The next line of a kind after `line`, or the first one of `from`; NULL: there is none. */
static const char*
NextLine(const char* line, uint64_t from, uint64_t to, char kind)
{
    const char* end = g_index + to;
    const char* at = line ? line : g_index + from;
    for (bool skip = line != NULL; at && at < end; skip = true)
    {
        if (skip)
        {
            at = memchr(at, '\n', (size_t)(end - at));
            at = at ? at + 1 : NULL;
        }
        if (at && at < end && at[0] == kind)
        {
            return at;
        }
    }
    return NULL;
}

static const char*
NextOf(const char* line, char kind)
{
    return StoreOpen() ? NextLine(line, 0, g_header.patterns, kind) : NULL;
}

static const char*
NextPattern(const char* line)
{
    return StoreOpen() ? NextLine(line, g_header.patterns, g_header.length, 'p') : NULL;
}

const char*
ModuleWord(const char* text, char word[MODULE_NAME_MAX])
{
    const char* begin = text + strspn(text, " \t");
    const size_t length = strcspn(begin, " \t\n");
    if (length == 0 || length >= MODULE_NAME_MAX)
    {
        return NULL;
    }
    memcpy(word, begin, length);
    word[length] = '\0';
    return begin + length;
}

/* The line about this module: the kind, a blank, the name. What is behind the name is returned. */
static const char*
LineOf(const char* name, char kind)
{
    char word[MODULE_NAME_MAX];
    for (const char* line = NextOf(NULL, kind); line; line = NextOf(line, kind))
    {
        const char* rest = ModuleWord(line + 1, word);
        if (rest && strcmp(word, name) == 0)
        {
            return rest;
        }
    }
    return NULL;
}

bool
StoreFind(const char* name, StoredModule* module)
{
    const char* rest = LineOf(name, 'm');
    if (!rest)
    {
        return false;
    }
    char* end = NULL;
    module->offset = (size_t)strtoull(rest, &end, 10);
    module->length = (size_t)strtoull(end, &end, 10);
    module->needs = end;
    return true;
}

const void*
StoreImage(const StoredModule* module)
{
    return Map(g_store, module->offset, module->length);
}

bool
StoreIsBuiltIn(const char* name)
{
    return LineOf(name, 'b') != NULL;
}

/* Whether the rest of a line is this text, or a pattern that it matches. */
static bool
Matches(const char* rest, const char* text, bool pattern)
{
    static char copy[1024];
    rest += strspn(rest, " ");
    const size_t length = strcspn(rest, "\n");
    if (!pattern)
    {
        return strncmp(rest, text, length) == 0 && text[length] == '\0';
    }
    if (length >= sizeof(copy))
    {
        return false;
    }
    memcpy(copy, rest, length);
    copy[length] = '\0';
    return fnmatch(copy, text, 0) == 0;
}

void
StoreResolve(const char* alias, ModuleNames* found)
{
    char name[MODULE_NAME_MAX];
    for (const char* line = NextOf(NULL, 'a'); line; line = NextOf(line, 'a'))
    {
        const char* rest = ModuleWord(line + 1, name);
        if (rest && Matches(rest, alias, false))
        {
            ModuleNamesAdd(found, name);
        }
    }
    /* Many, and of devices alone: they are looked at last. */
    if (found->count > 0)
    {
        return;
    }
    for (const char* line = NextPattern(NULL); line; line = NextPattern(line))
    {
        const char* rest = ModuleWord(line + 1, name);
        if (rest && Matches(rest, alias, true))
        {
            ModuleNamesAdd(found, name);
        }
    }
}

void
StoreCompanions(const char* name, bool after, ModuleNames* found)
{
    const char* rest = LineOf(name, 's');
    if (rest)
    {
        ModuleNamesAddCompanions(found, rest, after);
    }
}

void
ModuleNamesAdd(ModuleNames* names, const char* name)
{
    for (size_t i = 0; i < names->count; ++i)
    {
        if (strcmp(names->names[i], name) == 0)
        {
            return;
        }
    }
    if (names->count < sizeof(names->names) / sizeof(names->names[0]))
    {
        (void)snprintf(names->names[names->count++], MODULE_NAME_MAX, "%s", name);
    }
}

void
ModuleNamesAddCompanions(ModuleNames* names, const char* text, bool after)
{
    char word[MODULE_NAME_MAX];
    bool wanted = false;
    for (const char* rest = ModuleWord(text, word); rest; rest = ModuleWord(rest, word))
    {
        if (strcmp(word, "pre:") == 0 || strcmp(word, "post:") == 0)
        {
            wanted = (strcmp(word, "post:") == 0) == after;
        }
        else if (wanted)
        {
            ModuleNamesAdd(names, word);
        }
    }
}

void
ModuleNormalize(char* name)
{
    bool brackets = false;
    for (; *name != '\0'; ++name)
    {
        brackets = *name == '[' || (brackets && *name != ']');
        if (*name == '-' && !brackets)
        {
            *name = '_';
        }
    }
}
