/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The simulator's end of a sim-link (sim-link.h). POSIX only: it knows neither ns-3 nor processes.
 */
#ifndef NS3_QEMU_VM_LINK_H
#define NS3_QEMU_VM_LINK_H

#include "byte-pieces.h"
#include "nic-filter.h"
#include "same-cpu.h"
#include "sim-link.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace ns3qemu
{

/** Receives what a VM has sent, in the order in which it did. The data lives during the call. */
class VmOutput
{
  public:
    virtual ~VmOutput() = default;

    /**
     * @param nic the NIC's index
     * @param data an Ethernet frame, from the destination address on, without FCS
     * @param length its length in bytes
     */
    virtual void OnFrame(unsigned nic, const uint8_t* data, size_t length) = 0;

    /**
     * @param port the serial port's index
     * @param data bytes that the guest wrote
     * @param length how many
     */
    virtual void OnSerial(unsigned port, const uint8_t* data, size_t length) = 0;

    /**
     * A NIC takes other frames from now on.
     * @param nic the NIC's index
     * @param filter which
     */
    virtual void OnFilter([[maybe_unused]] unsigned nic, [[maybe_unused]] const NicFilter& filter)
    {
    }

    /**
     * The frame that follows has been sent before the turn's end.
     * @param time VM time in ns
     */
    virtual void OnStamp([[maybe_unused]] int64_t time)
    {
    }

    /**
     * How busy each of several CPUs has been in the turn.
     * @param busy fields as in SimLinkBusyCpus
     */
    virtual void OnBusyCpus([[maybe_unused]] const SimLinkBusyCpus& busy)
    {
    }

    /**
     * A frame for the VM has found no room in a NIC's receive ring.
     * @param nic the NIC's index
     */
    virtual void OnMissed([[maybe_unused]] unsigned nic)
    {
    }

    /**
     * A NIC could not send what the guest has given it, for its checksum or segments.
     * @param nic the NIC's index
     * @param data what that was
     * @param length in bytes
     */
    virtual void OnRefused([[maybe_unused]] unsigned nic,
                           [[maybe_unused]] const uint8_t* data,
                           [[maybe_unused]] size_t length)
    {
    }
};

/** What a look at a VM that has the turn has shown. */
struct VmLook
{
    uint64_t pc{0};            //!< the guest's program counter
    uint64_t instructions{0};  //!< executed since the machine was booted
    std::vector<uint8_t> data; //!< its memory where it was asked for, as far as there is any
};

/** How computing takes time in a VM's turn. */
struct VmPace
{
    int64_t horizon{0}; //!< VM time in ns at which the turn ends
    uint64_t rate{0};   //!< instructions per second of each CPU
    int64_t quantum{0}; //!< ns by which one CPU may be ahead of another
};

/** How a VM's turn ended. */
struct VmAnswer
{
    uint32_t kind{0};         //!< SIM_LINK_HELLO ..., but never SIM_LINK_MORE
    uint32_t fault{0};        //!< SIM_LINK_FAULT_..., with SIM_LINK_FAULT
    int64_t time{0};          //!< the VM's clock in ns
    int64_t deadline{0};      //!< VM time in ns of its next timer, or SIM_LINK_NO_DEADLINE
    uint64_t instructions{0}; //!< executed since the machine was booted
    uint16_t nics{0};         //!< how many NICs there are, with SIM_LINK_HELLO
    uint16_t ports{0};        //!< how many serial ports there are, with SIM_LINK_HELLO
    uint64_t features{0};     //!< SIM_LINK_FEATURE_..., with SIM_LINK_HELLO
    uint32_t outboxLength{0}; //!< of the outbox, in bytes
};

/** @return what SIM_LINK_FAULT_... means, for people */
std::string DescribeSimLinkFault(uint32_t fault);

/**
 * Turns that a VM has had and whose results are still to be read, one after the other. All that the
 * VM has written is checked; a violation throws VmError.
 */
class VmTurns
{
  public:
    /** One of the turns. */
    struct Turn
    {
        int64_t time{0};   //!< VM time in ns
        uint32_t flags{0}; //!< of SIM_LINK_RUN
    };

    /** Append what an outbox holds. */
    void Append(const uint8_t* outbox, uint32_t length);
    /** @return whether all has been read */
    bool IsEmpty() const;
    /** @return the next turn; there must be one, and none that has been read in part */
    Turn Peek() const;
    /**
     * Read the next turn, or the rest of it; there must be one.
     * @param output receives frames and serial bytes
     * @param answer kind, deadline and instructions are replaced by the turn's
     * @return false if its end has not been appended yet: then read on when it has
     */
    bool Read(VmOutput& output, VmAnswer& answer);

  private:
    std::vector<uint8_t> m_bytes;
    size_t m_at{0};
    bool m_inTurn{false}; // its beginning has been read, its end has not
};

/**
 * The shared region and the exchange of turns with one VM.
 *
 * A turn is: any number of AddFrame(), AddSerial(), ..., one Give(), one Take(). All fields that
 * the VM writes are checked; a violation throws VmError.
 */
class VmLink
{
  public:
    /**
     * Called now and then while the VM keeps its turn for long, however busy it keeps the link; may
     * throw to end the wait. The argument is how long it has had the turn, in ns of wall time.
     */
    using Watch = std::function<void(int64_t)>;

    /** Names the link whose VM is copied. */
    struct CopyOf
    {
        const VmLink& link;
    };

    /**
     * @param boxSize size of inbox and outbox in bytes, a multiple of 8 from SIM_LINK_BOX_MIN to
     *        SIM_LINK_BOX_MAX
     * @param spin for how many ns of wall time to poll before sleeping
     */
    explicit VmLink(uint32_t boxSize = 1024 * 1024, int64_t spin = 0);
    /**
     * The link of a copy of a VM: its region is the second half of the file that the VM has.
     * @param original the VM's, which must have the turn
     */
    explicit VmLink(CopyOf original);
    ~VmLink();
    VmLink(const VmLink&) = delete;
    VmLink& operator=(const VmLink&) = delete;

    /** @return the descriptor of the shared region, for QEMU to inherit. It closes on exec. */
    int GetFileDescriptor() const;

    void SetWatch(Watch watch);

    /**
     * From the next turn on, the VM has its turns on the CPU that this side is on; see SameCpu.
     * @param pid its process
     */
    void StayOnSameCpu(pid_t pid);

    /**
     * Put a frame into the inbox of the next turn.
     * @return false if the inbox is full: give the turn first
     */
    bool AddFrame(unsigned nic, const uint8_t* data, size_t length);

    /**
     * Put serial bytes into the inbox of the next turn.
     * @return how many were taken; fewer than length if the inbox is full
     */
    size_t AddSerial(unsigned port, const uint8_t* data, size_t length);
    /**
     * The same with the next bytes of a reader, which come there by one copy.
     * @param port of the machine
     * @param bytes the reader
     * @param most how many, at most what is left
     */
    size_t AddSerial(unsigned port, PieceReader& bytes, size_t most);

    /**
     * Say in the next turn how many more frames a NIC may send.
     * @param nic the NIC's index
     * @param frames how many, or SIM_LINK_CREDIT_UNLIMITED
     * @return false if the inbox is full: give the turn first
     */
    bool AddCredit(unsigned nic, uint32_t frames);

    /**
     * Say in the next turn whether a NIC's link is up.
     * @return false if the inbox is full: give the turn first
     */
    bool AddCarrier(unsigned nic, bool up);

    /**
     * Say in the next turn how long a disk's requests take.
     * @param disk the disk's index
     * @param timing fields as in SimLinkDisk
     * @return false if the inbox is full: give the turn first
     */
    bool AddDisk(unsigned disk, const SimLinkDisk& timing);

    /**
     * Put the beginning of a turn into the inbox of SIM_LINK_AHEAD: what is added after it is its
     * input.
     * @param time VM time in ns
     * @return false if the inbox is full
     */
    bool AddTurn(int64_t time);
    /** @return what is in the inbox so far, in bytes */
    uint32_t GetInboxLength() const;
    /** Take out of the inbox again what has been added since it had so many bytes. */
    void TruncateInbox(uint32_t length);

    /**
     * Give the turn to the VM.
     * @param command SIM_LINK_BOOT ...
     * @param time VM time in ns
     * @param flags of the command
     * @param pace with SIM_LINK_RUN_TIMED
     */
    void Give(uint32_t command, int64_t time, uint32_t flags, const VmPace& pace = {});

    /**
     * Wait until the VM ends its turn, and read all that it sent.
     * @param output receives frames and serial bytes
     * @return how the turn ended
     */
    VmAnswer Take(VmOutput& output);

    /**
     * Ask the VM about its copy, which is no turn: what has been put into the inbox stays there.
     * @param flags SIM_LINK_COPY_MAKE ...
     * @return 0 if there is a copy that runs, or an errno: EBUSY in the midst of a turn
     */
    uint32_t AskForCopy(uint32_t flags);

    /** @return the VM's blocks of translated code: as many as it can tell of, and none in the midst
     * of a turn */
    std::vector<SimLinkBlock> AskForBlocks();

    /** @return the number of the system call by which the VM's process has ended itself, for its
     * sandbox does not allow it; or nothing */
    std::optional<uint32_t> GetRefusedCall() const;

    /** @return whether the VM has ended its turn, or a part of it */
    bool HasEnded() const;

    /**
     * Ask for a look at a VM that has the turn; then its process must get SIM_LINK_LOOK_SIGNAL.
     * @param address virtual address in the guest
     * @param length how many bytes of its memory, at most SIM_LINK_LOOK_MAX
     */
    void AskForLook(uint64_t address, uint32_t length);
    /** @return what the last one has shown, or nothing if the VM has not answered yet */
    std::optional<VmLook> GetLook() const;

    /**
     * Take the turns of SIM_LINK_AHEAD that the VM has had.
     * @param turns they are appended to it
     * @param wait whether to wait until it has had them all
     * @param answer replaced by how they have ended
     * @return false if the VM has not had them all
     */
    bool TakeAhead(VmTurns& turns, bool wait, VmAnswer& answer);

  private:
    void Map(off_t offset);
    bool Add(uint16_t type, unsigned channel, const uint8_t* data, size_t length);
    uint8_t* AddRecord(uint16_t type, unsigned channel, size_t length);
    void WaitForTurn();
    void WaitHere();
    void GoOn(const VmAnswer& answer);
    void LookAfterVm();
    VmAnswer ReadAnswer() const;
    void ReadOutbox(uint32_t length, VmOutput& output) const;
    bool HasTurn() const;
    SimLinkLook* GetLookArea() const;

    int m_fd{-1};
    uint32_t m_boxSize;
    int64_t m_spin;
    std::optional<SameCpu> m_sameCpu;
    SimLinkHeader* m_header{nullptr};
    uint8_t* m_inbox{nullptr};
    uint8_t* m_outbox{nullptr};
    uint32_t m_inboxLength{0};
    bool m_given{false};        // the turn is the VM's, and its end has not been taken
    uint64_t m_outputLength{0}; // bytes of the parts of a turn that goes on
    Watch m_watch;
    int64_t m_turnBegin{0}; // wall time of the VM's turn, in ns; 0: nobody has looked yet
    int64_t m_lastWatch{0};
    uint32_t m_looks{0}; // that have been asked for
};

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_LINK_H */
