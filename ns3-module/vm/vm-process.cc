/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-process.h"

#include "vm-error.h"
#include "vm-sandbox.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <pthread.h>
#include <string_view>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

/* What is shown of a process's output when it has failed, in bytes. */
constexpr off_t MESSAGES_MAX = 4096;

/* In the child: above the numbers that it inherits. */
constexpr int FREE_FD = 10;

/*
 * QEMU computes FSIN, FCOS, FSINCOS and FPTAN with the host's libm, which takes other code, with
 * other last bits, where the CPU has FMA. All VMs get what every CPU can do, so that a guest's
 * results are the same on another machine. It is not what a turn's time goes into.
 */
constexpr char TUNABLES[] = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-FMA4";

/*
 * In the child, between fork and exec: only calls that are safe there. Reports by its exit status,
 * the reason goes to the output that the parent keeps.
 */
[[noreturn]] void
RunChild(char* const* argv,
         char* const* environment,
         int* descriptors,
         int count,
         int outputFd,
         pid_t parent,
         const ProcessRules* rules)
{
    /* The child must not be left alone if the parent died before this call. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
    {
        _exit(126);
    }
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);

    /*
     * The same addresses in every VM: as far as machines of one image have translated the same
     * code, it lies at the same places, and the CPU's branch predictors, which know only addresses,
     * stay warm when one VM's turn follows another's. Equal turns become 1.6 times as fast, those
     * of a TCP sender and its receiver some 5 %. Not vital, so unchecked.
     */
    personality(ADDR_NO_RANDOMIZE);

    const int null = open("/dev/null", O_RDONLY);
    /* Out of the way of the numbers that are assigned next; these copies close on exec. */
    const int output = fcntl(outputFd, F_DUPFD_CLOEXEC, FREE_FD);
    if (null < 0 || output < 0)
    {
        _exit(126);
    }
    for (int i = 0; i < count; i++)
    {
        descriptors[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, FREE_FD);
    }
    if (dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
    {
        _exit(126);
    }
    for (int i = 0; i < count; i++)
    {
        if (descriptors[i] < 0 || dup2(descriptors[i], VmProcess::LINK_FD + i) < 0)
        {
            _exit(126);
        }
    }
    if (rules)
    {
        rules->Enter();
    }
    /* Nothing else is inherited; the copies above are closed here, too. */
    syscall(SYS_close_range, VmProcess::LINK_FD + count, ~0U, 0);
    execve(argv[0], argv, environment);
    const char* reason = std::strerror(errno);
    (void)!write(STDERR_FILENO, "cannot be executed: ", 20);
    (void)!write(STDERR_FILENO, reason, std::strlen(reason));
    _exit(127);
}

/* @return what it is usually, if somebody else can do something about it */
std::string
GetUsualCause(int number)
{
    switch (number)
    {
    case SIGBUS:
        return ": a file that it has in its memory (of its image, or a disk that is kept) has "
               "become shorter, cannot be read, or is on a file system that is full";
    case SIGKILL:
        return ", by somebody, or by the host's kernel for want of memory";
    case SIGXFSZ:
        return ": a file would have exceeded `ulimit -f`";
    default:
        return "";
    }
}

/* What a VM's process has for an environment: this one's, with the above. */
std::vector<char*>
GetEnvironment()
{
    const std::string_view name(TUNABLES, std::strchr(TUNABLES, '=') + 1 - TUNABLES);
    std::vector<char*> environment;
    for (char** variable = environ; *variable; variable++)
    {
        if (std::string_view(*variable).substr(0, name.size()) != name)
        {
            environment.push_back(*variable);
        }
    }
    environment.push_back(const_cast<char*>(TUNABLES));
    environment.push_back(nullptr);
    return environment;
}

/* How many forks lie between this process and the one that was executed. */
unsigned
GetForks()
{
    static unsigned forks = 0;
    static const int registered = pthread_atfork(nullptr, nullptr, []() { forks++; });
    (void)registered;
    return forks;
}

} // namespace

VmProcess::VmProcess(const std::vector<std::string>& arguments,
                     const std::vector<int>& descriptors,
                     const std::optional<std::vector<std::string>>& writable)
{
    if (arguments.empty() || access(arguments[0].c_str(), X_OK) != 0)
    {
        throw VmError("cannot start '" + (arguments.empty() ? std::string() : arguments[0]) +
                      "': " + std::strerror(arguments.empty() ? ENOENT : errno));
    }
    std::vector<char*> argv;
    for (const auto& argument : arguments)
    {
        argv.push_back(const_cast<char*>(argument.c_str()));
    }
    argv.push_back(nullptr);
    std::vector<int> numbers = descriptors;

    MakeOutput();
    std::optional<ProcessRules> rules;
    if (writable)
    {
        rules.emplace(*writable);
    }
    const auto environment = GetEnvironment();
    const pid_t parent = getpid();
    m_forks = GetForks();
    m_pid = fork();
    if (m_pid == 0)
    {
        RunChild(argv.data(),
                 environment.data(),
                 numbers.data(),
                 static_cast<int>(numbers.size()),
                 m_outputFd,
                 parent,
                 rules ? &*rules : nullptr);
    }
    Watch();
}

VmProcess::VmProcess(const std::function<pid_t(int output)>& make)
{
    MakeOutput();
    m_forks = GetForks();
    try
    {
        m_pid = make(m_outputFd);
    }
    catch (...)
    {
        close(m_outputFd);
        throw;
    }
    Watch();
}

void
VmProcess::MakeOutput()
{
    m_outputFd = memfd_create("vm-output", MFD_CLOEXEC);
    if (m_outputFd < 0)
    {
        throw VmError("cannot start QEMU: " + DescribeErrno(errno));
    }
}

/* There is a process now, or errno says why there is none. */
void
VmProcess::Watch()
{
    if (m_pid > 0)
    {
        m_pidFd = static_cast<int>(syscall(SYS_pidfd_open, m_pid, 0));
    }
    if (m_pid < 0 || m_pidFd < 0)
    {
        const std::string reason = DescribeErrno(errno);
        if (m_pid > 0)
        {
            kill(m_pid, SIGKILL);
            waitpid(m_pid, nullptr, 0);
        }
        close(m_outputFd);
        throw VmError("cannot start QEMU: " + reason);
    }
}

VmProcess::~VmProcess()
{
    End(0);
    close(m_pidFd);
    close(m_outputFd);
}

pid_t
VmProcess::GetPid() const
{
    return m_pid;
}

bool
VmProcess::IsOurs() const
{
    return m_forks == GetForks();
}

bool
VmProcess::Reap(int timeout)
{
    if (m_exited)
    {
        return true;
    }
    pollfd fd{m_pidFd, POLLIN, 0};
    if (poll(&fd, 1, timeout) <= 0)
    {
        return false;
    }
    pid_t result;
    do
    {
        result = waitpid(m_pid, &m_status, 0);
    } while (result < 0 && errno == EINTR);
    m_exited = true;
    return true;
}

bool
VmProcess::IsAlive()
{
    return !Reap(0);
}

void
VmProcess::End(int grace)
{
    if (!IsOurs())
    {
        return;
    }
    if (!Reap(grace))
    {
        kill(m_pid, SIGKILL);
        /* SIGKILL cannot be refused; poll again if a signal of our own interrupts the wait. */
        while (!Reap(-1))
        {
        }
    }
}

void
VmProcess::Signal(int number) const
{
    syscall(SYS_pidfd_send_signal, m_pidFd, number, nullptr, 0);
}

char
VmProcess::GetState() const
{
    std::ifstream file("/proc/" + std::to_string(m_pid) + "/stat");
    std::string line;
    std::getline(file, line);
    /* After the program's name, which may hold anything. */
    const size_t name = line.rfind(") ");
    return name == std::string::npos || name + 2 >= line.size() ? '?' : line[name + 2];
}

int64_t
VmProcess::GetCpuTime() const
{
    clockid_t clock;
    timespec used{};
    if (clock_getcpuclockid(m_pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
    {
        return 0;
    }
    return static_cast<int64_t>(used.tv_sec) * 1'000'000'000 + used.tv_nsec;
}

std::string
VmProcess::DescribeExit()
{
    if (IsAlive())
    {
        return "is running";
    }
    if (WIFSIGNALED(m_status))
    {
        const int number = WTERMSIG(m_status);
        return "was killed by signal " + std::to_string(number) + " (" + strsignal(number) + ")" +
               GetUsualCause(number);
    }
    return "exited with status " + std::to_string(WEXITSTATUS(m_status));
}

std::string
VmProcess::GetMessages() const
{
    /* Not lseek: the child writes at the same file offset. */
    struct stat status{};
    fstat(m_outputFd, &status);
    const off_t size = status.st_size;
    const off_t length = std::min(size, MESSAGES_MAX);
    std::string text(static_cast<size_t>(std::max<off_t>(length, 0)), '\0');
    const ssize_t n = pread(m_outputFd, text.data(), text.size(), size - length);
    text.resize(static_cast<size_t>(std::max<ssize_t>(n, 0)));
    return text;
}

} // namespace ns3qemu
