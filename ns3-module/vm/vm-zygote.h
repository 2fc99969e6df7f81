/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * QEMU processes that VMs are forked from (sim-link.h, "A zygote"). POSIX only.
 */
#ifndef NS3_QEMU_VM_ZYGOTE_H
#define NS3_QEMU_VM_ZYGOTE_H

#include "sim-link.h"
#include "vm-error.h"
#include "vm-link.h"
#include "vm-process.h"

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace ns3qemu
{

/** There is no zygote, or it makes no VM. A VM that is started by itself may be there. */
class ZygoteError : public VmError
{
  public:
    using VmError::VmError;
};

/**
 * One such process, for one kind of machine. It ends with this object, or with the thread that
 * made it; the VMs do not.
 */
class VmZygote
{
  public:
    /** Called now and then while waiting; may throw to end the wait. */
    using Interrupt = std::function<void()>;

    /** What a VM has of its own. */
    struct Vm
    {
        int region;    //!< descriptor of its link's region
        uint64_t seed; //!< of its random numbers
        /** All that it may change, as for VmProcess. */
        std::optional<std::vector<std::string>> writable;
    };

    /** The descriptor that the process has for the socket over which it is asked. */
    static constexpr int SOCKET_FD = VmProcess::LINK_FD + 1;

    /**
     * Start it, without waiting for it.
     * @param command as for VmProcess: of a machine that is restored, whose link has SOCKET_FD for
     *        its zygote
     * @param writable as for VmProcess
     * @throw ZygoteError if it cannot be started
     */
    VmZygote(const std::vector<std::string>& command,
             const std::optional<std::vector<std::string>>& writable);
    ~VmZygote();
    VmZygote(const VmZygote&) = delete;
    VmZygote& operator=(const VmZygote&) = delete;

    /** @return false in a child that this process has forked since */
    bool IsOurs() const;

    /**
     * Make a VM: a child of this process.
     * @param vm what it has of its own
     * @param output descriptor of a file for its messages
     * @param interrupt called while waiting, or none
     * @return its process id
     * @throw ZygoteError if there is none: then this zygote is of no use any more, and so it is
     *        after an exception of the interrupt's
     */
    pid_t Fork(const Vm& vm, int output, const Interrupt& interrupt);

    /**
     * Translate code for the VMs that follow.
     * @param blocks which: what does not fit its memory is left out
     * @param interrupt as for Fork()
     * @return how many blocks there are now
     * @throw ZygoteError as Fork()
     */
    uint32_t Translate(const std::vector<SimLinkBlock>& blocks, const Interrupt& interrupt);

    /** @return its process id */
    pid_t GetPid() const;

  private:
    void Ask(const SimZygoteRequest& request, const std::vector<int>& descriptors);
    int32_t WaitForAnswer(const Interrupt& interrupt);
    std::string DescribeEnd();

    VmLink m_link;
    int m_socket{-1};
    std::unique_ptr<VmProcess> m_process;
};

/**
 * The zygotes of the calling thread: one for each kind of machine that it has asked for lately.
 *
 * One that has failed is not tried again: machines of its kind are then to be started each by
 * itself.
 */
class VmZygotes
{
  public:
    /** What to say of a zygote that has failed, once. */
    using Reporter = std::function<void(const std::string&)>;

    /** When code is translated for all that follow. */
    struct Warming
    {
        uint32_t after; //!< so many of the kind
        /** Called then, once; it may make machines of the same kind itself. */
        std::function<std::vector<SimLinkBlock>()> blocks;
        /** Told why it has not been translated, and another zygote started that has none. */
        std::function<void(const std::string&)> failed;
    };

    /** @return those of this thread */
    static VmZygotes& Get();

    /**
     * Make a VM's process.
     * @param command, writable as for VmZygote
     * @param content what the files look like that the command names
     * @param vm what it has of its own
     * @param warming which code it need not translate
     * @param interrupt called while waiting, or none; what it throws is passed on
     * @param reporter told why there is no process, the first time
     * @return the process, or none if the zygote has failed
     */
    std::unique_ptr<VmProcess> Fork(const std::vector<std::string>& command,
                                    const std::optional<std::vector<std::string>>& writable,
                                    const std::string& content,
                                    const VmZygote::Vm& vm,
                                    const Warming& warming,
                                    const VmZygote::Interrupt& interrupt,
                                    const Reporter& reporter);

    /** @return the process ids of those that there are */
    std::vector<pid_t> GetPids() const;

    /** @return how many blocks of code each of them has translated */
    std::vector<uint32_t> GetBlocks() const;

  private:
    struct Kind
    {
        std::string key;
        std::shared_ptr<VmZygote> zygote;
        bool failed{false};
        uint32_t forked{0};
        bool warmed{false};
        uint32_t blocks{0};
    };

    Kind& Find(const std::string& key);

    std::list<Kind> m_kinds; // the one that was asked for last is the last
};

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_ZYGOTE_H */
