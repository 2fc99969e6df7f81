/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Programs: the processes that the simulator has started, by number, and the pipes to them. And all
 * other children, which the first process of a machine inherits: they are buried.
 *
 * Output
 *     What a program writes is read as soon as it is there, for as long as the channel has room;
 *     then it waits in the pipe, and at last the program itself waits, as for any slow reader.
 *
 * Exit
 *     It is told when all is told that was in the pipes when the program ended. Its children may
 *     hold the pipes open for ever, so an end of file is not waited for: what they write later is
 *     told later, after the exit, until the last of them has closed its end.
 *
 * Input
 *     Nothing is kept here. What the pipe does not take stays with the simulator, which is told
 *     when it takes more.
 */
#include "process.h"

#include "channel.h"
#include "console.h"
#include "files.h"
#include "relay-protocol.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define OUTPUTS 2
#define OUTPUT_MAX (RELAY_BODY_MAX - sizeof(RelayProcessOutput))

typedef struct Process
{
    uint32_t number;
    pid_t pid;
    int input;                /* -1: closed, or never open */
    int output[OUTPUTS];      /* standard output, standard error; -1: at its end */
    uint32_t unread[OUTPUTS]; /* bytes to be told before the exit is */
    int status;               /* of wait(2), once it has ended */
    bool ended;
    bool told;      /* that it has ended */
    bool inputFull; /* the simulator waits for room */
    bool queued;    /* is to be served */
} Process;

/* In the order of their numbers, which is that in which they were started. */
static Process* g_processes;
static size_t g_count;
static size_t g_capacity;
static uint32_t g_lastNumber;
static size_t g_queued;

static int g_childPipe[2] = {-1, -1};
static bool g_inMachine;
static struct rlimit g_files; /* before they were raised */
static bool g_limitsRaised;

/* Real-time priorities. A program that never sleeps must not keep the simulation from being
 * answered, nor another from being started. */
enum
{
    PRIORITY_PROGRAM = 0, /* none: what programs run with */
    PRIORITY_START = 1,   /* until the program is executed */
    PRIORITY_RELAY = 2,
};

static Process*
Find(uint32_t number)
{
    size_t low = 0;
    size_t high = g_count;
    while (low < high)
    {
        const size_t middle = low + (high - low) / 2;
        if (g_processes[middle].number < number)
        {
            low = middle + 1;
        }
        else
        {
            high = middle;
        }
    }
    return low < g_count && g_processes[low].number == number ? &g_processes[low] : NULL;
}

static void
Close(int* fd)
{
    if (*fd >= 0)
    {
        (void)close(*fd);
        *fd = -1;
    }
}

static void
Queue(Process* process)
{
    if (!process->queued)
    {
        process->queued = true;
        ++g_queued;
    }
}

/* ---- what the relay has for itself, and a program must not inherit ---- */

/* The simulation may want many sockets. */
static void
RaiseLimits(void)
{
    const struct rlimit files = {65536, 65536};
    g_limitsRaised = getrlimit(RLIMIT_NOFILE, &g_files) == 0;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

static void
RestoreLimits(void)
{
    if (g_limitsRaised)
    {
        (void)setrlimit(RLIMIT_NOFILE, &g_files);
    }
}

/* What a kernel allows each user follows from its memory, and is inherited from the first process;
 * the machine may stand for a host with more: fork_init() of kernel/fork.c. */
static void
RaiseUserLimits(void)
{
    char text[32];
    if (!g_inMachine || !FileReadText("/proc/sys/kernel/threads-max", text, sizeof(text)))
    {
        return;
    }
    const rlim_t most = strtoul(text, NULL, 10) / 2;
    const struct rlimit user = {most, most};
    if (most > 0)
    {
        (void)setrlimit(RLIMIT_NPROC, &user);
        (void)setrlimit(RLIMIT_SIGPENDING, &user);
    }
}

/* Only in a machine; elsewhere it does nothing. 0: oneself. */
static void
Schedule(pid_t pid, int priority)
{
    if (!g_inMachine)
    {
        return;
    }
    const struct sched_param parameter = {.sched_priority = priority};
    /* musl's own function says that there is none. */
    (void)syscall(SYS_sched_setscheduler, pid, priority > 0 ? SCHED_FIFO : SCHED_OTHER, &parameter);
}

/* Without a limit to real-time processes, the kernel needs no timer to watch over them: each would
 * be a turn. */
static void
AllowRealTime(void)
{
    const int fd = open("/proc/sys/kernel/sched_rt_runtime_us", O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
    {
        (void)!write(fd, "-1\n", 3);
        (void)close(fd);
    }
}

void
ProcessRuleMachine(void)
{
    g_inMachine = true;
    RaiseLimits();
    AllowRealTime();
    Schedule(0, PRIORITY_RELAY);
}

/* ---- starting ---- */

/* What is to be started; the pointers are into the request's body. */
typedef struct Program
{
    const char* directory;
    char** arguments; /* and, after their NULL, the environment with one of its own */
    char** environment;
    uint32_t flags;
} Program;

static int
ReadProgram(const Request* request, Program* program)
{
    RelayProcessStart start;
    memcpy(&start, request->body, sizeof(start));
    const char* at = (const char*)request->body + sizeof(start);
    const char* end = (const char*)request->body + request->length;
    if ((start.flags & ~(uint32_t)(RELAY_PROCESS_INPUT | RELAY_PROCESS_MERGE)) != 0)
    {
        return EINVAL;
    }
    if (start.arguments == 0 || start.arguments > request->length ||
        start.variables > request->length)
    {
        return EBADMSG;
    }
    const size_t texts = 1 + (size_t)start.arguments + start.variables;
    char** list = calloc(texts + 2, sizeof(char*));
    if (!list)
    {
        return ENOMEM;
    }
    program->flags = start.flags;
    program->arguments = list;
    program->environment = list + start.arguments + 1;
    for (size_t i = 0; i < texts; ++i)
    {
        const char* terminator = memchr(at, '\0', (size_t)(end - at));
        if (!terminator)
        {
            return EBADMSG;
        }
        if (i == 0)
        {
            program->directory = at;
        }
        else
        {
            /* exec(2) takes them without const, and leaves them alone. */
            list[i <= start.arguments ? i - 1 : i] = (char*)(uintptr_t)at;
        }
        at = terminator + 1;
    }
    return at == end ? 0 : EBADMSG;
}

static void
MakePipe(int ends[2], bool wanted, int* error)
{
    ends[0] = ends[1] = -1;
    if (!wanted || *error != 0)
    {
        return;
    }
    if (pipe(ends) != 0)
    {
        ends[0] = ends[1] = -1;
        *error = errno;
        return;
    }
    /* Never among the standard ones: those are open. pipe2(2) is newer than some kernels. */
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
}

/* exec(2) by the rules of a shell for finding a program. Returns only with an errno. */
static int
Execute(const Program* program)
{
    const char* name = program->arguments[0];
    if (*name == '\0')
    {
        return ENOENT;
    }
    if (strchr(name, '/'))
    {
        (void)execve(name, program->arguments, program->environment);
        return errno;
    }
    const char* path = DEFAULT_PATH;
    for (char** variable = program->environment; *variable; ++variable)
    {
        if (strncmp(*variable, "PATH=", 5) == 0)
        {
            path = *variable + 5;
            break;
        }
    }
    int error = ENOENT;
    for (;;)
    {
        static char file[4096];
        const size_t directory = strcspn(path, ":");
        const size_t length = strlen(name);
        if (directory + 1 + length >= sizeof(file))
        {
            return ENAMETOOLONG;
        }
        memcpy(file, path, directory);
        size_t at = directory;
        if (directory > 0) /* an empty one is the working directory */
        {
            file[at++] = '/';
        }
        memcpy(file + at, name, length + 1);
        (void)execve(file, program->arguments, program->environment);
        if (errno == EACCES)
        {
            error = EACCES; /* unless there is one elsewhere */
        }
        else if (errno != ENOENT && errno != ENOTDIR)
        {
            return errno;
        }
        path += directory;
        if (*path == '\0')
        {
            return error;
        }
        ++path;
    }
}

/* In the new process: nothing of the relay's own may be left. Its descriptors close on exec. */
static _Noreturn void
Become(const Program* program, int input, int output, int errors, int report)
{
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal <= SIGRTMAX; ++signal)
    {
        (void)sigaction(signal, &action, NULL);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)setsid();
    Schedule(0, PRIORITY_START);
    RestoreLimits();
    RaiseUserLimits();
    /* The pipes' ends are above the standard descriptors, so none of these closes another. */
    int error = 0;
    if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(errors, STDERR_FILENO) < 0 || chdir(program->directory) != 0)
    {
        error = errno;
    }
    if (error == 0)
    {
        error = Execute(program);
    }
    (void)!write(report, &error, sizeof(error));
    _exit(127);
}

/* Waits for the exec, and not for more. 0: the program runs. */
static int
AwaitExecution(int report, pid_t pid)
{
    int error = 0;
    ssize_t got;
    do
    {
        got = read(report, &error, sizeof(error));
    } while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(error))
    {
        return 0; /* closed by the exec, or by an end of its own, which is told as any */
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
    {
    }
    return error;
}

static int
Reserve(void)
{
    if (g_lastNumber == UINT32_MAX)
    {
        return EAGAIN; /* numbers are not used twice */
    }
    if (g_count < g_capacity)
    {
        return 0;
    }
    const size_t capacity = g_capacity * 2 + 16;
    Process* larger = realloc(g_processes, capacity * sizeof(g_processes[0]));
    if (!larger)
    {
        return ENOMEM;
    }
    g_processes = larger;
    g_capacity = capacity;
    return 0;
}

/* Takes our end of a pipe: it does not block, and wakes us. */
static int
TakeEnd(int fd, uint32_t number, uint32_t events)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
    {
        return errno;
    }
    return WaitAdd(fd, events | (uint32_t)EPOLLET, WAIT_PROCESS, number);
}

static int
Start(const Program* program, uint32_t* number)
{
    enum
    {
        INPUT,
        OUTPUT,
        ERRORS,
        REPORT,
        PIPES,
    };

    const bool input = (program->flags & RELAY_PROCESS_INPUT) != 0;
    const bool merge = (program->flags & RELAY_PROCESS_MERGE) != 0;
    int pipes[PIPES][2];
    int error = Reserve();
    MakePipe(pipes[INPUT], input, &error);
    MakePipe(pipes[OUTPUT], true, &error);
    MakePipe(pipes[ERRORS], !merge, &error);
    MakePipe(pipes[REPORT], true, &error);
    if (error == 0 && !input)
    {
        pipes[INPUT][0] = FileOpenDevice("mem", "null", O_RDONLY | O_CLOEXEC);
        error = pipes[INPUT][0] < 0 ? errno : 0;
    }
    const uint32_t next = g_lastNumber + 1;
    if (error == 0 && input)
    {
        error = TakeEnd(pipes[INPUT][1], next, EPOLLOUT);
    }
    if (error == 0)
    {
        error = TakeEnd(pipes[OUTPUT][0], next, EPOLLIN);
    }
    if (error == 0 && !merge)
    {
        error = TakeEnd(pipes[ERRORS][0], next, EPOLLIN);
    }
    if (error == 0)
    {
        const int errors = pipes[merge ? OUTPUT : ERRORS][1];
        const pid_t pid = fork();
        if (pid == 0)
        {
            Become(program, pipes[INPUT][0], pipes[OUTPUT][1], errors, pipes[REPORT][1]);
        }
        Close(&pipes[REPORT][1]);
        error = pid < 0 ? errno : AwaitExecution(pipes[REPORT][0], pid);
        if (error == 0)
        {
            /* It has not executed an instruction of its own: our priority is the higher one. */
            Schedule(pid, PRIORITY_PROGRAM);
            g_processes[g_count++] = (Process){
                .number = next,
                .pid = pid,
                .input = pipes[INPUT][1],
                .output = {pipes[OUTPUT][0], pipes[ERRORS][0]},
            };
            *number = g_lastNumber = next;
            pipes[INPUT][1] = pipes[OUTPUT][0] = pipes[ERRORS][0] = -1;
        }
    }
    for (int i = 0; i < PIPES; ++i)
    {
        Close(&pipes[i][0]);
        Close(&pipes[i][1]);
    }
    return error;
}

int
ProcessStart(Request* request)
{
    Program program = {0};
    RelayProcess started = {0};
    int error = ReadProgram(request, &program);
    if (error == 0)
    {
        if (*program.directory == '\0')
        {
            program.directory = "/";
        }
        error = Start(&program, &started.process);
    }
    free(program.arguments);
    memcpy(request->reply, &started, sizeof(started));
    request->replyLength = sizeof(started);
    return error;
}

/* ---- while it runs ---- */

int
ProcessWrite(Request* request)
{
    RelayProcess wanted;
    RelayCount count = {0};
    memcpy(&wanted, request->body, sizeof(wanted));
    Process* process = Find(wanted.process);
    if (!process)
    {
        return ESRCH;
    }
    const size_t length = request->length - sizeof(wanted);
    if (length == 0)
    {
        Close(&process->input);
    }
    else
    {
        if (process->input < 0)
        {
            return EPIPE;
        }
        ssize_t written;
        do
        {
            written = write(process->input, request->body + sizeof(wanted), length);
        } while (written < 0 && errno == EINTR);
        if (written == 0)
        {
            return EIO; /* the simulator would try again for ever */
        }
        if (written < 0 && errno != EAGAIN)
        {
            return errno;
        }
        count.bytes = written > 0 ? (uint32_t)written : 0;
        process->inputFull = count.bytes < length;
    }
    memcpy(request->reply, &count, sizeof(count));
    request->replyLength = sizeof(count);
    return 0;
}

/* Each program leads a process group, so its children get the signal as well. */
int
ProcessSignal(Request* request)
{
    RelayProcessSignal wanted;
    memcpy(&wanted, request->body, sizeof(wanted));
    const Process* process = Find(wanted.process);
    if (!process)
    {
        return ESRCH;
    }
    if (wanted.signal == 0 || wanted.signal > (uint32_t)SIGRTMAX)
    {
        return EINVAL;
    }
    return kill(-process->pid, (int)wanted.signal) == 0 ? 0 : errno;
}

void
ProcessWake(uint32_t number)
{
    Process* process = Find(number);
    if (process)
    {
        Queue(process);
    }
}

/* ---- its end ---- */

static void
OnChild(int signal)
{
    (void)signal;
    int error = errno;
    /* Full means that it is readable, which is all that is needed. */
    (void)!write(g_childPipe[1], "", 1);
    errno = error;
}

void
ProcessPrepare(void)
{
    if (pipe(g_childPipe) != 0)
    {
        Fatal("cannot make a pipe: %s", strerror(errno));
    }
    for (int i = 0; i < 2; ++i)
    {
        (void)fcntl(g_childPipe[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(g_childPipe[i], F_SETFL, O_NONBLOCK);
    }
    const int error = WaitAdd(g_childPipe[0], EPOLLIN, WAIT_CHILDREN, 0);
    if (error != 0)
    {
        Fatal("cannot hear of children: %s", strerror(error));
    }
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_handler = OnChild;
    action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    (void)sigaction(SIGCHLD, &action, NULL);
}

/* A child has ended, one of these or not; `status` is wait(2)'s. */
static void
End(pid_t pid, int status)
{
    for (size_t i = 0; i < g_count; ++i)
    {
        Process* process = &g_processes[i];
        if (process->pid != pid || process->ended)
        {
            continue;
        }
        process->ended = true;
        process->status = status;
        process->inputFull = false;
        Close(&process->input);
        for (int stream = 0; stream < OUTPUTS; ++stream)
        {
            int unread = 0;
            if (process->output[stream] >= 0 &&
                ioctl(process->output[stream], FIONREAD, &unread) == 0)
            {
                process->unread[stream] = (uint32_t)unread;
            }
        }
        Queue(process);
        return;
    }
}

void
ProcessReap(void)
{
    char discarded[64];
    while (read(g_childPipe[0], discarded, sizeof(discarded)) > 0)
    {
    }
    pid_t pid;
    int status;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    {
        End(pid, status);
    }
}

/* ---- what is told of it ---- */

/* Tells what there is, one message at most. Returns whether there may be more. */
static bool
TellOutput(Process* process, uint32_t stream)
{
    int* fd = &process->output[stream];
    if (*fd < 0)
    {
        return false;
    }
    if (!ChannelHasRoom())
    {
        return true;
    }
    const RelayProcessOutput head = {.process = process->number, .stream = stream + 1};
    uint8_t* body = ChannelBody();
    ssize_t got;
    do
    {
        got = read(*fd, body + sizeof(head), OUTPUT_MAX);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
    {
        process->unread[stream] = 0;
        return false; /* more of it is an edge */
    }
    if (got <= 0)
    {
        process->unread[stream] = 0;
        Close(fd);
        return false;
    }
    memcpy(body, &head, sizeof(head));
    ChannelCommit(RELAY_EVENT_OUTPUT, 0, 0, (uint32_t)(sizeof(head) + (size_t)got));
    const uint32_t told = (uint32_t)got;
    process->unread[stream] -= told < process->unread[stream] ? told : process->unread[stream];
    return true;
}

static bool
InputHasRoom(const Process* process)
{
    struct pollfd poller = {.fd = process->input, .events = POLLOUT};
    return poll(&poller, 1, 0) > 0;
}

static void
Serve(Process* process)
{
    bool more = false;
    for (uint32_t stream = 0; stream < OUTPUTS; ++stream)
    {
        more |= TellOutput(process, stream);
    }
    if (process->inputFull && (process->input < 0 || InputHasRoom(process)))
    {
        if (ChannelHasRoom())
        {
            const RelayProcess room = {process->number};
            process->inputFull = false;
            ChannelEvent(RELAY_EVENT_INPUT, &room, sizeof(room));
        }
        else
        {
            more = true;
        }
    }
    if (process->ended && !process->told && process->unread[0] == 0 && process->unread[1] == 0)
    {
        if (ChannelHasRoom())
        {
            const int status = process->status;
            const RelayProcessExit end = {
                .process = process->number,
                .code = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0,
                .signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0,
            };
            process->told = true;
            ChannelEvent(RELAY_EVENT_EXIT, &end, sizeof(end));
        }
        else
        {
            more = true;
        }
    }
    if (more)
    {
        Queue(process);
    }
}

static bool
IsOver(const Process* process)
{
    return process->told && process->output[0] < 0 && process->output[1] < 0;
}

bool
ProcessHasWork(void)
{
    return g_queued > 0;
}

void
ProcessServe(void)
{
    if (g_queued == 0)
    {
        return;
    }
    g_queued = 0;
    size_t kept = 0;
    for (size_t i = 0; i < g_count; ++i)
    {
        Process* process = &g_processes[i];
        if (process->queued)
        {
            process->queued = false;
            Serve(process);
        }
        if (!IsOver(process))
        {
            g_processes[kept++] = *process;
        }
    }
    g_count = kept;
}

void
ProcessEndAll(void)
{
    for (size_t i = 0; i < g_count; ++i)
    {
        (void)kill(-g_processes[i].pid, SIGKILL);
    }
}
