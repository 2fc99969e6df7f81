/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-zygote.h"

#include "descriptor.h"
#include "sim-link.h"
#include "vm-sandbox.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <mutex>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

/* How often a wait for an answer is interrupted, in ms, and when it is given up, in s. It takes a
 * tenth of a second for the first VM and some ms for others. */
constexpr int WAIT_INTERVAL = 50;
constexpr time_t WAIT_LIMIT = 120;

/* Zygotes that a thread keeps: the memory of each is that of a VM. */
constexpr size_t ZYGOTES_MAX = 8;

[[noreturn]] void
ThrowErrno(const std::string& what)
{
    throw ZygoteError(what + ": " + DescribeErrno(errno));
}

/*
 * While there is one, this process adopts the orphans of its children: a VM, when the process
 * between it and its zygote has ended. Not for longer, for it would get to be a parent of what
 * others of its children leave behind.
 */
class Adoption
{
  public:
    Adoption()
    {
        const std::lock_guard<std::mutex> lock(s_mutex);
        if (s_count++ == 0)
        {
            prctl(PR_GET_CHILD_SUBREAPER, &s_before, 0, 0, 0);
            prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        }
    }

    ~Adoption()
    {
        const std::lock_guard<std::mutex> lock(s_mutex);
        if (--s_count == 0 && s_before == 0)
        {
            prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
        }
    }

    Adoption(const Adoption&) = delete;
    Adoption& operator=(const Adoption&) = delete;

  private:
    static std::mutex s_mutex;
    static int s_count;
    static int s_before;
};

std::mutex Adoption::s_mutex;
int Adoption::s_count = 0;
int Adoption::s_before = 0;

/* A pipe for one byte: without it a VM ends that is there already. */
class Permission
{
  public:
    Permission()
    {
        if (pipe2(m_ends.data(), O_CLOEXEC) != 0)
        {
            ThrowErrno("no pipe");
        }
    }

    ~Permission()
    {
        close(m_ends[0]);
        close(m_ends[1]);
    }

    Permission(const Permission&) = delete;
    Permission& operator=(const Permission&) = delete;

    int GetEnd() const
    {
        return m_ends[0];
    }

    void Give() const
    {
        (void)!write(m_ends[1], "", 1); // there is room for it
    }

  private:
    std::array<int, 2> m_ends{-1, -1};
};

time_t
Now()
{
    timespec ts{};
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
}

bool
IsChild(pid_t pid)
{
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

} // namespace

VmZygote::VmZygote(const std::vector<std::string>& command,
                   const std::optional<std::vector<std::string>>& writable)
{
    std::array<int, 2> sockets{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets.data()) != 0)
    {
        ThrowErrno("no sockets");
    }
    m_socket = sockets[0];
    try
    {
        m_process =
            std::make_unique<VmProcess>(command,
                                        std::vector<int>{m_link.GetFileDescriptor(), sockets[1]},
                                        writable);
    }
    catch (const VmError& error)
    {
        close(sockets[0]);
        close(sockets[1]);
        throw ZygoteError(error.what());
    }
    close(sockets[1]);
}

VmZygote::~VmZygote()
{
    close(m_socket);
    m_process->End(0);
}

bool
VmZygote::IsOurs() const
{
    return m_process->IsOurs();
}

pid_t
VmZygote::GetPid() const
{
    return m_process->GetPid();
}

pid_t
VmZygote::Fork(const Vm& vm, int output, const Interrupt& interrupt)
{
    const Adoption adoption;
    const Permission permission;
    std::optional<ProcessRules> rules;
    std::vector<int> descriptors{vm.region, output, permission.GetEnd()};
    if (vm.writable)
    {
        rules.emplace(*vm.writable);
        if (rules->GetFileDescriptor() >= 0)
        {
            descriptors.push_back(rules->GetFileDescriptor());
        }
    }
    Ask({vm.seed, SIM_ZYGOTE_FORK, 0}, descriptors);
    const pid_t pid = WaitForAnswer(interrupt);
    if (pid <= 0 || !IsChild(pid))
    {
        throw ZygoteError("its child is none of ours");
    }
    permission.Give();
    return pid;
}

uint32_t
VmZygote::Translate(const std::vector<SimLinkBlock>& blocks, const Interrupt& interrupt)
{
    const Descriptor file(memfd_create("vm-blocks", MFD_CLOEXEC));
    const size_t size = blocks.size() * sizeof(SimLinkBlock);
    if (file.Get() < 0 || write(file.Get(), blocks.data(), size) != static_cast<ssize_t>(size))
    {
        ThrowErrno("no list of code");
    }
    Ask({0, SIM_ZYGOTE_TRANSLATE, static_cast<uint32_t>(blocks.size())}, {file.Get()});
    return static_cast<uint32_t>(WaitForAnswer(interrupt));
}

void
VmZygote::Ask(const SimZygoteRequest& request, const std::vector<int>& descriptors)
{
    SimZygoteRequest sent = request;
    iovec part{&sent, sizeof(sent)};
    const size_t size = descriptors.size() * sizeof(int);
    alignas(cmsghdr) std::array<char, CMSG_SPACE(4 * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(size);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(header), descriptors.data(), size);
    if (sendmsg(m_socket, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof(sent)))
    {
        if (errno == EPIPE || errno == ECONNRESET)
        {
            throw ZygoteError(DescribeEnd());
        }
        ThrowErrno("it cannot be asked");
    }
}

int32_t
VmZygote::WaitForAnswer(const Interrupt& interrupt)
{
    const time_t limit = Now() + WAIT_LIMIT;
    pollfd answered{m_socket, POLLIN, 0};
    while (poll(&answered, 1, WAIT_INTERVAL) <= 0)
    {
        if (interrupt)
        {
            interrupt();
        }
        if (Now() > limit)
        {
            throw ZygoteError("it has not answered for " + std::to_string(WAIT_LIMIT) + " s");
        }
    }
    SimZygoteReply reply{};
    const ssize_t length = recv(m_socket, &reply, sizeof(reply), 0);
    if (length != static_cast<ssize_t>(sizeof(reply)))
    {
        throw ZygoteError(DescribeEnd());
    }
    if (reply.error != 0)
    {
        throw ZygoteError("it does not do it: " + DescribeErrno(reply.error));
    }
    return reply.pid;
}

/* Its socket is closed. */
std::string
VmZygote::DescribeEnd()
{
    m_process->End(0);
    std::string messages = m_process->GetMessages();
    while (!messages.empty() && messages.back() == '\n')
    {
        messages.pop_back();
    }
    return "it " + m_process->DescribeExit() + (messages.empty() ? "" : ": " + messages);
}

VmZygotes&
VmZygotes::Get()
{
    /* Of a thread, for a zygote ends with the one that has started it. */
    thread_local VmZygotes zygotes;
    return zygotes;
}

VmZygotes::Kind&
VmZygotes::Find(const std::string& key)
{
    /* A child that this process forks has those of its parent in its memory. */
    m_kinds.remove_if([](const Kind& kind) { return kind.zygote && !kind.zygote->IsOurs(); });
    const auto found = std::find_if(m_kinds.begin(), m_kinds.end(), [&](const Kind& kind) {
        return kind.key == key;
    });
    if (found != m_kinds.end())
    {
        m_kinds.splice(m_kinds.end(), m_kinds, found);
        return m_kinds.back();
    }
    if (m_kinds.size() >= ZYGOTES_MAX)
    {
        m_kinds.pop_front();
    }
    m_kinds.emplace_back();
    m_kinds.back().key = key;
    return m_kinds.back();
}

std::unique_ptr<VmProcess>
VmZygotes::Fork(const std::vector<std::string>& command,
                const std::optional<std::vector<std::string>>& writable,
                const std::string& content,
                const VmZygote::Vm& vm,
                const Warming& warming,
                const VmZygote::Interrupt& interrupt,
                const Reporter& reporter)
{
    std::string key = content;
    for (const auto& word : command)
    {
        key += '\0' + word;
    }
    if (Find(key).failed)
    {
        return nullptr;
    }
    try
    {
        auto zygote = Find(key).zygote;
        if (!zygote)
        {
            zygote = std::make_shared<VmZygote>(command, writable);
            Find(key).zygote = zygote;
        }
        if (!Find(key).warmed && Find(key).forked >= warming.after)
        {
            Find(key).warmed = true;
            const auto blocks = warming.blocks();
            if (Find(key).failed)
            {
                return nullptr; // under those that were made to find out
            }
            try
            {
                Find(key).blocks = zygote->Translate(blocks, interrupt);
            }
            catch (const ZygoteError& error)
            {
                if (warming.failed)
                {
                    warming.failed(error.what());
                }
                zygote = std::make_shared<VmZygote>(command, writable);
                Find(key).zygote = zygote;
            }
        }
        auto process = std::make_unique<VmProcess>(
            [&](int output) { return zygote->Fork(vm, output, interrupt); });
        Find(key).forked++;
        return process;
    }
    catch (const ZygoteError& error)
    {
        Find(key).zygote.reset();
        Find(key).failed = true;
        if (reporter)
        {
            reporter(error.what());
        }
        return nullptr;
    }
    catch (...)
    {
        Find(key).zygote.reset(); // its answer may still come
        throw;
    }
}

std::vector<pid_t>
VmZygotes::GetPids() const
{
    std::vector<pid_t> pids;
    for (const auto& kind : m_kinds)
    {
        if (kind.zygote && kind.zygote->IsOurs())
        {
            pids.push_back(kind.zygote->GetPid());
        }
    }
    return pids;
}

std::vector<uint32_t>
VmZygotes::GetBlocks() const
{
    std::vector<uint32_t> blocks;
    for (const auto& kind : m_kinds)
    {
        if (kind.zygote && kind.zygote->IsOurs())
        {
            blocks.push_back(kind.blocks);
        }
    }
    return blocks;
}

} // namespace ns3qemu
