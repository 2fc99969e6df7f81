/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What modprobe.d(5) says of kernel modules, and the kernel's command line.
 */
#ifndef MODCONFIG_H
#define MODCONFIG_H

#include "modstore.h"

#include <stdbool.h>
#include <stddef.h>

/* Reads it once: the directories of modprobe.d(5), or this file or directory instead. */
void ModuleConfigRead(const char* instead);

/* Appends the options of a module, each with a blank before it. */
void ModuleConfigOptions(const char* name, char* text, size_t size);

/* The names that this alias stands for. */
void ModuleConfigResolve(const char* alias, ModuleNames* found);

/* Whether aliases may not lead to this module. */
bool ModuleConfigIsBlacklisted(const char* name);

/* What is to be executed in place of loading (or removing) it, or NULL. */
const char* ModuleConfigCommand(const char* name, bool remove);

/* What is to be loaded before a module (or after it) if it can be, as names or aliases. */
void ModuleConfigCompanions(const char* name, bool after, ModuleNames* found);

#endif /* MODCONFIG_H */
