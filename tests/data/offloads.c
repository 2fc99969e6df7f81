/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What ethtool -k says of eth0: TSO, GRO, and checksums in both directions.
 */
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* linux/sockios.h, linux/ethtool.h */
#define SIOCETHTOOL 0x8946
#define ETHTOOL_GRXCSUM 0x14
#define ETHTOOL_GTXCSUM 0x16
#define ETHTOOL_GTSO 0x1e
#define ETHTOOL_GGRO 0x2b

int
main(void)
{
    static const struct
    {
        const char* name;
        uint32_t command;
    } FEATURES[] = {
        {"tso", ETHTOOL_GTSO},
        {"gro", ETHTOOL_GGRO},
        {"tx", ETHTOOL_GTXCSUM},
        {"rx", ETHTOOL_GRXCSUM},
    };
    const int any = socket(AF_INET, SOCK_DGRAM, 0);
    for (size_t i = 0; i < sizeof(FEATURES) / sizeof(FEATURES[0]); i++)
    {
        struct
        {
            uint32_t command;
            uint32_t data;
        } value = {FEATURES[i].command, 0};
        struct ifreq request = {.ifr_name = "eth0"};
        request.ifr_data = (char*)&value;
        if (ioctl(any, SIOCETHTOOL, &request) != 0)
        {
            return 1;
        }
        (void)printf("%s %u\n", FEATURES[i].name, value.data);
    }
    return 0;
}
