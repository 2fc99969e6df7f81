/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The byte stream to the simulator and the messages in it.
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include "relay-protocol.h"

#include <stdbool.h>
#include <stdint.h>

/* Waits for the machine's relay port and opens it. `device`: of that name, "ttyS1" or "/dev/ttyS1";
 * NULL: the virtio-serial port RELAY_PORT_NAME. */
void ChannelOpenPort(const char* device);

/* Takes a descriptor that is open already; its end of file is the end of the program. */
void ChannelOpenDescriptor(int fd);

/* From now on what the channel waits for wakes us, as things are now. */
void ChannelListen(void);

/* Room for the largest message, and some events. Without it nothing may be sent. */
bool ChannelHasRoom(void);

/* Reads what there is, once. false: nothing more is to be had for now. */
bool ChannelRead(void);

/* The simulator has ended: nothing more will come, and nobody reads what is sent. */
bool ChannelHasEnded(void);

/* Whether a whole request has been read. */
bool ChannelHasRequest(void);

/* The next request that has been read whole, or false. `body` is good until the next read. */
bool ChannelNext(RelayHeader* header, const uint8_t** body);

/* Where the body of the next message is to be written, RELAY_BODY_MAX bytes. */
uint8_t* ChannelBody(void);

/* Queues a message, of which `ChannelBody` holds the body. */
void ChannelCommit(uint16_t type, uint32_t id, int status, uint32_t length);

/* Queues an event. */
void ChannelEvent(uint16_t type, const void* body, uint32_t length);

/* Writes as much of the queue as the channel takes. */
void ChannelFlush(void);

#endif /* CHANNEL_H */
