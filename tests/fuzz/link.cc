/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * sim-link: what a hostile VM writes into the region, read by the simulator's end, one turn or
 * several. The VM is a thread, which answers as often as its input lasts.
 */
#include "input.h"
#include "sim-link.h"
#include "vm-error.h"
#include "vm-link.h"

#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

using namespace ns3qemu;

namespace
{

constexpr size_t SIZE = SIM_LINK_HEADER_SIZE + 2 * SIM_LINK_BOX_MIN;

/* Touches each byte, for a sanitizer to see. */
class Sink : public VmOutput
{
  public:
    void OnFrame(unsigned nic, const uint8_t* data, size_t length) override
    {
        Touch(data, length);
        m_sum += nic;
    }

    void OnSerial(unsigned port, const uint8_t* data, size_t length) override
    {
        Touch(data, length);
        m_sum += port;
    }

    void OnFilter(unsigned nic, const NicFilter& filter) override
    {
        const uint8_t address[6] = {1, 2, 3, 4, 5, 6};
        m_sum += nic + filter.Takes(address) + filter.GetOwn().has_value();
    }

    void OnRefused(unsigned nic, const uint8_t* data, size_t length) override
    {
        OnFrame(nic, data, length);
    }

    void OnMissed(unsigned nic) override
    {
        m_sum += nic;
    }

    volatile unsigned m_sum{0};

  private:
    void Touch(const uint8_t* data, size_t length)
    {
        for (size_t i = 0; i < length; i++)
        {
            m_sum += data[i];
        }
    }
};

/* One answer: the fields of the header, and an outbox. */
void
Answer(SimLinkHeader* header, Input& input)
{
    header->answer = input.Take<uint8_t>() % 10;
    header->fault = input.Take<uint8_t>();
    header->vmTime = input.Take<int64_t>();
    header->deadline = input.Take<int64_t>();
    header->instructions = input.Take<uint64_t>();
    header->features = input.Take<uint64_t>();
    const uint8_t kind = input.Take<uint8_t>();
    const auto box = input.TakeSome();
    std::copy(box.begin(),
              box.end(),
              reinterpret_cast<uint8_t*>(header) + SIM_LINK_HEADER_SIZE + SIM_LINK_BOX_MIN);
    header->outboxLength = kind == 0 ? input.Take<uint32_t>() : static_cast<uint32_t>(box.size());
    const uint32_t turn = kind == 1 ? input.Take<uint32_t>() : uint32_t{SIM_LINK_TURN_SIMULATOR};
    /* "The VM's own" would be waited for. */
    __atomic_store_n(&header->turn,
                     turn == SIM_LINK_TURN_VM ? uint32_t{SIM_LINK_TURN_SIMULATOR} : turn,
                     __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &header->turn, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void
PlayVm(SimLinkHeader* header, Input input)
{
    while (__atomic_load_n(&header->command, __ATOMIC_SEQ_CST) != SIM_LINK_QUIT)
    {
        const uint32_t turn = __atomic_load_n(&header->turn, __ATOMIC_SEQ_CST);
        if (turn == SIM_LINK_TURN_VM)
        {
            Answer(header, input);
        }
        else
        {
            header->vmSleeps = 1;
            const timespec soon{0, 1'000'000}; // it may be that nobody wakes it any more
            syscall(SYS_futex, &header->turn, FUTEX_WAIT, turn, &soon, nullptr, 0);
        }
    }
}

void
PlaySimulator(VmLink& link, bool ahead)
{
    Sink sink;
    if (!ahead)
    {
        link.Take(sink);
        return;
    }
    VmTurns turns;
    VmAnswer answer;
    link.TakeAhead(turns, true, answer);
    while (!turns.IsEmpty())
    {
        turns.Peek();
        if (!turns.Read(sink, answer))
        {
            break;
        }
    }
}

} // namespace

int
LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    Input input(data, size);
    const bool ahead = input.Take<uint8_t>() % 2 == 1;
    VmLink link(SIM_LINK_BOX_MIN, 1000);
    auto* header = static_cast<SimLinkHeader*>(
        mmap(nullptr, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, link.GetFileDescriptor(), 0));
    std::thread vm(PlayVm, header, input);
    for (int turn = 0; turn < 3; turn++)
    {
        try
        {
            PlaySimulator(link, ahead);
        }
        catch (const VmError&)
        {
            break;
        }
        link.Give(SIM_LINK_RUN, 0, 0);
    }
    __atomic_store_n(&header->command, SIM_LINK_QUIT, __ATOMIC_SEQ_CST);
    __atomic_store_n(&header->turn, 0, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, &header->turn, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
    vm.join();
    munmap(header, SIZE);
    return 0;
}
