/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The guest's modprobe(8): what the kernel, and programs, have kernel modules loaded by.
 */
#ifndef MODPROBE_H
#define MODPROBE_H

#include <stdbool.h>

/* Whether the program has been called by the name of modprobe. */
bool ModprobeIsCalled(const char* program);

/* Does what its arguments say; returns its exit status. */
int ModprobeMain(int count, char** arguments);

#endif /* MODPROBE_H */
