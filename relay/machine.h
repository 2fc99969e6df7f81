/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The machine itself: its clocks, its random numbers, its settings.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "request.h"

int MachineClockGet(Request* request);
int MachineClockSet(Request* request);
int MachineRngSeed(Request* request);
int MachineSysctlGet(Request* request);
int MachineSysctlSet(Request* request);

#endif /* MACHINE_H */
