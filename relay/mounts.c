/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * File systems on disks.
 */
#include "mounts.h"

#include "files.h"
#include "relay-protocol.h"
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Of the file system that the machine has been started from. */
#define ROOT "/.root"
#define ROOT_DISK "/.disk"
#define ROOT_WRITES "/.writes"

/* Where the image's own files are afterwards, and among them what it adds to the disk's: in any
 * case, or where the disk has nothing of that name. */
#define IMAGE "/run/ns3-qemu"
#define ADDED IMAGE "/etc/ns3-qemu/added"
#define ADDED_IF_MISSING IMAGE "/etc/ns3-qemu/added-if-missing"

/* The relay by another name, which loads modules from the image's store. */
#define MODPROBE IMAGE "/sbin/modprobe"
#define MODPROBE_OF_DISK "/sbin/modprobe"

enum
{
    DEVICE,
    TYPE,
    DIRECTORY,
    OPTIONS,
    TEXTS,
};

static int
MakeAndMount(const char* device,
             const char* directory,
             const char* type,
             unsigned long flags,
             const char* options)
{
    (void)mkdir(directory, 0755);
    return mount(device, directory, type, flags, options) == 0 ? 0 : errno;
}

/* What is written to a file system that cannot be goes into memory. */
static int
MountWritable(const char* device, const char* type, const char* options)
{
    int error = MakeAndMount(device, ROOT_DISK, type, MS_RDONLY, options);
    if (error == 0)
    {
        error = MakeAndMount("tmpfs", ROOT_WRITES, "tmpfs", 0, "mode=0755");
    }
    if (error == 0)
    {
        (void)mkdir(ROOT_WRITES "/upper", 0755);
        (void)mkdir(ROOT_WRITES "/work", 0755);
        error = MakeAndMount("overlay",
                             ROOT,
                             "overlay",
                             0,
                             "lowerdir=" ROOT_DISK ",upperdir=" ROOT_WRITES
                             "/upper,workdir=" ROOT_WRITES "/work");
    }
    return error;
}

/* The new root's directories for these may be missing, or links. */
static int
MoveMount(const char* directory)
{
    char target[64];
    (void)snprintf(target, sizeof(target), ROOT "%s", directory);
    struct stat status;
    if (lstat(target, &status) == 0 && !S_ISDIR(status.st_mode) && unlink(target) != 0)
    {
        return errno;
    }
    (void)mkdir(target, 0755);
    return mount(directory, target, NULL, MS_MOVE, NULL) == 0 ? 0 : errno;
}

/* The kernel's own threads go with the first process: they have one root. */
static int
EnterRoot(void)
{
    static const char* const own[] = {"/dev", "/proc", "/sys", "/tmp", "/run"};
    const int bound = MakeAndMount("/", IMAGE, NULL, MS_BIND, NULL);
    if (bound != 0)
    {
        return bound;
    }
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); ++i)
    {
        const int error = MoveMount(own[i]);
        if (error != 0)
        {
            return error;
        }
    }
    if (chdir(ROOT) != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 ||
        chdir("/") != 0)
    {
        return errno;
    }
    return 0;
}

/* A distribution's own modprobe knows nothing of a kernel that is not installed on its disk: then
 * the kernel calls the relay, as it did before. */
static int
KeepModprobe(void)
{
    struct utsname system;
    char list[sizeof(system.release) + 32];
    if (uname(&system) != 0)
    {
        return errno;
    }
    (void)snprintf(list, sizeof(list), "/lib/modules/%s/modules.dep", system.release);
    if (access(list, F_OK) == 0)
    {
        return 0;
    }
    (void)mkdir(IMAGE "/sbin", 0755);
    (void)symlink(IMAGE "/init", MODPROBE);
    (void)symlink(MODPROBE, MODPROBE_OF_DISK); /* EEXIST: the distribution's */
    const int setting = open("/proc/sys/kernel/modprobe", O_WRONLY | O_CLOEXEC);
    if (setting < 0)
    {
        return errno == ENOENT ? 0 : errno; /* a kernel without modules */
    }
    const int error = FileWriteAll(setting, (const uint8_t*)MODPROBE, sizeof(MODPROBE) - 1);
    (void)close(setting);
    return error;
}

static int
MountRoot(const RelayMount* wanted, char* const texts[])
{
    int error = 0;
    if ((wanted->flags & RELAY_MOUNT_READ_ONLY) != 0)
    {
        error = MountWritable(texts[DEVICE], texts[TYPE], texts[OPTIONS]);
    }
    else
    {
        error = MakeAndMount(texts[DEVICE], ROOT, texts[TYPE], 0, texts[OPTIONS]);
    }
    /* Only within the root do its symbolic links lead where they are to. */
    error = error != 0 ? error : EnterRoot();
    error = error != 0 ? error : TreeMove(ADDED, "", true);
    error = error != 0 ? error : TreeMove(ADDED_IF_MISSING, "", false);
    return error != 0 ? error : KeepModprobe();
}

/* The request's texts, each of which is terminated. */
static bool
TakeTexts(const Request* request, char* texts[])
{
    char* at = (char*)(uintptr_t)request->body + sizeof(RelayMount);
    const char* end = (const char*)request->body + request->length;
    for (int i = 0; i < TEXTS; ++i)
    {
        char* terminator = memchr(at, '\0', (size_t)(end - at));
        if (!terminator || terminator - at >= PATH_MAX)
        {
            return false;
        }
        texts[i] = at;
        at = terminator + 1;
    }
    return at == end && texts[DIRECTORY][0] == '/';
}

int
MountDisk(Request* request)
{
    RelayMount wanted;
    char* texts[TEXTS];
    memcpy(&wanted, request->body, sizeof(wanted));
    if (!TakeTexts(request, texts))
    {
        return EBADMSG;
    }
    if ((wanted.flags & ~(uint32_t)(RELAY_MOUNT_READ_ONLY | RELAY_MOUNT_ROOT)) != 0)
    {
        return EINVAL;
    }
    if ((wanted.flags & RELAY_MOUNT_ROOT) != 0)
    {
        return MountRoot(&wanted, texts);
    }
    char directory[PATH_MAX];
    (void)snprintf(directory, sizeof(directory), "%s", texts[DIRECTORY]);
    FileMakeParents(directory);
    return MakeAndMount(texts[DEVICE],
                        texts[DIRECTORY],
                        texts[TYPE],
                        (wanted.flags & RELAY_MOUNT_READ_ONLY) != 0 ? MS_RDONLY : 0,
                        texts[OPTIONS]);
}

int
MountFreeze(Request* request)
{
    char path[PATH_MAX];
    if (request->length >= sizeof(path))
    {
        return ENAMETOOLONG;
    }
    memcpy(path, request->body, request->length);
    path[request->length] = '\0';
    sync();
    if (path[0] == '\0')
    {
        return 0;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0)
    {
        return errno;
    }
    /* Its journal, too: whoever reads the disk then need not replay it. Some cannot do that. */
    int error =
        ioctl(fd, (int)FIFREEZE, 0) == 0 || errno == EOPNOTSUPP || errno == ENOTTY ? 0 : errno;
    (void)close(fd);
    return error;
}
