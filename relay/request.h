/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * One request, as the operations get it.
 *
 * An operation returns 0 or an errno. That the body is at least as long as the struct that the
 * protocol gives it, and exactly as long where no text or value follows, main.c has checked.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdint.h>

typedef struct Request
{
    const uint8_t* body;
    uint32_t length;
    uint8_t* reply; /* RELAY_BODY_MAX bytes */
    uint32_t replyLength;
} Request;

#endif /* REQUEST_H */
