/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * raw-frames INTERFACE FIRST LAST: sends a frame of each length in between, of bytes that mean
 * nothing but for the type of a VLAN tag in each third, past all of the kernel's protocols
 * (packet(7)). Prints how many the kernel has taken; the exit code is 0 or an errno.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <netpacket/packet.h>

enum
{
    LONGEST = 70000,
    TYPE_AT = 12,
};

int
main(int count, char** arguments)
{
    static uint8_t frame[LONGEST];
    if (count != 4)
    {
        return EINVAL;
    }
    const int fd = socket(AF_PACKET, SOCK_RAW, 0);
    const struct sockaddr_ll to = {
        .sll_family = AF_PACKET,
        .sll_ifindex = (int)if_nametoindex(arguments[1]),
    };
    uint32_t state = 1;
    int taken = 0;
    for (size_t length = (size_t)atoi(arguments[2]); length <= (size_t)atoi(arguments[3]); ++length)
    {
        for (size_t i = 0; i < length; ++i)
        {
            state = state * 1664525 + 1013904223;
            frame[i] = (uint8_t)(state >> 24);
        }
        if (length % 3 == 0 && length > TYPE_AT + 4)
        {
            const uint16_t vlan = htons(0x8100);
            memcpy(frame + TYPE_AT, &vlan, sizeof(vlan));
        }
        if (sendto(fd, frame, length, 0, (const struct sockaddr*)&to, sizeof(to)) == (ssize_t)length)
        {
            ++taken;
        }
        else if (errno != EMSGSIZE && errno != EINVAL)
        {
            return errno;
        }
    }
    printf("%d", taken);
    return 0;
}
