/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What the first process of a machine owes it.
 */
#ifndef INIT_H
#define INIT_H

/* Mounts file systems, makes device nodes, opens the console. */
void InitMachine(void);

/* Loads the modules that the image lists. */
void InitLoadModules(void);

/* A parameter of the kernel's command line, or NULL; the text is good until the next call. */
const char* InitParameter(const char* name);

#endif /* INIT_H */
