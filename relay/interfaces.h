/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Network interfaces and their addresses.
 */
#ifndef INTERFACES_H
#define INTERFACES_H

#include "request.h"

#include <stdint.h>

/* Finds the machine's NICs, in the order of their places on the bus. */
void NicsFind(void);

/* Instead: this interface is the next NIC. */
void NicsAdd(const char* name);

uint32_t NicsCount(void);
void LoopbackUp(void);
int LinkGet(Request* request);
int LinkSet(Request* request);
int AddressAdd(Request* request);
int AddressDelete(Request* request);

#endif /* INTERFACES_H */
