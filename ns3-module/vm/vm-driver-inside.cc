/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * How somebody looks into a VM of a VmDriver without its having a turn.
 */
#include "vm-driver.h"
#include "vm-error.h"

namespace ns3qemu
{

namespace
{

/* How many more turns a request in a copy may take than the one that delivers it. */
constexpr uint32_t COPY_REQUEST_TURNS = 100;

} // namespace

/* @return the number that QEMU has a socket by, or -1 if there is to be none */
int
VmDriver::Inherit(std::unique_ptr<ListeningSocket>& socket,
                  const std::string& path,
                  std::vector<int>& descriptors) const
{
    if (path.empty())
    {
        return -1;
    }
    try
    {
        socket = std::make_unique<ListeningSocket>(path);
    }
    catch (const VmError& error)
    {
        throw VmError("VM '" + m_config.name + "': " + error.what());
    }
    descriptors.push_back(socket->GetFileDescriptor());
    return VmProcess::LINK_FD + static_cast<int>(descriptors.size()) - 1;
}

/* Not before simulated time 0: a machine that is restored cannot be stopped by a debugger, and one
 * that boots has a clock that goes on. */
void
VmDriver::Publish()
{
    for (const auto& socket : {m_monitor.get(), m_gdb.get()})
    {
        if (socket)
        {
            socket->Publish();
        }
    }
}

std::shared_ptr<VmCopy>
VmDriver::Copy(int64_t time)
{
    const std::string name = "VM '" + m_config.name + "' cannot be looked at: ";
    CheckRunning();
    TakeAhead(true);
    if (m_state != State::RUNNING || time < GetTime())
    {
        throw VmError(name + (IsAhead() ? "it has gone ahead of the simulation (attribute Parallel)"
                                        : "the simulation has not begun for it"));
    }
    if (!m_config.copies)
    {
        throw VmError(name + "set its attribute Copies to true before the simulation runs");
    }
    if (!m_config.counts.empty())
    {
        throw VmError(name + "what it does is counted, and a copy of it would count on");
    }
    if (!m_config.keepDisks.empty())
    {
        throw VmError(name + "its disks are kept (attribute KeepDisks), and a copy of the machine "
                             "would write into their files");
    }
    if (const auto other = m_copy.lock())
    {
        if (AskForCopy(SIM_LINK_COPY_CHECK) != 0)
        {
            other->Forget(); // it has failed, and is still held
        }
        else
        {
            throw VmError(name + "somebody does already; let go of the other copy first");
        }
    }
    if (m_relay.IsAwaiting())
    {
        throw VmError(name + "it is in the midst of a request");
    }
    AskForCopy(SIM_LINK_COPY_END); // what may be left of one that was given up within a turn
    VmCopy::Origin origin;
    origin.name = m_config.name;
    origin.vmTime = time + m_base;
    origin.answer = m_answer;
    origin.relayChunk = m_relayChunk;
    origin.busyTurns = COPY_REQUEST_TURNS;
    origin.interrupt = m_interrupt;
    auto copy =
        std::make_shared<VmCopy>(std::move(origin), *m_link, m_relay, [this](uint32_t flags) {
            return AskForCopy(flags);
        });
    m_copy = copy;
    return copy;
}

} // namespace ns3qemu
