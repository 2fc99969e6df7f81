/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Loads kernel modules from the image's store, as modprobe(8) does from /lib/modules. The kernel
 * waits for it, in the same turn, while a program or the first process itself is in a system call:
 * so it asks nobody for anything.
 *
 * A module computes limits from the guest's memory, as the kernel does. The simulator leaves in
 * /run/ns3-qemu/module-sysctls what they are on the host that the guest stands for.
 */
#include "modprobe.h"

#include "files.h"
#include "modconfig.h"
#include "modstore.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define PARAMETERS_MAX 4096
#define DEPTH_MAX 8 /* of soft dependencies on soft dependencies */

#define SYSCTLS "/run/ns3-qemu/module-sysctls"
#define MISSING "/run/ns3-qemu/missing-modules"

static struct
{
    bool all;
    bool remove;
    bool quiet;
    bool verbose;
    bool dry;       /* says what it would do, and does not do it */
    bool show;      /* so, and of modules that are loaded already, too */
    bool resolve;   /* prints which modules a name stands for */
    bool blacklist; /* applies to names of modules, too */
    bool own;       /* commands of the configuration are not executed */
    bool firstTime; /* it is an error if there is nothing to do */
    const char* config;
} g_options;

static struct utsname g_system;

static void
Complain(const char* kind, const char* format, ...)
{
    if (g_options.quiet)
    {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "modprobe: %s: ", kind);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
}

/* ---- what the kernel has ---- */

static bool
IsLoaded(const char* name)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "/sys/module/%s/initstate", name);
    return access(path, F_OK) == 0;
}

/* Gives the new module's parameters the values of the host that the guest stands for: in each line
 * the module, the parameter, and its fields, '-' for one that is the kernel's own. */
static void
SetSysctl(const char* parameter, const char* fields)
{
    char path[256];
    char own[256];
    char value[512] = "";
    (void)snprintf(path, sizeof(path), "/proc/sys/%s", parameter);
    if (!FileReadText(path, own, sizeof(own)))
    {
        return;
    }
    char word[MODULE_NAME_MAX];
    char ownWord[MODULE_NAME_MAX];
    const char* ownRest = own;
    for (const char* rest = ModuleWord(fields, word); rest; rest = ModuleWord(rest, word))
    {
        ownRest = ownRest ? ModuleWord(ownRest, ownWord) : NULL;
        const char* field = strcmp(word, "-") == 0 && ownRest ? ownWord : word;
        const size_t used = strlen(value);
        (void)snprintf(value + used, sizeof(value) - used, "%s%s", used > 0 ? " " : "", field);
    }
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
    {
        (void)!write(fd, value, strlen(value));
        (void)close(fd);
    }
}

static void
SetSysctlsOf(const char* module)
{
    size_t length = 0;
    char* text = FileReadWhole(SYSCTLS, &length);
    char* next = NULL;
    for (char* line = text ? strtok_r(text, "\n", &next) : NULL; line;
         line = strtok_r(NULL, "\n", &next))
    {
        char name[MODULE_NAME_MAX];
        char parameter[MODULE_NAME_MAX];
        const char* rest = ModuleWord(line, name);
        rest = rest ? ModuleWord(rest, parameter) : NULL;
        if (rest && strcmp(name, module) == 0)
        {
            SetSysctl(parameter, rest);
        }
    }
    free(text);
}

/* ---- loading ---- */

static const char*
DescribeInsertError(int error)
{
    switch (error)
    {
    case ENOENT:
        return "Unknown symbol in module, or unknown parameter (see dmesg)";
    case EEXIST:
        return "Module already in kernel";
    case ENOEXEC:
        return "Exec format error";
    default:
        return strerror(error);
    }
}

/* A module that registers a protocol waits for a grace period of the kernel's (RCU), which is
 * timers and so simulated time, while whoever has asked for it waits, too: the first process,
 * perhaps, whose answer belongs to this turn. An expedited one needs no time. */
static int
InsertAtOnce(const void* image, size_t length, const char* parameters)
{
    const int knob = open("/sys/kernel/rcu_expedited", O_RDWR | O_CLOEXEC);
    char before[16] = "0";
    if (knob >= 0)
    {
        (void)!pread(knob, before, sizeof(before) - 1, 0);
        (void)!pwrite(knob, "1", 1, 0);
    }
    /* finit_module(2) is newer than some kernels that this is for. */
    const int error = syscall(SYS_init_module, image, length, parameters) == 0 ? 0 : errno;
    if (knob >= 0)
    {
        (void)!pwrite(knob, before, strlen(before), 0);
        (void)close(knob);
    }
    return error;
}

/* The length of a module without its signature. To check one takes most of the instructions that
 * loading takes, more than a turn has; kernels that insist on it get it. What is at a signed
 * module's end is in linux/module_signature.h. */
static size_t
LengthUnsigned(const char* image, size_t length)
{
    static const char magic[] = "~Module signature appended~\n";
    const size_t trailer = sizeof(magic) - 1 + sizeof(uint32_t);
    uint32_t signature = 0;
    if (length < trailer + 8 ||
        memcmp(image + length - (sizeof(magic) - 1), magic, sizeof(magic) - 1) != 0)
    {
        return length;
    }
    memcpy(&signature, image + length - trailer, sizeof(signature));
    signature = ntohl(signature);
    return signature < length - trailer - 8 ? length - trailer - 8 - signature : length;
}

/* Loads one module whose needs are there. Returns whether the kernel has it now. */
static bool
Insert(const char* name, const char* given)
{
    static char parameters[PARAMETERS_MAX];
    StoredModule module;
    const bool loaded = IsLoaded(name);
    if (loaded && !g_options.show)
    {
        return true;
    }
    if (!StoreFind(name, &module))
    {
        return StoreIsBuiltIn(name);
    }
    parameters[0] = '\0';
    ModuleConfigOptions(name, parameters, sizeof(parameters));
    const size_t used = strlen(parameters);
    if (used + strlen(given) + 2 > sizeof(parameters))
    {
        Complain("ERROR", "the parameters of %s are too long", name);
        return false;
    }
    (void)snprintf(parameters + used, sizeof(parameters) - used, "%s%s", *given ? " " : "", given);
    const char* text = parameters + (parameters[0] == ' ');
    if (g_options.verbose || g_options.show)
    {
        (void)printf("insmod %s %s\n", name, text);
    }
    if (g_options.dry)
    {
        return true;
    }
    const void* image = StoreImage(&module);
    const size_t length = image ? LengthUnsigned(image, module.length) : 0;
    int error = image ? InsertAtOnce(image, length, text) : errno;
    if (length < module.length && (error == EKEYREJECTED || error == ENOKEY || error == EPERM))
    {
        error = InsertAtOnce(image, module.length, text);
    }
    if (error == 0)
    {
        SetSysctlsOf(name);
        return true;
    }
    if (error == EEXIST && !g_options.firstTime)
    {
        return true; /* somebody else has been quicker */
    }
    Complain("ERROR", "could not insert '%s': %s", name, DescribeInsertError(error));
    return false;
}

static bool
Execute(const char* name, const char* command)
{
    if (g_options.verbose || g_options.show)
    {
        (void)printf("%s %s\n", g_options.remove ? "remove" : "install", command);
    }
    if (g_options.dry)
    {
        return true;
    }
    (void)setenv("MODPROBE_MODULE", name, 1);
    const int status = system(command);
    if (status != 0)
    {
        Complain("ERROR", "the command of the configuration for %s fails: %s", name, command);
    }
    return status == 0;
}

/* The modules that a name stands for: of modprobe.d's aliases, a module's own name, or an alias
 * that modules have. None: there is no such module. */
static void
Resolve(const char* name, ModuleNames* found)
{
    StoredModule module;
    ModuleNames others = {0};
    ModuleConfigResolve(name, &others);
    if (others.count == 0 && (StoreFind(name, &module) || StoreIsBuiltIn(name) || IsLoaded(name) ||
                              ModuleConfigCommand(name, g_options.remove)))
    {
        ModuleNamesAdd(found, name);
        return;
    }
    if (others.count == 0)
    {
        StoreResolve(name, found);
        return;
    }
    for (size_t i = 0; i < others.count; ++i)
    {
        ModuleNormalize(others.names[i]);
        if (StoreFind(others.names[i], &module) || StoreIsBuiltIn(others.names[i]))
        {
            ModuleNamesAdd(found, others.names[i]);
        }
        else
        {
            StoreResolve(others.names[i], found);
        }
    }
}

static bool LoadName(const char* name, const char* parameters, unsigned int depth);

/* What should be there, too; whatever becomes of it, the module itself is loaded. */
static void
LoadCompanions(const char* name, bool after, unsigned int depth)
{
    ModuleNames companions = {0};
    StoreCompanions(name, after, &companions);
    ModuleConfigCompanions(name, after, &companions);
    const bool quiet = g_options.quiet;
    g_options.quiet = true;
    for (size_t i = 0; i < companions.count && depth < DEPTH_MAX; ++i)
    {
        (void)LoadName(companions.names[i], "", depth + 1);
    }
    g_options.quiet = quiet;
}

static bool
Load(const char* name, const char* parameters, unsigned int depth)
{
    const char* command = g_options.own ? NULL : ModuleConfigCommand(name, false);
    if (command)
    {
        return Execute(name, command);
    }
    if (IsLoaded(name) && !g_options.show)
    {
        if (g_options.firstTime)
        {
            Complain("ERROR", "could not insert '%s': %s", name, DescribeInsertError(EEXIST));
        }
        return !g_options.firstTime;
    }
    LoadCompanions(name, false, depth);
    StoredModule module;
    if (StoreFind(name, &module))
    {
        char needed[MODULE_NAME_MAX];
        for (const char* rest = ModuleWord(module.needs, needed); rest;
             rest = ModuleWord(rest, needed))
        {
            if (!Insert(needed, ""))
            {
                return false;
            }
        }
    }
    if (!Insert(name, parameters))
    {
        return false;
    }
    LoadCompanions(name, true, depth);
    return true;
}

/* ---- removing ---- */

/* Whether nothing in the kernel uses a module. */
static bool
IsUnused(const char* name)
{
    char path[128];
    char count[16];
    (void)snprintf(path, sizeof(path), "/sys/module/%s/refcnt", name);
    return FileReadText(path, count, sizeof(count)) && strcmp(count, "0") == 0;
}

static bool
Delete(const char* name)
{
    if (g_options.verbose || g_options.show)
    {
        (void)printf("rmmod %s\n", name);
    }
    if (g_options.dry || syscall(SYS_delete_module, name, O_NONBLOCK) == 0)
    {
        return true;
    }
    Complain("FATAL",
             errno == EWOULDBLOCK ? "Module %s is in use." : "could not remove '%s'",
             name);
    return false;
}

/* Removes a module, and then what it needed and nobody else needs. */
static bool
Remove(const char* name)
{
    const char* command = g_options.own ? NULL : ModuleConfigCommand(name, true);
    if (command)
    {
        return Execute(name, command);
    }
    if (!IsLoaded(name))
    {
        const bool builtIn = StoreIsBuiltIn(name);
        if (builtIn || g_options.firstTime)
        {
            Complain("FATAL",
                     builtIn ? "Module %s is builtin." : "Module %s is not in kernel.",
                     name);
        }
        return !builtIn && !g_options.firstTime;
    }
    if (!Delete(name))
    {
        return false;
    }
    ModuleNames needed = {0};
    StoredModule module;
    char word[MODULE_NAME_MAX];
    const char* rest = StoreFind(name, &module) ? ModuleWord(module.needs, word) : NULL;
    for (; rest; rest = ModuleWord(rest, word))
    {
        ModuleNamesAdd(&needed, word);
    }
    for (size_t i = needed.count; i > 0; --i)
    {
        if (IsUnused(needed.names[i - 1]))
        {
            (void)Delete(needed.names[i - 1]);
        }
    }
    return true;
}

/* ---- names ---- */

/* A program sees no more than that something does not work, as on any host; the kernel's log says,
 * once for each name, what it has asked for. */
static void
SayMissing(const char* name)
{
    char mark[sizeof(MISSING) + MODULE_NAME_MAX + 1];
    (void)mkdir("/run/ns3-qemu", 0755);
    (void)mkdir(MISSING, 0755);
    (void)snprintf(mark, sizeof(mark), "%s/%s", MISSING, name);
    for (char* at = mark + sizeof(MISSING); *at != '\0'; ++at)
    {
        *at = isalnum((unsigned char)*at) ? *at : '_';
    }
    const int first = open(mark, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    const int log = first < 0 ? -1 : open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
    if (log >= 0)
    {
        char line[256];
        const int length = snprintf(line,
                                    sizeof(line),
                                    "<4>ns3-qemu: no module for '%s': the modules of %s %s\n",
                                    name,
                                    g_system.release,
                                    StoreOpen() ? "have none" : "are not in this image");
        (void)!write(log, line, (size_t)length);
        (void)close(log);
    }
    if (first >= 0)
    {
        (void)close(first);
    }
}

static bool
LoadName(const char* name, const char* parameters, unsigned int depth)
{
    char wanted[MODULE_NAME_MAX];
    ModuleNames found = {0};
    if (strlen(name) < sizeof(wanted))
    {
        (void)snprintf(wanted, sizeof(wanted), "%s", name);
        ModuleNormalize(wanted);
        Resolve(wanted, &found);
    }
    if (found.count == 0)
    {
        Complain("FATAL",
                 "Module %s not found in directory /lib/modules/%s",
                 name,
                 g_system.release);
        if (depth == 0 && g_options.quiet && !g_options.remove && !g_options.resolve)
        {
            SayMissing(name);
        }
        return false;
    }
    bool whole = true;
    for (size_t i = 0; i < found.count; ++i)
    {
        const char* module = found.names[i];
        const bool alias = strcmp(module, wanted) != 0;
        if (g_options.resolve)
        {
            (void)printf("%s\n", module);
        }
        else if ((alias || g_options.blacklist) && ModuleConfigIsBlacklisted(module))
        {
            continue;
        }
        else
        {
            whole = (g_options.remove ? Remove(module) : Load(module, parameters, depth)) && whole;
        }
    }
    return whole;
}

/* ---- the program ---- */

/* The kernel starts it without any descriptor: what it opens must not become a standard one. */
static void
OpenStandardDescriptors(void)
{
    int fd;
    do
    {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
    {
        (void)close(fd);
    }
}

static bool
TakeOption(int option)
{
    switch (option)
    {
    case 'a':
        g_options.all = true;
        break;
    case 'r':
        g_options.remove = true;
        break;
    case 'q':
        g_options.quiet = true;
        break;
    case 'v':
        g_options.verbose = true;
        break;
    case 'n':
        g_options.dry = true;
        break;
    case 'D':
        g_options.dry = g_options.show = true;
        break;
    case 'R':
        g_options.resolve = true;
        break;
    case 'b':
        g_options.blacklist = true;
        break;
    case 'i':
        g_options.own = true;
        break;
    case '1':
        g_options.firstTime = true;
        break;
    case 'C':
        g_options.config = optarg;
        break;
    case 's': /* to the system's log, which nobody reads */
    case 'w': /* waiting is not for a process that nothing runs beside */
        break;
    default:
        return false;
    }
    return true;
}

static bool
TakeOptions(int count, char** arguments)
{
    static const struct option options[] = {
        {"all", no_argument, NULL, 'a'},
        {"remove", no_argument, NULL, 'r'},
        {"quiet", no_argument, NULL, 'q'},
        {"verbose", no_argument, NULL, 'v'},
        {"dry-run", no_argument, NULL, 'n'},
        {"show", no_argument, NULL, 'n'},
        {"show-depends", no_argument, NULL, 'D'},
        {"resolve-alias", no_argument, NULL, 'R'},
        {"use-blacklist", no_argument, NULL, 'b'},
        {"ignore-install", no_argument, NULL, 'i'},
        {"ignore-remove", no_argument, NULL, 'i'},
        {"first-time", no_argument, NULL, '1'},
        {"config", required_argument, NULL, 'C'},
        {"syslog", no_argument, NULL, 's'},
        {"wait", required_argument, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(count, arguments, "arqvnDRbiC:sw:", options, NULL)) != -1)
    {
        if (!TakeOption(option))
        {
            (void)fputs(
                "usage: modprobe [-q] [-v] [-n] [-b] [-i] [-C FILE] NAME [PARAMETER=VALUE]...\n"
                "       modprobe -a|-r|-D|-R NAME...\n"
                "It loads modules of the image's kernel. There are no files of them here.\n",
                stderr);
            return false;
        }
    }
    return true;
}

bool
ModprobeIsCalled(const char* program)
{
    const char* slash = program ? strrchr(program, '/') : NULL;
    return program && strcmp(slash ? slash + 1 : program, "modprobe") == 0;
}

int
ModprobeMain(int count, char** arguments)
{
    static char parameters[PARAMETERS_MAX];
    OpenStandardDescriptors();
    if (!TakeOptions(count, arguments) || uname(&g_system) != 0)
    {
        return 1;
    }
    if (optind >= count)
    {
        Complain("ERROR", "missing parameters. See -h.");
        return 1;
    }
    ModuleConfigRead(g_options.config);
    const bool many = g_options.all || g_options.remove || g_options.show || g_options.resolve;
    bool whole = true;
    if (many)
    {
        for (int i = optind; i < count; ++i)
        {
            whole = LoadName(arguments[i], "", 0) && whole;
        }
        return whole ? 0 : 1;
    }
    for (int i = optind + 1; i < count; ++i)
    {
        const size_t used = strlen(parameters);
        if (used + strlen(arguments[i]) + 2 > sizeof(parameters))
        {
            Complain("ERROR", "the parameters are too long");
            return 1;
        }
        (void)snprintf(parameters + used,
                       sizeof(parameters) - used,
                       "%s%s",
                       used > 0 ? " " : "",
                       arguments[i]);
    }
    return LoadName(arguments[optind], parameters, 0) ? 0 : 1;
}
