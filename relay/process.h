/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Programs, and children of any kind.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include "request.h"

#include <stdbool.h>
#include <stdint.h>

/* From now on children's ends wake us. */
void ProcessPrepare(void);

/* In a machine, whose first process this is: it gets the limits and the priority that the relay
 * needs. Programs are started without them. */
void ProcessRuleMachine(void);

int ProcessStart(Request* request);
int ProcessWrite(Request* request);
int ProcessSignal(Request* request);

/* One of the process's pipes has become ready. */
void ProcessWake(uint32_t number);

/* Children have ended: takes them from the kernel. */
void ProcessReap(void);

/* Serves the processes that have something to tell, in the order of their numbers. */
void ProcessServe(void);
bool ProcessHasWork(void);

/* The relay ends, and nobody is left to hear of them. */
void ProcessEndAll(void);

#endif /* PROCESS_H */
