/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * File systems on disks.
 */
#ifndef MOUNTS_H
#define MOUNTS_H

#include "request.h"

int MountDisk(Request* request);
int MountFreeze(Request* request);

#endif /* MOUNTS_H */
