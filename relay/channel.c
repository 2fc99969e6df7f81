/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The byte stream to the simulator, and the messages in it. It knows where a message begins and
 * ends and nothing of what it says.
 *
 * A write costs much more than the bytes in it (each one leaves the virtual machine), so messages
 * are queued and written together. The queue has a fixed size; as long as it has no room for one
 * more message, no request is read, and the simulator's own writes begin to wait.
 */
#include "channel.h"

#include "console.h"
#include "files.h"
#include "wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "The protocol's integers are those of a little-endian machine."
#endif

#define MESSAGE_MAX (sizeof(RelayHeader) + RELAY_BODY_MAX)

/* What a terminal line is given at once. A UART's driver sends 16 bytes for each interrupt and
 * gives up for good on an interrupt that stays: old ones after 256 rounds. */
#define LINE_WRITE 1024u

/* How often to look for a port that does not appear, and how long to wait in between. */
#define PAUSES 1000
#define PAUSE 10 /* ms */

static int g_fd = -1;
static bool g_line;         /* it is a terminal line */
static bool g_inherited;    /* its end is that of the simulator; a port only loses its other side */
static bool g_ended;        /* and it has ended */
static bool g_disconnected; /* nobody is at the port's other side */

static bool g_listens;
static uint32_t g_events; /* that wake us */

static uint8_t g_in[2 * MESSAGE_MAX];
static size_t g_inStart; /* of what has not been handed out */
static size_t g_inEnd;

static uint8_t g_out[4 * MESSAGE_MAX];
static size_t g_outStart; /* of what has not been written */
static size_t g_outEnd;

/* What is still to be carried out or sent is of no use any more. */
static void
End(void)
{
    g_ended = true;
    g_inStart = g_inEnd = 0;
    g_outStart = g_outEnd = 0;
}

bool
ChannelHasEnded(void)
{
    return g_ended;
}

static void
SetFlags(int fd)
{
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
    {
        Fatal("cannot make the relay port non-blocking: %s", strerror(errno));
    }
}

/* The virtio-serial port of the relay's name; -1: there is none yet. */
static int
OpenVirtioPort(void)
{
    static const char ports[] = "/sys/class/virtio-ports";
    DIR* directory = opendir(ports);
    if (!directory)
    {
        return -1;
    }
    int fd = -1;
    const struct dirent* entry;
    while (fd < 0 && (entry = readdir(directory)) != NULL)
    {
        char path[320];
        char name[128];
        (void)snprintf(path, sizeof(path), "%s/%s/name", ports, entry->d_name);
        if (entry->d_name[0] != '.' && FileReadText(path, name, sizeof(name)) &&
            strcmp(name, RELAY_PORT_NAME) == 0)
        {
            fd = FileOpenDevice("virtio-ports", entry->d_name, O_RDWR | O_CLOEXEC | O_NOCTTY);
        }
    }
    (void)closedir(directory);
    return fd;
}

/* Eight bits, nothing interpreted. */
static void
SetRaw(int fd, const char* name)
{
    struct termios mode;
    if (tcgetattr(fd, &mode) != 0)
    {
        Fatal("%s is not a terminal line: %s", name, strerror(errno));
    }
    cfmakeraw(&mode);
    mode.c_cflag |= CLOCAL | CREAD | CS8;
    mode.c_cflag &= ~(tcflag_t)CRTSCTS;
    mode.c_cc[VMIN] = 1; /* so that "nothing there" is an error, not an end of file */
    mode.c_cc[VTIME] = 0;
    /* No emulated UART sends at a rate. But below 2400 the 8250 driver has the receiver interrupt
     * for each byte, and not only for the eighth or after a time without any: a request that ends
     * in between would otherwise wait, in simulated time. */
    (void)cfsetispeed(&mode, B1200);
    (void)cfsetospeed(&mode, B1200);
    if (tcsetattr(fd, TCSANOW, &mode) != 0)
    {
        Fatal("cannot set up %s: %s", name, strerror(errno));
    }
    (void)tcflush(fd, TCIOFLUSH);
    /* Kernels before 2.6.39 hand what has arrived to readers with the next tick, unless they are
     * told not to wait. */
    struct serial_struct serial;
    if (ioctl(fd, TIOCGSERIAL, &serial) == 0)
    {
        serial.flags = (int)((unsigned int)serial.flags | ASYNC_LOW_LATENCY);
        (void)ioctl(fd, TIOCSSERIAL, &serial);
    }
}

void
ChannelOpenPort(const char* device)
{
    char name[128] = "";
    if (device)
    {
        (void)snprintf(name,
                       sizeof(name),
                       "%s",
                       strncmp(device, "/dev/", 5) == 0 ? device + 5 : device);
    }
    for (int pause = 0; g_fd < 0; ++pause)
    {
        g_fd = name[0] ? FileOpenDevice("tty", name, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
                       : OpenVirtioPort();
        if (g_fd >= 0)
        {
            break;
        }
        if (pause >= PAUSES)
        {
            Fatal("no relay port: %s%s does not appear%s",
                  name[0] ? "/dev/" : "a virtio-serial port named ",
                  name[0] ? name : RELAY_PORT_NAME,
                  name[0] ? "" : " (a kernel without virtio-serial needs an image with a UART)");
        }
        (void)poll(NULL, 0, PAUSE);
    }
    SetFlags(g_fd);
    if (name[0])
    {
        SetRaw(g_fd, name);
        g_line = true;
    }
}

void
ChannelOpenDescriptor(int fd)
{
    g_fd = fd;
    g_inherited = true;
    SetFlags(fd);
}

static size_t
OutRoom(void)
{
    return sizeof(g_out) - (g_outEnd - g_outStart);
}

bool
ChannelHasRoom(void)
{
    return OutRoom() >= MESSAGE_MAX;
}

void
ChannelListen(void)
{
    uint32_t events = 0;
    if (ChannelHasRoom() || g_disconnected)
    {
        events |= EPOLLIN;
    }
    if (g_outEnd > g_outStart)
    {
        events |= EPOLLOUT;
    }
    if (g_disconnected)
    {
        /* A port without its other side hangs up for as long as that lasts: hear changes only. */
        events |= (uint32_t)EPOLLET;
    }
    if (g_listens && events == g_events)
    {
        return;
    }
    const int error = g_listens ? WaitChange(g_fd, events, WAIT_CHANNEL, 0)
                                : WaitAdd(g_fd, events, WAIT_CHANNEL, 0);
    if (error != 0)
    {
        Fatal("cannot wait for the relay port: %s", strerror(error));
    }
    g_listens = true;
    g_events = events;
}

bool
ChannelRead(void)
{
    if (g_inStart > 0)
    {
        g_inEnd -= g_inStart;
        memmove(g_in, g_in + g_inStart, g_inEnd);
        g_inStart = 0;
    }
    size_t space = sizeof(g_in) - g_inEnd;
    if (space == 0)
    {
        return false; /* whole requests wait for room for their replies */
    }
    ssize_t got = read(g_fd, g_in + g_inEnd, space);
    if (got > 0)
    {
        g_disconnected = false;
        g_inEnd += (size_t)got;
        /* A virtio-serial port gives at most a page for each read(2). Another one is worth it only
         * if there may be more; if not, the next poll finds what there is. */
        return got >= 2048 || !ChannelHasRequest();
    }
    if (got < 0 && errno == EINTR)
    {
        return true;
    }
    if (got < 0 && errno == EAGAIN)
    {
        g_disconnected = false;
        return false;
    }
    if (g_inherited)
    {
        if (got < 0 && errno != ECONNRESET)
        {
            Fatal("cannot read from the simulator: %s", strerror(errno));
        }
        End();
        return false;
    }
    /* What comes after the other side's return does not continue what it sent before. */
    g_disconnected = true;
    g_inEnd = 0;
    return false;
}

bool
ChannelHasRequest(void)
{
    RelayHeader header;
    if (g_inEnd - g_inStart < sizeof(header))
    {
        return false;
    }
    memcpy(&header, g_in + g_inStart, sizeof(header));
    if (header.length > RELAY_BODY_MAX)
    {
        Fatal("protocol violation: a message of type 0x%x with %u bytes",
              (unsigned int)header.type,
              (unsigned int)header.length);
    }
    return g_inEnd - g_inStart - sizeof(header) >= header.length;
}

bool
ChannelNext(RelayHeader* header, const uint8_t** body)
{
    if (!ChannelHasRequest())
    {
        return false;
    }
    memcpy(header, g_in + g_inStart, sizeof(*header));
    *body = g_in + g_inStart + sizeof(*header);
    g_inStart += sizeof(*header) + header->length;
    return true;
}

uint8_t*
ChannelBody(void)
{
    if (sizeof(g_out) - g_outEnd < MESSAGE_MAX)
    {
        g_outEnd -= g_outStart;
        memmove(g_out, g_out + g_outStart, g_outEnd);
        g_outStart = 0;
    }
    return g_out + g_outEnd + sizeof(RelayHeader);
}

void
ChannelCommit(uint16_t type, uint32_t id, int status, uint32_t length)
{
    const RelayHeader header = {.length = length, .type = type, .id = id, .status = status};
    memcpy(g_out + g_outEnd, &header, sizeof(header));
    g_outEnd += sizeof(header) + length;
}

void
ChannelEvent(uint16_t type, const void* body, uint32_t length)
{
    memcpy(ChannelBody(), body, length);
    ChannelCommit(type, 0, 0, length);
}

void
ChannelFlush(void)
{
    while (g_outEnd > g_outStart)
    {
        size_t length = g_outEnd - g_outStart;
        if (g_line && length > LINE_WRITE)
        {
            length = LINE_WRITE;
        }
        ssize_t written = write(g_fd, g_out + g_outStart, length);
        if (written < 0 && errno == EINTR)
        {
            continue;
        }
        if (written < 0 && g_inherited && errno != EAGAIN)
        {
            End();
            return;
        }
        if (written == 0)
        {
            Fatal("the relay port takes nothing"); /* and says for ever that it would */
        }
        if (written < 0)
        {
            return;
        }
        g_outStart += (size_t)written;
    }
    g_outStart = 0;
    g_outEnd = 0;
}
