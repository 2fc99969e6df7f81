/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A hostile guest's driver of its first virtio NIC (virtio 1.2, 4.1.4.8: the legacy interface): it
 * sends what no kernel would. Its argument says what, one letter each, in order:
 *     h    a virtio-net header and no frame
 *     s    a part of such a header
 *     F    a frame of 60 bytes
 *     G    one that is to be segmented into nothing
 *     L    one with a longer header than there is of it
 *     C    one whose checksum is to be outside
 *     N    one that is to be segmented and is no IP packet
 * Its exit code is 0 or an errno.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <unistd.h>

/* Registers of the legacy interface, from the beginning of the first I/O region. */
enum
{
    QUEUE_ADDRESS = 8,
    QUEUE_SIZE = 12,
    QUEUE_SELECT = 14,
    QUEUE_NOTIFY = 16,
    STATUS = 18,
};

enum
{
    TRANSMIT = 1, /* the queue's number */
    HEADER = 10,  /* bytes, without VIRTIO_NET_F_MRG_RXBUF */
    HUGE = 2 << 20,
    PAGE = 4096,
};

struct Descriptor
{
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct Available
{
    uint16_t flags;
    volatile uint16_t index;
    uint16_t ring[];
};

static int
WriteText(const char* path, const char* text)
{
    const int fd = open(path, O_WRONLY);
    const ssize_t length = (ssize_t)strlen(text);
    const int error = fd < 0 || write(fd, text, (size_t)length) != length ? errno : 0;
    if (fd >= 0)
    {
        (void)close(fd);
    }
    return error;
}

/* The first device that the kernel's driver has: its name, which it has no more. */
static int
TakeDevice(char* name, size_t size)
{
    DIR* devices = opendir("/sys/bus/virtio/drivers/virtio_net");
    const struct dirent* entry;
    name[0] = '\0';
    while (devices && (entry = readdir(devices)) != NULL)
    {
        if (strncmp(entry->d_name, "virtio", 6) == 0)
        {
            (void)snprintf(name, size, "%.40s", entry->d_name);
        }
    }
    return name[0] ? WriteText("/sys/bus/virtio/drivers/virtio_net/unbind", name) : ENODEV;
}

/* Where the device's registers are, in I/O space. */
static int
FindRegisters(const char* name, uint16_t* port)
{
    char path[128];
    unsigned long long start = 0;
    (void)snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s/../resource", name);
    FILE* file = fopen(path, "r");
    if (!file || fscanf(file, "%llx", &start) != 1)
    {
        return ENODEV;
    }
    *port = (uint16_t)start;
    return iopl(3) == 0 ? 0 : errno;
}

/* Memory that is one piece for the device, too. */
static uint8_t*
AllocateForDevice(uint64_t* address)
{
    if (WriteText("/proc/sys/vm/nr_hugepages", "1\n") != 0)
    {
        return NULL;
    }
    uint8_t* memory = mmap(NULL,
                           HUGE,
                           PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
                           -1,
                           0);
    const int fd = open("/proc/self/pagemap", O_RDONLY);
    uint64_t entry = 0;
    if (memory == MAP_FAILED || fd < 0)
    {
        return NULL;
    }
    memset(memory, 0, HUGE);
    const off_t at = (off_t)((uintptr_t)memory / PAGE * sizeof(entry));
    if (pread(fd, &entry, sizeof(entry), at) != (ssize_t)sizeof(entry))
    {
        return NULL;
    }
    *address = (entry & ((UINT64_C(1) << 55) - 1)) * PAGE;
    return memory;
}

/* A header for a frame that asks for what no NIC can do, or, for the other letters, for nothing. */
static void
WriteHeader(uint8_t* header, char what)
{
    const uint8_t flags = strchr("GLCN", what) ? 1 : 0; /* VIRTIO_NET_HDR_F_NEEDS_CSUM */
    const uint8_t type = strchr("GLN", what) ? 1 : 0;   /* VIRTIO_NET_HDR_GSO_TCPV4 */
    const uint16_t lengths[] = {
        what == 'L' ? 6000 : 54, /* of the headers */
        what == 'G' ? 0 : 20,    /* of a segment */
        what == 'C' ? 59 : 34,   /* where the checksum begins */
        16,                      /* and where it is, behind that */
    };
    header[0] = flags;
    header[1] = type;
    memcpy(header + 2, lengths, sizeof(lengths));
}

int
main(int count, char** arguments)
{
    const char* what = count > 1 ? arguments[1] : "";
    char name[64];
    uint16_t port = 0;
    uint64_t address = 0;
    int error = TakeDevice(name, sizeof(name));
    error = error != 0 ? error : FindRegisters(name, &port);
    if (error != 0)
    {
        return error;
    }
    uint8_t* memory = AllocateForDevice(&address);
    if (!memory)
    {
        return ENOMEM;
    }
    outb(0, port + STATUS);
    outb(1 | 2, port + STATUS);
    outw(TRANSMIT, port + QUEUE_SELECT);
    const uint16_t size = inw(port + QUEUE_SIZE);
    if (size == 0 || strlen(what) > size)
    {
        return E2BIG;
    }
    outl((uint32_t)(address / PAGE), port + QUEUE_ADDRESS);
    outb(1 | 2 | 4, port + STATUS);

    struct Descriptor* descriptors = (struct Descriptor*)memory;
    struct Available* available = (struct Available*)(memory + size * sizeof(*descriptors));
    for (uint16_t i = 0; what[i]; i++)
    {
        const size_t place = HUGE / 2 + i * (size_t)PAGE;
        WriteHeader(memory + place, what[i]); /* and a broadcast of zeros */
        memset(memory + place + HEADER, 0xff, 6);
        descriptors[i].address = address + place;
        descriptors[i].length = what[i] == 'h' ? HEADER : (what[i] == 's' ? 3 : HEADER + 60);
        available->ring[i] = i;
    }
    __sync_synchronize();
    available->index = (uint16_t)strlen(what);
    __sync_synchronize();
    outw(TRANSMIT, port + QUEUE_NOTIFY);
    return 0;
}
