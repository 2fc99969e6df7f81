/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What the first process of a machine owes it: file systems, directories, device nodes, kernel
 * modules. It does not know the protocol.
 */
#include "init.h"

#include "console.h"
#include "files.h"
#include "modconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MODULE_LIST "/etc/ns3-qemu/modules"
#define DIRECTORY_LIST "/etc/ns3-qemu/directories"

/* A directory that cannot be made shows when something is mounted or opened there. */
static void
MakeDirectory(const char* path, mode_t mode)
{
    (void)mkdir(path, mode);
}

static int
Mount(const char* type, const char* path, const char* options)
{
    MakeDirectory(path, 0755);
    if (mount(type, path, type, 0, options) == 0 || errno == EBUSY)
    {
        return 0;
    }
    return errno;
}

static void
MakeNode(const char* path, mode_t mode, unsigned int major, unsigned int minor)
{
    if (mknod(path, S_IFCHR | mode, makedev(major, minor)) != 0 && errno != EEXIST)
    {
        Fatal("cannot make %s: %s", path, strerror(errno));
    }
}

/* The kernel fills devtmpfs; those before 2.6.32 have none, and some are built without. */
static void
MountDevices(void)
{
    if (Mount("devtmpfs", "/dev", "mode=0755") == 0)
    {
        return;
    }
    /* Without tmpfs the initramfs's own /dev does. */
    (void)Mount("tmpfs", "/dev", "mode=0755");
    MakeNode("/dev/null", 0666, 1, 3);
    MakeNode("/dev/zero", 0666, 1, 5);
    MakeNode("/dev/full", 0666, 1, 7);
    MakeNode("/dev/random", 0666, 1, 8);
    MakeNode("/dev/urandom", 0666, 1, 9);
    MakeNode("/dev/kmsg", 0600, 1, 11);
    MakeNode("/dev/tty", 0666, 5, 0);
    MakeNode("/dev/console", 0600, 5, 1);
    MakeNode("/dev/ptmx", 0666, 5, 2);
}

/* Standard input is nothing, output goes to the console; whatever the kernel had opened. Where
 * there is no console, output is nothing, too: no descriptor of ours may end up as number 1 or 2.
 */
static void
OpenConsole(void)
{
    int null = open("/dev/null", O_RDWR | O_NOCTTY);
    int console = open("/dev/console", O_WRONLY | O_NOCTTY);
    if (null < 0)
    {
        Fatal("cannot open /dev/null: %s", strerror(errno));
    }
    if (console < 0)
    {
        console = dup(null);
    }
    /* Above the standard ones first, so that neither dup2 closes what the other needs. */
    int high = fcntl(console, F_DUPFD, 3);
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(high, STDOUT_FILENO);
    (void)dup2(high, STDERR_FILENO);
    (void)close(high);
    if (null > STDERR_FILENO)
    {
        (void)close(null);
    }
    if (console > STDERR_FILENO)
    {
        (void)close(console);
    }
}

/* The options of modprobe.d(5) are for a module wherever it comes from. */
static void
TakeOptions(const char* path, char* parameters, size_t size)
{
    char name[MODULE_NAME_MAX];
    const char* file = strrchr(path, '/');
    (void)snprintf(name, sizeof(name), "%s", file ? file + 1 : path);
    name[strcspn(name, ".")] = '\0';
    parameters[0] = '\0';
    ModuleConfigRead(NULL);
    ModuleConfigOptions(name, parameters, size);
}

static void
LoadModule(const char* path, const char* given)
{
    static char parameters[8192];
    TakeOptions(path, parameters, sizeof(parameters) / 2);
    const size_t used = strlen(parameters);
    (void)snprintf(parameters + used, sizeof(parameters) - used, " %s", given);
    size_t length = 0;
    char* image = FileReadWhole(path, &length);
    if (!image)
    {
        Fatal("cannot read module %s: %s", path, strerror(errno));
    }
    /* finit_module(2) is newer than the kernels that this is for. */
    if (syscall(SYS_init_module, image, length, parameters) != 0 && errno != EEXIST)
    {
        Fatal("cannot load module %s: %s", path, strerror(errno));
    }
    free(image);
}

/* One module a line: its path and, after it, its parameters. The order is that of the file. */
void
InitLoadModules(void)
{
    size_t length = 0;
    char* list = FileReadWhole(MODULE_LIST, &length);
    if (!list)
    {
        if (errno != ENOENT)
        {
            Fatal("cannot read %s: %s", MODULE_LIST, strerror(errno));
        }
        return; /* everything is built into the kernel */
    }
    char* next = NULL;
    for (char* line = strtok_r(list, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
    {
        char* path = line + strspn(line, " \t\r");
        char* end = path + strcspn(path, " \t\r");
        const char* parameters = end + strspn(end, " \t\r");
        *end = '\0';
        if (*path != '\0' && *path != '#')
        {
            LoadModule(path, parameters);
        }
    }
    free(list);
}

/* What programs expect below /run, one directory a line: mode, user, group, path. An image has it
 * where it has such programs.
 */
static void
MakeListedDirectories(void)
{
    size_t length = 0;
    char* list = FileReadWhole(DIRECTORY_LIST, &length);
    char* next = NULL;
    for (char* line = list ? strtok_r(list, "\n", &next) : NULL; line;
         line = strtok_r(NULL, "\n", &next))
    {
        unsigned int mode = 0;
        unsigned int user = 0;
        unsigned int group = 0;
        int at = 0;
        if (sscanf(line, "%o %u %u %n", &mode, &user, &group, &at) != 3 || line[at] != '/')
        {
            Fatal("%s: not a directory: %s", DIRECTORY_LIST, line);
        }
        const char* path = line + at;
        /* The mode last: a change of owner takes set-ID bits away. */
        if ((mkdir(path, 0755) != 0 && errno != EEXIST) || chown(path, user, group) != 0 ||
            chmod(path, mode) != 0)
        {
            Fatal("cannot make %s: %s", path, strerror(errno));
        }
    }
    free(list);
}

const char*
InitParameter(const char* name)
{
    static char line[4096];
    if (!FileReadText("/proc/cmdline", line, sizeof(line)))
    {
        return NULL;
    }
    size_t length = strlen(name);
    const char* found = NULL;
    char* next = NULL;
    for (char* word = strtok_r(line, " \n", &next); word; word = strtok_r(NULL, " \n", &next))
    {
        if (strncmp(word, name, length) == 0 && word[length] == '=')
        {
            found = word + length + 1; /* the last one counts, as for the kernel's own */
        }
    }
    return found;
}

void
InitMachine(void)
{
    (void)umask(022);
    (void)chdir("/");
    int proc = Mount("proc", "/proc", NULL);
    int sys = Mount("sysfs", "/sys", NULL);
    MountDevices();
    OpenConsole();
    if (proc != 0)
    {
        Fatal("cannot mount /proc: %s", strerror(proc));
    }
    if (sys != 0)
    {
        Fatal("cannot mount /sys: %s", strerror(sys));
    }
    /* These the machine can do without: programs may miss them, the relay does not. */
    if (Mount("devpts", "/dev/pts", "mode=0620,ptmxmode=0666") != 0)
    {
        (void)Mount("devpts", "/dev/pts", "mode=0620"); /* before 2.6.29 */
    }
    (void)Mount("tmpfs", "/dev/shm", "mode=1777");
    (void)symlink("/proc/self/fd", "/dev/fd");
    (void)symlink("/proc/self/fd/0", "/dev/stdin");
    (void)symlink("/proc/self/fd/1", "/dev/stdout");
    (void)symlink("/proc/self/fd/2", "/dev/stderr");
    (void)Mount("tmpfs", "/tmp", "mode=1777");
    (void)Mount("tmpfs", "/run", "mode=0755");
    MakeListedDirectories();
}
