/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The kernel's modules, which the image has in one file outside the guest's memory: a PCI device
 * shows it. What is in the file is said in python/ns3_qemu/module_store.py, which writes it.
 */
#ifndef MODSTORE_H
#define MODSTORE_H

#include <stdbool.h>
#include <stddef.h>

/* The kernel's names are shorter (MODULE_NAME_LEN). */
#define MODULE_NAME_MAX 64

typedef struct StoredModule
{
    size_t offset; /* in the store */
    size_t length;
    const char* needs; /* names of what must be loaded before, in this order, up to a line's end */
} StoredModule;

typedef struct ModuleNames
{
    size_t count;
    char names[32][MODULE_NAME_MAX];
} ModuleNames;

/* Whether there is a store; it is opened once. */
bool StoreOpen(void);

/* Finds a module by its name, which has no hyphens. */
bool StoreFind(const char* name, StoredModule* module);

/* The module itself: an ELF object, and a signature after it if it has one. NULL: errno */
const void* StoreImage(const StoredModule* module);

/* Whether the kernel has it built in. */
bool StoreIsBuiltIn(const char* name);

/* The modules, also those that are built in, with this alias ("rtnl-link-vxlan"). */
void StoreResolve(const char* alias, ModuleNames* found);

/* What is to be loaded before a module (or after it) if it can be, as names or aliases. */
void StoreCompanions(const char* name, bool after, ModuleNames* found);

/* Copies one word and returns what is behind it; NULL: there is none, or it is too long for a name.
 */
const char* ModuleWord(const char* text, char word[MODULE_NAME_MAX]);

/* Adds one more name, unless it is there. */
void ModuleNamesAdd(ModuleNames* names, const char* name);

/* The words of "pre: a b post: c" that are before (or after). */
void ModuleNamesAddCompanions(ModuleNames* names, const char* text, bool after);

/* Puts '_' in place of '-', as names and aliases are compared; not within brackets. */
void ModuleNormalize(char* name);

#endif /* MODSTORE_H */
