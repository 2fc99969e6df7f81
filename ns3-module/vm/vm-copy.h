/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A copy of a virtual machine, to look at. POSIX only: it knows no ns-3.
 */
#ifndef NS3_QEMU_VM_COPY_H
#define NS3_QEMU_VM_COPY_H

#include "relay-client.h"
#include "vm-link.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ns3qemu
{

/**
 * A throw-away copy of a VM, as the VM is at a simulated time. Whatever is done in the copy, the VM
 * has not done it: it has not executed an instruction for it. QEMU makes the copy by a fork, so it
 * costs milliseconds and the memory that it changes.
 *
 * It has the guest's processes, sockets and tables. What it sends is lost, and nothing arrives. Its
 * time stands still while it has nothing to wait for, and goes on as long as a program needs.
 *
 * A copy that fails, or whose VM has ended, throws VmError; its VM goes on.
 */
class VmCopy : private VmOutput
{
  public:
    /** What a program in the copy has come to. */
    struct Result
    {
        std::string output;  //!< what it has written to its standard output
        std::string errors;  //!< and to its standard error
        int exitCode{0};     //!< 128 + the signal that has ended it
        int64_t duration{0}; //!< how much time it took in the copy, in ns
    };

    /** Asks the VM about its copy: see VmLink::AskForCopy. */
    using Ask = std::function<uint32_t(uint32_t flags)>;
    /** Called now and then while waiting; may throw to end the wait. */
    using Interrupt = std::function<void()>;

    /** How the VM was when it was copied. */
    struct Origin
    {
        std::string name;      //!< the VM's, in messages
        int64_t vmTime{0};     //!< VM time in ns
        VmAnswer answer;       //!< how its last turn ended
        size_t relayChunk{0};  //!< bytes that the relay's port takes at once
        uint32_t busyTurns{0}; //!< how many turns a request may take beside the one that has it
        Interrupt interrupt;   //!< or null
    };

    /**
     * Make a copy.
     * @param origin how the VM is
     * @param link the VM's
     * @param relay the VM's
     * @param ask to make, look after and end the copy
     */
    VmCopy(Origin origin, const VmLink& link, const RelayClient& relay, Ask ask);
    /** Ends the copy. */
    ~VmCopy() override;
    VmCopy(const VmCopy&) = delete;
    VmCopy& operator=(const VmCopy&) = delete;

    /**
     * Run a program in the copy, until it has ended.
     * @param program what to run; its standard input is empty
     * @param limit how long it may take, in ns of the copy's time
     * @throw GuestError if it cannot be started
     * @throw VmError if it has not ended by then, or never would
     */
    Result Run(const GuestProgram& program, int64_t limit = 60'000'000'000);

    /** @return the contents of a file of the copy */
    std::string ReadFile(const std::string& path);
    /** Write a file of the copy, as RelayClient::WriteFile. */
    void WriteFile(const std::string& path, const std::string& data, uint32_t mode = 0644);
    /** Pass a request on to the copy's netlink, as PassNetlink. */
    std::string Netlink(uint32_t protocol, const std::string& request);

    /** The VM has ended, and with it its copy. */
    void Forget();

  private:
    void OnFrame(unsigned nic, const uint8_t* data, size_t length) override;
    void OnSerial(unsigned port, const uint8_t* data, size_t length) override;

    void SendToRelay(Span<const ByteSpan> message);
    void RunTurn(int64_t vmTime, uint32_t flags);
    bool GoOn(int64_t last);
    void LookAfter();
    void End();
    [[noreturn]] void Fail(const std::string& reason);

    Origin m_origin;
    Ask m_ask; // null: there is nobody to ask any more
    std::unique_ptr<VmLink> m_link;
    RelayClient m_relay;
    VmAnswer m_answer;
    int64_t m_vmTime;
    std::vector<uint8_t> m_relayInput;
};

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_COPY_H */
