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
#include <sys/stat.h>
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

static const StoreHeader* g_store;

static bool
HasText(const char* device, const char* file, const char* wanted)
{
    char path[320];
    char text[32];
    (void)snprintf(path, sizeof(path), PCI_DEVICES "/%s/%s", device, file);
    return FileReadText(path, text, sizeof(text)) && strcmp(text, wanted) == 0;
}

static const StoreHeader*
Map(const char* device)
{
    char path[320];
    (void)snprintf(path, sizeof(path), PCI_DEVICES "/%s/resource0", device);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0)
    {
        return NULL;
    }
    void* memory = MAP_FAILED;
    if (fstat(fd, &status) == 0 && status.st_size > (off_t)sizeof(StoreHeader))
    {
        memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    }
    (void)close(fd);
    const StoreHeader* header = memory == MAP_FAILED ? NULL : memory;
    const bool known = header && memcmp(header->magic, STORE_MAGIC, sizeof(header->magic)) == 0 &&
                       header->version == STORE_VERSION;
    return known ? header : NULL;
}

bool
StoreOpen(void)
{
    DIR* directory = g_store ? NULL : opendir(PCI_DEVICES);
    const struct dirent* entry;
    while (directory && !g_store && (entry = readdir(directory)) != NULL)
    {
        if (HasText(entry->d_name, "vendor", VENDOR) && HasText(entry->d_name, "device", DEVICE))
        {
            g_store = Map(entry->d_name);
        }
    }
    if (directory)
    {
        (void)closedir(directory);
    }
    return g_store != NULL;
}

/* The next line of a kind after `line`, or the first one of `from`; NULL: there is none. */
static const char*
NextLine(const char* line, uint64_t from, uint64_t to, char kind)
{
    const char* index = (const char*)g_store + g_store->index;
    const char* end = index + to;
    const char* at = line ? line : index + from;
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
    return StoreOpen() ? NextLine(line, 0, g_store->patterns, kind) : NULL;
}

static const char*
NextPattern(const char* line)
{
    return StoreOpen() ? NextLine(line, g_store->patterns, g_store->length, 'p') : NULL;
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
    const unsigned long long offset = strtoull(rest, &end, 10);
    const unsigned long long length = strtoull(end, &end, 10);
    module->image = (const uint8_t*)g_store + offset;
    module->length = (size_t)length;
    module->needs = end;
    return true;
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
