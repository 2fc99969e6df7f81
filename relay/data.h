/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Data through sockets, and what ioctl(2) tells of them.
 */
#ifndef DATA_H
#define DATA_H

#include "request.h"

int DataSend(Request* request);
int DataReceive(Request* request);
int DataIoctl(Request* request);

#endif /* DATA_H */
