/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-copy.h"

#include "format-seconds.h"
#include "guest-netlink.h"
#include "vm-error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ns3qemu
{

namespace
{

/* What a program may write, in bytes: more is none that somebody reads. */
constexpr size_t OUTPUT_MAX = 64 * 1024 * 1024;

/* How long the relay may need for a request, in ns of the copy's time: it may wait for a disk. */
constexpr int64_t PATIENCE = 60'000'000'000;

} // namespace

VmCopy::VmCopy(Origin origin, const VmLink& link, const RelayClient& relay, Ask ask)
    : m_origin(std::move(origin)),
      m_ask(std::move(ask)),
      m_link(std::make_unique<VmLink>(VmLink::CopyOf{link})),
      m_relay(relay, [this](Span<const ByteSpan> message) { SendToRelay(message); }),
      m_answer(m_origin.answer),
      m_vmTime(m_origin.vmTime)
{
    m_link->SetWatch([this](int64_t) { LookAfter(); });
    const uint32_t error = m_ask(SIM_LINK_COPY_MAKE);
    if (error != 0)
    {
        m_ask = nullptr;
        Fail(std::string("it cannot be made: ") + std::strerror(static_cast<int>(error)));
    }
}

VmCopy::~VmCopy()
{
    End();
}

void
VmCopy::End()
{
    if (!m_ask)
    {
        return;
    }
    try
    {
        m_ask(SIM_LINK_COPY_END);
    }
    catch (const VmError&)
    {
        /* The VM has failed, and says so itself when it is next asked for something. */
    }
    m_ask = nullptr;
}

void
VmCopy::Forget()
{
    m_ask = nullptr;
}

void
VmCopy::Fail(const std::string& reason)
{
    throw VmError("the copy of VM '" + m_origin.name + "': " + reason);
}

void
VmCopy::LookAfter()
{
    if (m_origin.interrupt)
    {
        m_origin.interrupt();
    }
    if (!m_ask || m_ask(SIM_LINK_COPY_CHECK) != 0)
    {
        Fail("it has ended");
    }
}

void
VmCopy::OnFrame(unsigned /* nic */, const uint8_t* /* data */, size_t /* length */)
{
    /* What a copy sends it sends to nobody. */
}

void
VmCopy::OnSerial(unsigned port, const uint8_t* data, size_t length)
{
    if (port == SIM_LINK_RELAY_PORT)
    {
        m_relayInput.insert(m_relayInput.end(), data, data + length);
    }
}

void
VmCopy::RunTurn(int64_t vmTime, uint32_t flags)
{
    if (!m_ask)
    {
        Fail("it has ended");
    }
    m_vmTime = vmTime;
    try
    {
        m_link->Give(SIM_LINK_RUN, vmTime, flags);
        m_answer = m_link->Take(*this);
        if (m_answer.kind == SIM_LINK_FAULT)
        {
            Fail(DescribeSimLinkFault(m_answer.fault));
        }
        std::vector<uint8_t> input;
        input.swap(m_relayInput);
        m_relay.Receive(input.data(), input.size());
    }
    catch (...)
    {
        End();
        throw;
    }
}

/* Let time go on to the next timer. @return false if there is none until then */
bool
VmCopy::GoOn(int64_t last)
{
    if (m_answer.deadline > last)
    {
        return false;
    }
    RunTurn(std::max(m_answer.deadline, m_vmTime), SIM_LINK_RUN_TIMERS);
    return true;
}

void
VmCopy::SendToRelay(Span<const ByteSpan> message)
{
    PieceReader bytes(message);
    do
    {
        m_link->AddSerial(SIM_LINK_RELAY_PORT,
                          bytes,
                          std::min(bytes.GetLeft(), m_origin.relayChunk));
        RunTurn(m_vmTime, 0);
    } while (bytes.GetLeft() > 0);
    /* It may take more instructions than a turn has, and then wait for a disk. */
    for (uint32_t i = 0;
         m_answer.kind == SIM_LINK_BUSY && m_relay.IsAwaiting() && i < m_origin.busyTurns;
         i++)
    {
        RunTurn(m_vmTime, 0);
    }
    const int64_t last = m_vmTime + PATIENCE;
    while (m_relay.IsAwaiting() && GoOn(last))
    {
    }
}

VmCopy::Result
VmCopy::Run(const GuestProgram& program, int64_t limit)
{
    Result result;
    bool ended = false;
    uint32_t process = 0;

    /* It may have ended before its number is known; there may be others of the VM's. */
    struct Output
    {
        uint32_t process;
        int stream;
        std::string text;
    };

    std::vector<Output> outputs;
    std::vector<RelayProcessExit> exits;
    size_t written = 0;
    m_relay.SetOutputHandler([&](uint32_t from, int stream, const uint8_t* data, size_t length) {
        written += length;
        outputs.push_back({from, stream, {reinterpret_cast<const char*>(data), length}});
    });
    m_relay.SetExitHandler([&](const RelayProcessExit& end) { exits.push_back(end); });
    const int64_t begin = m_vmTime;
    process = m_relay.StartProcess(program);
    const auto look = [&]() {
        m_relay.DispatchEvents();
        ended = std::any_of(exits.begin(), exits.end(), [&](const auto& end) {
            return end.process == process;
        });
        return ended;
    };
    while (!look() && written < OUTPUT_MAX && GoOn(begin + limit))
    {
    }
    m_relay.SetOutputHandler(nullptr);
    m_relay.SetExitHandler(nullptr);
    for (const auto& output : outputs)
    {
        if (output.process == process)
        {
            (output.stream == 1 ? result.output : result.errors) += output.text;
        }
    }
    if (!ended && written >= OUTPUT_MAX)
    {
        Fail("'" + program.arguments.at(0) + "' has written 64 MiB and goes on");
    }
    if (!ended)
    {
        Fail("'" + program.arguments.at(0) + "' has not ended after " + FormatSeconds(limit) +
             " of the copy's time, or waits for what never comes: nothing arrives at a copy" +
             (result.output.empty() ? "" : "; it has written:\n" + result.output));
    }
    for (const auto& end : exits)
    {
        if (end.process == process)
        {
            result.exitCode =
                end.signal ? 128 + static_cast<int>(end.signal) : static_cast<int>(end.code);
        }
    }
    result.duration = m_vmTime - begin;
    return result;
}

std::string
VmCopy::ReadFile(const std::string& path)
{
    const auto bytes = m_relay.ReadFile(path);
    return {bytes.begin(), bytes.end()};
}

void
VmCopy::WriteFile(const std::string& path, const std::string& data, uint32_t mode)
{
    m_relay.WriteFile(path, {data.begin(), data.end()}, mode);
}

std::string
VmCopy::Netlink(uint32_t protocol, const std::string& request)
{
    const auto bytes = PassNetlink(m_relay, protocol, {request.begin(), request.end()});
    return {bytes.begin(), bytes.end()};
}

} // namespace ns3qemu
