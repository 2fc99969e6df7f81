/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What people are told.
 */
#ifndef CONSOLE_H
#define CONSOLE_H

/* Prints one line, "ns3-qemu relay: ...", and waits until the console has taken it. */
void ConsoleLine(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* The end: the first process must not go on in a machine that is not what it should be. The kernel
 * panics when it exits, and that is how the simulator learns of it. */
_Noreturn void Fatal(const char* format, ...) __attribute__((format(printf, 1, 2)));

#endif /* CONSOLE_H */
