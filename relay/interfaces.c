/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Network interfaces and their addresses: rtnetlink, and ioctl(2) where that is as old and as
 * good. Routes are the simulator's business: it speaks rtnetlink itself, over a socket. The
 * simulator names a NIC by its place among the machine's NICs, for names and interface indices
 * depend on the order in which drivers happened to find them.
 */
#include "interfaces.h"

#include "console.h"
#include "files.h"
#include "relay-protocol.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NICS_MAX 64

typedef struct Nic
{
    char place[PATH_MAX]; /* of the device, in sysfs */
    char name[IF_NAMESIZE];
} Nic;

static Nic g_nics[NICS_MAX];
static uint32_t g_nicCount;

static int g_ioctl = -1;   /* a socket that only ioctl(2) needs */
static int g_netlink = -1; /* rtnetlink */

/* An rtnetlink message that is being put together. */
typedef struct Message
{
    union {
        struct nlmsghdr header;
        uint8_t bytes[512];
    } u;
} Message;

static int
CompareNics(const void* a, const void* b)
{
    return strcmp(((const Nic*)a)->place, ((const Nic*)b)->place);
}

void
NicsFind(void)
{
    static const char net[] = "/sys/class/net";
    g_nicCount = 0;
    DIR* directory = opendir(net);
    if (!directory)
    {
        return;
    }
    const struct dirent* entry;
    while ((entry = readdir(directory)) != NULL && g_nicCount < NICS_MAX)
    {
        char path[320];
        char type[16];
        Nic* nic = &g_nics[g_nicCount];
        (void)snprintf(path, sizeof(path), "%s/%s/type", net, entry->d_name);
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(nic->name) ||
            !FileReadText(path, type, sizeof(type)) || atoi(type) != ARPHRD_ETHER)
        {
            continue;
        }
        /* Interfaces that are no devices (bridges, dummies, tunnels) have no such link. */
        (void)snprintf(path, sizeof(path), "%s/%s/device", net, entry->d_name);
        if (!realpath(path, nic->place))
        {
            continue;
        }
        strcpy(nic->name, entry->d_name);
        ++g_nicCount;
    }
    (void)closedir(directory);
    qsort(g_nics, g_nicCount, sizeof(g_nics[0]), CompareNics);
}

void
NicsAdd(const char* name)
{
    if (g_nicCount >= NICS_MAX || strlen(name) >= sizeof(g_nics[0].name))
    {
        Fatal("cannot take %s as NIC %u", name, (unsigned int)g_nicCount);
    }
    strcpy(g_nics[g_nicCount++].name, name);
}

uint32_t
NicsCount(void)
{
    return g_nicCount;
}

/* The NIC's name, or NULL. */
static const char*
NicName(uint32_t nic)
{
    return nic < g_nicCount ? g_nics[nic].name : NULL;
}

static int
OpenSockets(void)
{
    if (g_ioctl < 0)
    {
        g_ioctl = socket(AF_INET, SOCK_DGRAM, 0);
        if (g_ioctl < 0)
        {
            return errno;
        }
        (void)fcntl(g_ioctl, F_SETFD, FD_CLOEXEC);
    }
    if (g_netlink < 0)
    {
        g_netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
        if (g_netlink < 0)
        {
            return errno;
        }
        (void)fcntl(g_netlink, F_SETFD, FD_CLOEXEC);
    }
    return 0;
}

/* The interface that a request is about: its name for ioctl(2), its index for rtnetlink. */
static int
FindInterface(uint32_t nic, struct ifreq* interface, int* index)
{
    const char* name = NicName(nic);
    if (!name)
    {
        return ENODEV;
    }
    int error = OpenSockets();
    if (error != 0)
    {
        return error;
    }
    memset(interface, 0, sizeof(*interface));
    strcpy(interface->ifr_name, name);
    if (ioctl(g_ioctl, SIOCGIFINDEX, interface) != 0)
    {
        return errno;
    }
    *index = interface->ifr_ifindex;
    return 0;
}

static void
Begin(Message* message, uint16_t type, uint16_t flags, const void* fixed, size_t size)
{
    memset(message, 0, sizeof(*message));
    message->u.header.nlmsg_len = (uint32_t)NLMSG_LENGTH(size);
    message->u.header.nlmsg_type = type;
    message->u.header.nlmsg_flags = flags;
    memcpy(message->u.bytes + NLMSG_HDRLEN, fixed, size);
}

/* All of a message's attributes fit: they are few. */
static void
Add(Message* message, uint16_t type, const void* data, size_t size)
{
    size_t at = NLMSG_ALIGN(message->u.header.nlmsg_len);
    struct rtattr attribute;
    attribute.rta_len = (unsigned short)RTA_LENGTH(size);
    attribute.rta_type = type;
    memcpy(message->u.bytes + at, &attribute, sizeof(attribute));
    memcpy(message->u.bytes + at + RTA_LENGTH(0), data, size);
    message->u.header.nlmsg_len = (uint32_t)(at + RTA_ALIGN(RTA_LENGTH(size)));
}

/* Sends a request and takes the kernel's answer, which is there when send(2) returns. With
 * `answer`, that is a message of its own, of which at most `size` bytes are kept. */
static int
Exchange(Message* message, void* answer, size_t size)
{
    static uint32_t sequence;

    static union {
        struct nlmsghdr header;
        uint8_t bytes[32768];
    } in;
    struct nlmsghdr* header = &message->u.header;
    header->nlmsg_seq = ++sequence;
    header->nlmsg_flags |= NLM_F_REQUEST;
    if (!answer)
    {
        header->nlmsg_flags |= NLM_F_ACK;
    }
    if (send(g_netlink, message->u.bytes, header->nlmsg_len, 0) < 0)
    {
        return errno;
    }
    for (;;)
    {
        ssize_t got = recv(g_netlink, in.bytes, sizeof(in.bytes), MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
        {
            continue;
        }
        if (got < 0)
        {
            return errno;
        }
        if ((size_t)got < sizeof(struct nlmsghdr) || in.header.nlmsg_seq != sequence)
        {
            continue; /* left over from a request that was broken off */
        }
        if (in.header.nlmsg_type == NLMSG_ERROR)
        {
            int error = 0;
            if ((size_t)got < NLMSG_LENGTH(sizeof(error)))
            {
                return EPROTO;
            }
            memcpy(&error, in.bytes + NLMSG_HDRLEN, sizeof(error));
            return -error;
        }
        if (answer)
        {
            memcpy(answer, in.bytes, (size_t)got < size ? (size_t)got : size);
            return 0;
        }
    }
}

static int
SetFlags(struct ifreq* interface, int set, int clear)
{
    if (ioctl(g_ioctl, SIOCGIFFLAGS, interface) != 0)
    {
        return errno;
    }
    const int flags = (interface->ifr_flags & ~clear) | set;
    if (flags == interface->ifr_flags)
    {
        return 0;
    }
    interface->ifr_flags = (short)flags;
    return ioctl(g_ioctl, SIOCSIFFLAGS, interface) == 0 ? 0 : errno;
}

int
LinkGet(Request* request)
{
    RelayNic nic;
    struct ifreq interface;
    RelayLink link = {0};
    int index = 0;
    memcpy(&nic, request->body, sizeof(nic));
    int error = FindInterface(nic.nic, &interface, &index);
    if (error != 0)
    {
        return error;
    }
    link.index = (uint32_t)index;
    if (ioctl(g_ioctl, SIOCGIFFLAGS, &interface) != 0)
    {
        return errno;
    }
    link.flags = (uint16_t)interface.ifr_flags;
    if (ioctl(g_ioctl, SIOCGIFMTU, &interface) != 0)
    {
        return errno;
    }
    link.mtu = (uint32_t)interface.ifr_mtu;
    if (ioctl(g_ioctl, SIOCGIFHWADDR, &interface) != 0)
    {
        return errno;
    }
    memcpy(link.address, interface.ifr_hwaddr.sa_data, sizeof(link.address));
    const char* name = NicName(nic.nic);
    const uint32_t nameLength = (uint32_t)strlen(name);
    memcpy(request->reply, &link, sizeof(link));
    memcpy(request->reply + sizeof(link), name, nameLength);
    request->replyLength = (uint32_t)sizeof(link) + nameLength;
    return 0;
}

/* An interface that is up does not take another address, at least not every driver's. */
static int
SetHardwareAddress(struct ifreq* interface, const uint8_t address[6])
{
    if (ioctl(g_ioctl, SIOCGIFFLAGS, interface) != 0)
    {
        return errno;
    }
    const bool up = (interface->ifr_flags & IFF_UP) != 0;
    int error = SetFlags(interface, 0, IFF_UP);
    if (error != 0)
    {
        return error;
    }
    memset(&interface->ifr_hwaddr, 0, sizeof(interface->ifr_hwaddr));
    interface->ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(interface->ifr_hwaddr.sa_data, address, 6);
    error = ioctl(g_ioctl, SIOCSIFHWADDR, interface) == 0 ? 0 : errno;
    if (up)
    {
        int upError = SetFlags(interface, IFF_UP, 0);
        error = error != 0 ? error : upError;
    }
    return error;
}

static int
Ethtool(struct ifreq* interface, uint32_t command, uint32_t* value)
{
    struct ethtool_value argument = {.cmd = command, .data = *value};
    interface->ifr_data = (void*)&argument;
    if (ioctl(g_ioctl, SIOCETHTOOL, interface) != 0)
    {
        return errno;
    }
    *value = argument.data;
    return 0;
}

/* Switches a feature off. One that the kernel does not know is off. */
static int
SwitchOff(struct ifreq* interface, uint32_t get, uint32_t set)
{
    uint32_t value = 0;
    int error = Ethtool(interface, set, &value);
    if (error == 0)
    {
        return 0;
    }
    value = 0;
    if (Ethtool(interface, get, &value) != 0)
    {
        value = 0;
    }
    return value == 0 ? 0 : error;
}

/* What the kernel says the most segments are; 0: it does not say. */
static uint32_t
GetGsoMaxSegments(int index)
{
    static union {
        struct nlmsghdr header;
        uint8_t bytes[16384];
    } answer;

    Message message;
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    Begin(&message, RTM_GETLINK, 0, &info, sizeof(info));
    if (Exchange(&message, &answer, sizeof(answer)) != 0 ||
        answer.header.nlmsg_type != RTM_NEWLINK || answer.header.nlmsg_len > sizeof(answer))
    {
        return 0;
    }
    size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(info));
    while (at + sizeof(struct rtattr) <= answer.header.nlmsg_len)
    {
        struct rtattr attribute;
        memcpy(&attribute, answer.bytes + at, sizeof(attribute));
        if (attribute.rta_len < sizeof(attribute) ||
            at + attribute.rta_len > answer.header.nlmsg_len)
        {
            break;
        }
        if ((attribute.rta_type & NLA_TYPE_MASK) == IFLA_GSO_MAX_SEGS &&
            attribute.rta_len >= RTA_LENGTH(sizeof(uint32_t)))
        {
            uint32_t segments;
            memcpy(&segments, answer.bytes + at + RTA_LENGTH(0), sizeof(segments));
            return segments;
        }
        at += RTA_ALIGN(attribute.rta_len);
    }
    return 0;
}

/* Kernels before 4.16 do not take it, and not all of them say so: so look whether it was done. For
 * one segment there is another way, which all know: no segmentation at all, nor what it rests on.
 */
static int
SetGsoMaxSegments(struct ifreq* interface, int index, uint32_t segments)
{
    Message message;
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    Begin(&message, RTM_NEWLINK, 0, &info, sizeof(info));
    Add(&message, IFLA_GSO_MAX_SEGS, &segments, sizeof(segments));
    int error = Exchange(&message, NULL, 0);
    if (error == 0 && GetGsoMaxSegments(index) == segments)
    {
        return 0;
    }
    if (segments != 1)
    {
        return error != 0 ? error : EOPNOTSUPP;
    }

    static const struct
    {
        uint32_t get;
        uint32_t set;
    } features[] = {
        {ETHTOOL_GTSO, ETHTOOL_STSO},
        {ETHTOOL_GGSO, ETHTOOL_SGSO},
        {ETHTOOL_GSG, ETHTOOL_SSG},
        {ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM},
    };

    for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); ++i)
    {
        error = SwitchOff(interface, features[i].get, features[i].set);
        if (error != 0)
        {
            break;
        }
    }
    return error;
}

/* What a virtual NIC says of its link: ethtool(8), -s. One that has a link partner to negotiate
 * with knows better, and old drivers cannot be told. */
static int
SetSpeed(struct ifreq* interface, uint32_t speed)
{
    struct ethtool_cmd settings = {.cmd = ETHTOOL_GSET};
    interface->ifr_data = (void*)&settings;
    if (ioctl(g_ioctl, SIOCETHTOOL, interface) != 0 || settings.autoneg != AUTONEG_DISABLE)
    {
        return 0;
    }
    settings.cmd = ETHTOOL_SSET;
    settings.duplex = DUPLEX_FULL;
    ethtool_cmd_speed_set(&settings, speed);
    if (ioctl(g_ioctl, SIOCETHTOOL, interface) != 0)
    {
        return errno == EOPNOTSUPP || errno == EINVAL ? 0 : errno;
    }
    return 0;
}

int
LinkSet(Request* request)
{
    RelayLinkSet link;
    struct ifreq interface;
    int index = 0;
    memcpy(&link, request->body, sizeof(link));
    const uint32_t known = RELAY_LINK_UP | RELAY_LINK_ARP | RELAY_LINK_MTU | RELAY_LINK_ADDRESS |
                           RELAY_LINK_GSO_MAX_SEGMENTS | RELAY_LINK_SPEED;
    if ((link.set & ~known) != 0)
    {
        return EINVAL;
    }
    int error = FindInterface(link.nic, &interface, &index);
    /* Down comes first and up last, so that the link comes up as what it is to be. */
    if (error == 0 && (link.set & RELAY_LINK_UP) && !link.up)
    {
        error = SetFlags(&interface, 0, IFF_UP);
    }
    if (error == 0 && (link.set & RELAY_LINK_ADDRESS))
    {
        error = SetHardwareAddress(&interface, link.address);
    }
    if (error == 0 && (link.set & RELAY_LINK_MTU))
    {
        interface.ifr_mtu = (int)(link.mtu <= INT_MAX ? link.mtu : INT_MAX);
        error = ioctl(g_ioctl, SIOCSIFMTU, &interface) == 0 ? 0 : errno;
    }
    if (error == 0 && (link.set & RELAY_LINK_ARP))
    {
        error = SetFlags(&interface, link.arp ? 0 : IFF_NOARP, link.arp ? IFF_NOARP : 0);
    }
    if (error == 0 && (link.set & RELAY_LINK_GSO_MAX_SEGMENTS))
    {
        error = SetGsoMaxSegments(&interface, index, link.gsoMaxSegments);
    }
    if (error == 0 && (link.set & RELAY_LINK_SPEED))
    {
        error = SetSpeed(&interface, link.speed);
    }
    if (error == 0 && (link.set & RELAY_LINK_UP) && link.up)
    {
        error = SetFlags(&interface, IFF_UP, 0);
    }
    return error;
}

/* Bytes of an address; 0: not a family that is known here. */
static size_t
AddressSize(uint8_t family)
{
    return family == AF_INET ? 4 : (family == AF_INET6 ? 16 : 0);
}

static int
AddAddress(int index, uint8_t family, uint8_t prefix, const uint8_t* address)
{
    const size_t size = AddressSize(family);
    struct ifaddrmsg info = {
        .ifa_family = family,
        .ifa_prefixlen = prefix,
        /* An address that is being looked for elsewhere is not usable for a second. */
        .ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0,
        .ifa_index = (uint32_t)index,
    };
    Message message;
    Begin(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &info, sizeof(info));
    Add(&message, IFA_LOCAL, address, size);
    Add(&message, IFA_ADDRESS, address, size);
    if (family == AF_INET && prefix < 31)
    {
        uint32_t broadcast;
        memcpy(&broadcast, address, sizeof(broadcast));
        broadcast |= htonl(UINT32_MAX >> prefix);
        Add(&message, IFA_BROADCAST, &broadcast, sizeof(broadcast));
    }
    return Exchange(&message, NULL, 0);
}

static int
DeleteAddress(int index, uint8_t family, uint8_t prefix, const uint8_t* address)
{
    const size_t size = AddressSize(family);
    struct ifaddrmsg info = {
        .ifa_family = family,
        .ifa_prefixlen = prefix,
        .ifa_index = (uint32_t)index,
    };
    Message message;
    Begin(&message, RTM_DELADDR, 0, &info, sizeof(info));
    Add(&message, IFA_LOCAL, address, size);
    Add(&message, IFA_ADDRESS, address, size);
    return Exchange(&message, NULL, 0);
}

static int
ChangeAddress(const Request* request, int (*change)(int, uint8_t, uint8_t, const uint8_t*))
{
    RelayAddress address;
    struct ifreq interface;
    int index = 0;
    memcpy(&address, request->body, sizeof(address));
    const size_t size = AddressSize(address.family);
    if (size == 0)
    {
        return EAFNOSUPPORT;
    }
    if (address.prefix > size * 8)
    {
        return EINVAL;
    }
    int error = FindInterface(address.nic, &interface, &index);
    return error != 0 ? error : change(index, address.family, address.prefix, address.address);
}

int
AddressAdd(Request* request)
{
    return ChangeAddress(request, AddAddress);
}

int
AddressDelete(Request* request)
{
    return ChangeAddress(request, DeleteAddress);
}

void
LoopbackUp(void)
{
    static const uint8_t ipv4[4] = {127, 0, 0, 1};
    static const uint8_t ipv6[16] = {[15] = 1};
    struct ifreq interface;
    memset(&interface, 0, sizeof(interface));
    strcpy(interface.ifr_name, "lo");
    int error = OpenSockets();
    if (error == 0)
    {
        error = SetFlags(&interface, IFF_UP, 0);
    }
    if (error == 0 && ioctl(g_ioctl, SIOCGIFINDEX, &interface) != 0)
    {
        error = errno;
    }
    if (error == 0)
    {
        /* Most kernels have added both when it came up; one without IPv6 adds only the first. */
        error = AddAddress(interface.ifr_ifindex, AF_INET, 8, ipv4);
        error = error == EEXIST ? 0 : error;
        (void)AddAddress(interface.ifr_ifindex, AF_INET6, 128, ipv6);
    }
    if (error != 0)
    {
        Fatal("cannot bring up the loopback interface: %s", strerror(error));
    }
}
