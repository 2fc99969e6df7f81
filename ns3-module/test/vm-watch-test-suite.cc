/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A VM that keeps its turn, in whatever way: the simulator goes on looking after it.
 */
#include "ns3/test.h"
#include "ns3/vm-error.h"
#include "ns3/vm-link.h"

#include <atomic>
#include <climits>
#include <functional>
#include <linux/futex.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

using namespace ns3;
using namespace ns3qemu;

namespace
{

/** Loses all that a VM sends. */
class Nobody : public VmOutput
{
  public:
    void OnFrame(unsigned, const uint8_t*, size_t) override
    {
    }

    void OnSerial(unsigned, const uint8_t*, size_t) override
    {
    }
};

/** A link, and a thread that does at its other end what a VM should not. */
class MisbehavingVm
{
  public:
    /** @param act done again and again until the VM is ended */
    explicit MisbehavingVm(std::function<void(SimLinkHeader&)> act)
        : m_link(SIM_LINK_BOX_MIN)
    {
        void* region = mmap(nullptr,
                            SimLinkRegionSize(SIM_LINK_BOX_MIN),
                            PROT_READ | PROT_WRITE,
                            MAP_SHARED,
                            m_link.GetFileDescriptor(),
                            0);
        m_header = static_cast<SimLinkHeader*>(region);
        m_thread = std::thread([this, act]() {
            while (!m_ended)
            {
                act(*m_header);
            }
        });
    }

    ~MisbehavingVm()
    {
        m_ended = true;
        m_thread.join();
        munmap(m_header, SimLinkRegionSize(SIM_LINK_BOX_MIN));
    }

    /** @return how waiting for its turn to end has ended: what was thrown */
    std::string Wait()
    {
        /* As Ctrl-C and the look at the process do. */
        m_link.SetWatch([](int64_t) { throw std::runtime_error("looked after"); });
        Nobody nobody;
        try
        {
            m_link.Take(nobody);
        }
        catch (const std::exception& error)
        {
            return error.what();
        }
        return "the turn has ended";
    }

  private:
    VmLink m_link;
    SimLinkHeader* m_header;
    std::atomic<bool> m_ended{false};
    std::thread m_thread;
};

void
SetTurn(SimLinkHeader& header, uint32_t turn)
{
    __atomic_store_n(&header.turn, turn, __ATOMIC_RELEASE);
}

} // namespace

/** A turn that is nobody's. */
class WatchTurnWordTestCase : public TestCase
{
  public:
    WatchTurnWordTestCase()
        : TestCase("A turn that is neither side's is refused")
    {
    }

  private:
    void DoRun() override
    {
        for (const uint32_t turn : {0U, 3U, UINT32_MAX})
        {
            MisbehavingVm vm([turn](SimLinkHeader& header) { SetTurn(header, turn); });
            const std::string end = vm.Wait();
            NS_TEST_ASSERT_MSG_NE(end.find("the turn is " + std::to_string(turn)),
                                  std::string::npos,
                                  end);
        }
    }
};

/** A storm of wake-ups. */
class WatchStormTestCase : public TestCase
{
  public:
    WatchStormTestCase()
        : TestCase("A VM that wakes the simulator again and again is looked after")
    {
    }

  private:
    void DoRun() override
    {
        MisbehavingVm vm([](SimLinkHeader& header) {
            syscall(SYS_futex, &header.turn, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
        });
        NS_TEST_ASSERT_MSG_EQ(vm.Wait(), "looked after", "");
    }
};

/** Output without end. */
class WatchOutputTestCase : public TestCase
{
  public:
    WatchOutputTestCase()
        : TestCase("A VM whose output has no end is looked after, and a full outbox is not empty")
    {
    }

  private:
    /** @return what becomes of a VM that hands over a part of a turn again and again */
    std::string Parts(uint32_t length)
    {
        MisbehavingVm vm([length](SimLinkHeader& header) {
            if (__atomic_load_n(&header.turn, __ATOMIC_ACQUIRE) == SIM_LINK_TURN_VM)
            {
                const SimLinkRecord record{SIM_LINK_SERIAL, 1, 0};
                uint8_t* outbox =
                    reinterpret_cast<uint8_t*>(&header) + SIM_LINK_HEADER_SIZE + SIM_LINK_BOX_MIN;
                std::copy_n(reinterpret_cast<const uint8_t*>(&record), sizeof(record), outbox);
                header.answer = SIM_LINK_MORE;
                header.outboxLength = length;
                SetTurn(header, SIM_LINK_TURN_SIMULATOR);
            }
        });
        return vm.Wait();
    }

    void DoRun() override
    {
        NS_TEST_ASSERT_MSG_EQ(Parts(sizeof(SimLinkRecord)), "looked after", "");
        const std::string end = Parts(0);
        NS_TEST_ASSERT_MSG_NE(end.find("full of nothing"), std::string::npos, end);
    }
};

/** A VM that keeps the simulator waiting. */
class VmWatchTestSuite : public TestSuite
{
  public:
    VmWatchTestSuite()
        : TestSuite("qemu-vm-watch", Type::UNIT)
    {
        AddTestCase(new WatchTurnWordTestCase());
        AddTestCase(new WatchStormTestCase());
        AddTestCase(new WatchOutputTestCase());
    }
};

static VmWatchTestSuite g_vmWatchTestSuite;
