/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * One virtual machine as whoever drives it sees it: a process, its link, its relay and its console.
 * POSIX only: an ns-3 simulation drives it through ns3::VirtualMachine, a test without one.
 */
#ifndef NS3_QEMU_VM_DRIVER_H
#define NS3_QEMU_VM_DRIVER_H

#include "guest-symbols.h"
#include "listening-socket.h"
#include "relay-client.h"
#include "tick-finder.h"
#include "vm-command.h"
#include "vm-console.h"
#include "vm-copy.h"
#include "vm-disk.h"
#include "vm-link.h"
#include "vm-process.h"
#include "vm-snapshot.h"

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ns3qemu
{

/** What a VM is made of. */
struct VmConfig
{
    std::string name;                       //!< in messages, and the guest's host name
    VmImage image;                          //!< what it has in common with others
    uint32_t cpus{1};                       //!< from 1 to CPUS_MAX
    std::vector<VmNic> nics;                //!< in the order in which the guest finds them
    std::string consoleLog;                 //!< file for the guest's console, or empty
    uint64_t seed{1};                       //!< of everything random in the machine
    int64_t uptime{20'000'000'000};         //!< ns: the guest's CLOCK_MONOTONIC at simulated time 0
    int64_t epoch{946'684'800'000'000'000}; //!< ns since 1970: its CLOCK_REALTIME at time 0
    int64_t tickPhase{-1}; //!< ns after a full ms at which the guest's timer ticks; < 0: wherever
    int64_t bootLimit{120'000'000'000}; //!< ns of guest time that booting may take
    int64_t spin{0};                    //!< ns of wall time to poll, on both sides, before sleeping
    bool sameCpu{false};                //!< turns are on this process's CPU, see SameCpu
    int64_t watchdog{30'000'000'000};   //!< ns of wall time after which a long turn is reported;
                                        //!< 0: never
    bool watchdogFails{false};          //!< such a turn is a failure of the VM
    uint64_t turnsAtOnce{0};            //!< more turns at one simulated time are a failure of the
                                        //!< VM; 0: they are not
    /** Directory of the image's saved machines, from which VMs start. Empty: each boots. */
    std::string snapshots;
    /** With snapshots, whether it may be forked from a process that is kept for others like it. */
    bool fork{true};
    bool sandbox{true}; //!< whether QEMU may do no more than turns need, see the manual
    std::vector<std::string> linkOptions; //!< "busy-step=1000000": more properties of the sim-link
    SimLinkDisk diskTiming{};             //!< of its disks, from simulated time 0 on
    /** Directory for what KeepDisks() keeps of them. Empty: what is written is gone with the VM. */
    std::string keepDisks;
    /** How many machines of a kind are forked before code is translated for those that follow. */
    uint32_t warmAfter{2};
    static constexpr uint32_t NEVER_WARM = UINT32_MAX; //!< for warmAfter
    std::string monitor; //!< path of a UNIX socket for QEMU's monitor (QMP), or empty
    std::string gdb;     //!< path of a UNIX socket for a debugger, or empty
    bool copies{false};  //!< whether copies of it may be made
    /** File in which QEMU counts what it does (qemu-patches/src/include/exec/tcg-counts.h) from its
     * start on, or empty. Such a VM is not forked, and there are no copies of it. */
    std::string counts;
    /** Instructions per second of simulated time, of each CPU. 0: a turn takes none. */
    uint64_t cpuRate{0};
    /** With cpuRate and several CPUs: ns by which one may be ahead of another. */
    int64_t cpuQuantum{10'000};
};

/**
 * Drives one VM, turn by turn.
 *
 * What may be asked of it, and who leaves a state:
 *
 *     state    the VM                        may be called            left by
 *     -------  ----------------------------  -----------------------  ---------------------------
 *     NEW      has no process                Set...()                 Start() -> BOOTING
 *     BOOTING  boots or is restored, alone   (nothing is waited for)  FinishBoot() -> RUNNING
 *     FORWARD  is ready; its clocks go to    GetRelay(), by the       (within FinishBoot())
 *              simulated time 0              preparation
 *     RUNNING  waits for a turn              all; a turn begins and   GoAhead() -> GOING
 *                                            ends within the call
 *     GOING    has turns of GoAhead(), and   CollectAhead(), Run()    CollectAhead(), Run(), ...
 *              some may have results         and QueueFrame() of the  once it has ended them
 *                                            next result              -> AHEAD, or RUNNING if no
 *                                                                     result is left
 *     AHEAD    waits for a turn; results     as GOING; QueueAhead(),  GoAhead() -> GOING; Run() of
 *              are left                      GoAhead()                the last result -> RUNNING
 *     ENDED    has no process                what has been counted    -
 *
 * From each state End() leads to ENDED, and so does every failure, with a VmError. What may be
 * called in RUNNING only waits for a VM that is GOING, and then ends it if results are left: see
 * GoAhead().
 *
 * With VmConfig::cpuRate computing takes time, and a VM may have got further than the simulation:
 * to GetReached(). What it has sent by then is handed on when the simulation is there, in MoveTo()
 * or Run(). What is asked of its relay takes no time: its clock stands still meanwhile.
 *
 * All times are simulated times in ns: at time 0 the guest is ready, its uptime is
 * VmConfig::uptime and its date VmConfig::epoch, exactly. (With VmConfig::tickPhase its uptime is
 * larger by less than 1 ms.)
 *
 * Any method may throw VmError, whose text says which VM, when, why, and the guest's last console
 * lines. The VM is of no use afterwards.
 */
class VmDriver : private VmOutput
{
  public:
    using FrameHandler = std::function<void(unsigned nic, const uint8_t* data, size_t length)>;
    using FilterHandler = std::function<void(unsigned nic, const NicFilter& filter)>;
    using MissedHandler = std::function<void(unsigned nic)>;
    /** Gets what the guest writes to its console. */
    using ConsoleHandler = VmConsole::Handler;
    /** Called now and then while waiting; may throw to end the wait. */
    using Interrupt = std::function<void()>;
    /** What a long turn is reported to; the default writes to standard error. */
    using Reporter = std::function<void(const std::string&)>;

    explicit VmDriver(VmConfig config);
    ~VmDriver() override;

    /** Receives the frames that the guest sends, within the turn in which it does. */
    void SetFrameHandler(FrameHandler handler);
    /** Told which frames a NIC takes, when that changes; before that it takes all. */
    void SetFilterHandler(FilterHandler handler);
    /** Told of each frame that has found no room in a NIC's receive ring, before what the guest
     * sends in that turn is handed on. Only with VmConfig::cpuRate. */
    void SetMissedHandler(MissedHandler handler);
    /** Receives what a NIC could not send: it was to be segmented or to have a checksum, but not in
     * a way that makes sense. */
    void SetRefusedHandler(FrameHandler handler);
    /** Besides the console log; for who gives the guest's console to a person. */
    void SetConsoleHandler(ConsoleHandler handler);
    void SetInterrupt(Interrupt interrupt);
    void SetReporter(Reporter reporter);
    /**
     * From the next turn on, other values of VmConfig's.
     * @param watchdog as VmConfig::watchdog
     * @param fails as VmConfig::watchdogFails
     */
    void SetWatchdog(int64_t watchdog, bool fails);

    /**
     * Called when the guest has booted, some time before simulated time 0: for requests whose
     * effect takes guest time, such as that a link comes up.
     */
    void SetPreparation(std::function<void(RelayClient&)> preparation);

    /**
     * Start QEMU; the machine boots while this process goes on. With VmConfig::snapshots the first
     * of its kind is booted and saved before.
     */
    void Start();

    /**
     * Start it if that has not been done, wait until the guest is ready and its clocks are at
     * simulated time 0, and tell it who it is. In one of SideBySide's tasks, others go on in each
     * wait for the VM.
     */
    void FinishBoot();

    /**
     * One turn. Everything queued is delivered first.
     * @param time simulated time in ns, not less than the last turn's
     * @param timers whether timers due at this very time expire
     * @param horizon with VmConfig::cpuRate, the simulated time in ns at which the guest stops
     *        computing, since something may reach it then. It stops behind the instruction in which
     *        that comes, or in which it sends something. If it has reached the horizon already it
     *        only gets what has been queued.
     */
    void Run(int64_t time, bool timers, int64_t horizon = SIM_LINK_NO_DEADLINE);

    /**
     * Queue a frame for a turn of those that GoAhead() begins, later than those queued before.
     * @param time simulated time in ns, not less than the last horizon
     * @param nic the NIC's index
     * @param data the frame
     * @param length in bytes
     * @return false if there is no more room for it
     */
    bool QueueAhead(int64_t time, unsigned nic, const uint8_t* data, size_t length);

    /**
     * Begin turns of which it is certain that they will be the next: those for the frames that have
     * been queued, and those for timers that are due before, or in between, or before the horizon.
     * This does not wait. Each Run() that follows takes the result of one of them; it must be for
     * that very turn. Until all results have been taken the machine can be asked for nothing else:
     * whoever tries ends it. But it may go further ahead.
     * @param horizon simulated time in ns
     * @param turns at most so many
     */
    void GoAhead(int64_t horizon, uint32_t turns);

    /** Take over what there is of the results of GoAhead(), without waiting for more. */
    void CollectAhead();
    /** @return whether there are results that Run() has not taken, or will be */
    bool IsAhead() const;
    /** @return whether, as far as CollectAhead() has seen, it still has turns of GoAhead() */
    bool IsGoing() const;
    /** @return whether, as far as CollectAhead() has seen, it may go ahead, or further ahead */
    bool CanGoAhead() const;
    /** @return how far it has gone ahead, or the time of the last turn, in ns */
    int64_t GetHorizon() const;
    /** @return when its next timer is due where it has gone to, in ns, or SIM_LINK_NO_DEADLINE */
    int64_t GetNextTimer() const;

    /**
     * Let the clock go on without a turn; requests to the relay are made at this time from now on.
     * @param time simulated time in ns, not less than the last turn's
     */
    void MoveTo(int64_t time);

    /**
     * Queue a frame for the next turn. A VmError for a NIC that does not exist, or for a frame that
     * no NIC could take, leaves the VM as it was.
     */
    void QueueFrame(unsigned nic, const uint8_t* data, size_t length);

    /**
     * Limit what a NIC may send from the next turn on; beyond that, frames stay in the guest's
     * transmit ring. What waits there is sent in that turn. Those that it has sent and that are
     * still to be handed on are of these.
     * @param nic the NIC's index
     * @param frames how many more it may send, or SIM_LINK_CREDIT_UNLIMITED as at the beginning
     */
    void SetCredit(unsigned nic, uint32_t frames);
    /** @return how many more frames a NIC may send, or SIM_LINK_CREDIT_UNLIMITED */
    uint32_t GetCredit(unsigned nic) const;

    /**
     * From the next turn on, a NIC's link is up, as at the beginning, or down. While it is down,
     * the NIC loses frames in both directions.
     */
    void SetCarrier(unsigned nic, bool up);

    /** Queue what is typed at the guest's console for the next turn. */
    void QueueConsole(const uint8_t* data, size_t length);

    /** @return the simulated time at which the guest wants its next turn, or SIM_LINK_NO_DEADLINE
     */
    int64_t GetDeadline() const;
    /** @return whether the last turn ended because the guest had used it up */
    bool IsBusy() const;
    /** @return the simulated time of the last turn */
    int64_t GetTime() const;
    /** @return the simulated time at which the guest has stopped computing, or GetTime() */
    int64_t GetReached() const;
    /** @return whether computing takes time: VmConfig::cpuRate, once the simulation has begun */
    bool IsTimed() const;
    /** @return instructions that have taken time since simulated time 0 */
    uint64_t GetComputed() const;
    /** @return how long the guest has computed since simulated time 0, on any CPU, in ns */
    int64_t GetBusyTime() const;
    /** @return for how many instructions each CPU has been busy since then, with cpuRate; also in
     * which it waited in a loop with PAUSE */
    const std::vector<uint64_t>& GetBusyInstructions() const;
    /** @return a time that so many instructions take, in ns */
    int64_t GetDuration(uint64_t instructions) const;
    /** @return turns since simulated time 0 */
    uint64_t GetTurns() const;
    /** @return those of them that were begun by GoAhead() */
    uint64_t GetTurnsAhead() const;
    /** @return instructions that the machine has executed since it was booted, also before it was
     * saved */
    uint64_t GetInstructions() const;
    /** @return QEMU's process id */
    pid_t GetPid() const;
    /** @return how QEMU has ended, for people: "exited with status 0" */
    std::string GetExit() const;
    /** @return the last lines of the guest's console */
    std::vector<std::string> GetConsoleTail() const;

    /** The guest's relay. A call is a turn at the time of the last. */
    RelayClient& GetRelay();

    /**
     * With VmConfig::keepDisks, end the machine and keep its disks, whole and at rest as the guest
     * has left them: as NAME-vda, NAME-vdb, ... The guest's time goes on as far as that takes.
     */
    void KeepDisks();

    /**
     * Make a copy of the machine as it is now, to look at. There is one at a time, and none
     * without VmConfig::copies, or with VmConfig::keepDisks, whose files it would write.
     * @param time the simulated time that it is to have, in ns, not less than the last turn's
     * @throw VmError that says why there is none; the machine goes on
     */
    std::shared_ptr<VmCopy> Copy(int64_t time);

    /** @return the blocks of code that its QEMU has translated, in order; see VmBlocks */
    std::vector<SimLinkBlock> GetBlocks();

    /** End the machine. It is ended by the destructor, too. */
    void End();

  private:
    void OnFrame(unsigned nic, const uint8_t* data, size_t length) override;
    void OnSerial(unsigned port, const uint8_t* data, size_t length) override;
    void OnFilter(unsigned nic, const NicFilter& filter) override;
    void OnStamp(int64_t time) override;
    void OnBusyCpus(const SimLinkBusyCpus& busy) override;
    void OnMissed(unsigned nic) override;
    void OnRefused(unsigned nic, const uint8_t* data, size_t length) override;

    void CheckNic(unsigned nic) const;
    template <typename F>
    void AddRecord(F&& add);
    std::vector<std::string> BuildMachine() const;
    void StartProcess(const std::vector<std::string>& command,
                      const std::string& state,
                      const std::string& directory);
    bool StartForked(const std::vector<std::string>& command);
    std::vector<SimLinkBlock> FindBlocks();
    void MakeLink();
    void BootUntilReady();
    void BootAndSave(const VmSnapshot& snapshot, const std::string& directory);
    void TakeHello();
    void AddressNics();
    std::vector<std::string> PrepareDisks();
    void MountDisks();
    void SetDiskTiming(const SimLinkDisk& timing);
    void WaitForDisks();
    void Identify();
    void CheckRunning() const;
    void CheckCpus();
    void SendToRelay(Span<const ByteSpan> message);
    void RunTurn(int64_t vmTime, uint32_t flags);
    void CheckTurnEnd(int64_t vmTime, uint32_t flags);
    void TakeAhead(bool wait);
    void CheckAheadOver();
    void WaitForNextResult();
    bool MatchNextAhead(unsigned nic, const uint8_t* data, size_t length);
    void RunAhead(int64_t vmTime, uint32_t flags);
    uint32_t GetRequestFlags() const;
    void RunTimed(bool timers, int64_t horizon);
    void CheckReached(int64_t begin, uint32_t flags);
    void EndTimedTurn(int64_t begin, uint64_t executed, uint32_t flags);
    void OrderWhatWasSent(int64_t begin);
    void HandOnWhatIsDue();
    uint32_t CountSent(unsigned nic) const;
    void ReadAhead();
    void CheckNotAhead();
    void GiveAndTake(uint32_t command, int64_t vmTime, uint32_t flags);
    template <typename F>
    auto Guarded(F&& take);
    void Take();
    void CheckFrame(size_t length) const;
    void WatchTurn(int64_t elapsed);
    void CheckTurnsAtOnce();
    std::string DescribeLongTurn(int64_t elapsed);
    std::string DescribeGuest();
    std::string DescribeQemu() const;
    std::optional<VmLook> Look(uint64_t address, uint32_t length);
    const GuestSymbols& GetSymbols();
    std::string FindProgram(const GuestSymbols& symbols);
    std::string DescribeEnd() const;
    void ReportOpenSandbox();
    void ReportPlainStart(const std::string& reason);
    void RunUntil(int64_t vmTime);
    void PrepareBoot();
    void FastForward();
    void Consume();
    void WriteConsole(const uint8_t* data, size_t length);
    void ReportShortage();
    void ReportFault();
    [[noreturn]] void Fail(const std::string& reason);
    void SetEnded();
    int Inherit(std::unique_ptr<ListeningSocket>& socket,
                const std::string& path,
                std::vector<int>& descriptors) const;
    void Publish();
    uint32_t AskForCopy(uint32_t flags);
    std::string DescribeFault(uint32_t fault) const;

    /* See the table above. */
    enum class State
    {
        NEW,
        BOOTING,
        FORWARD,
        RUNNING,
        GOING,
        AHEAD,
        ENDED,
    };

    bool HasProcess() const;
    bool IsInSimulation() const;

    VmConfig m_config;
    FrameHandler m_onFrame;
    FilterHandler m_onFilter;
    MissedHandler m_onMissed;
    FrameHandler m_onRefused;
    Interrupt m_interrupt;
    Reporter m_reporter;
    std::function<void(RelayClient&)> m_preparation;
    State m_state{State::NEW};
    std::unique_ptr<VmLink> m_link;
    std::unique_ptr<VmProcess> m_process;
    std::unique_ptr<VmSnapshot> m_snapshot; // that the machine is started from
    RelayClient m_relay;
    std::vector<std::array<uint8_t, 6>> m_addresses; // of the NICs
    std::vector<uint8_t> m_relayInput;
    /* What is said while it boots, if it is going to be saved. */
    bool m_keepsWhatIsSaid{false};
    std::vector<uint8_t> m_bootRelay;
    std::vector<uint8_t> m_bootConsole;

    /* A frame that the machine has got in a turn whose result has not been taken. */
    struct AheadFrame
    {
        int64_t vmTime;
        unsigned nic;
        std::vector<uint8_t> data;
    };

    std::deque<AheadFrame> m_aheadFrames;
    VmTurns m_aheadTurns;      // those results
    bool m_aheadQueued{false}; // the next one's frame has been queued a second time
    VmAnswer m_aheadEnd;       // how those turns have ended
    int64_t m_horizon{0};      // VM time

    struct SentFrame
    {
        int64_t time; // VM time; NOT_STAMPED: of the turn's end
        unsigned nic;
        std::vector<uint8_t> data;
    };

    static constexpr int64_t NOT_STAMPED = -1;

    /* With VmConfig::cpuRate. */
    std::vector<SentFrame> m_sending; // in the turn
    std::vector<SentFrame> m_sent;    // in order, for times that the simulation has not reached
    int64_t m_stamp{NOT_STAMPED};     // of the next frame
    std::vector<uint64_t> m_cpuBusy;  // instructions of each CPU
    int64_t m_reached{0};             // VM time
    int64_t m_busyTime{0};            // ns
    uint64_t m_computed{0};           // instructions in that time
    uint64_t m_relayBytes{0};         // that the relay has said
    VmAnswer m_answer;
    std::vector<uint32_t> m_credit; // frames that each NIC may still send
    int64_t m_base{0};              // VM time at simulated time 0
    int64_t m_vmTime{0};
    uint64_t m_turns{0};
    int64_t m_timersAt{-1};    // VM time of the last turn in which timers expired
    uint32_t m_turnsAtOnce{0}; // for timers at that time, after the first
    uint64_t m_turnsAhead{0};
    TickFinder m_ticks;  // from the timers before simulated time 0
    size_t m_relayChunk; // bytes that the relay's port takes at once
    int64_t m_nextReport{0};
    std::string m_occasion;    // what has begun the turn
    uint64_t m_frames{0};      // queued for it
    int64_t m_turnBeginCpu{0}; // ns of CPU time that QEMU had had when the wait became long
    uint64_t m_turnsNow{0};    // at this simulated time
    int64_t m_turnsNowAt{-1};  // VM time
    bool m_canLook{false};     // QEMU answers to looks
    std::unique_ptr<GuestSymbols> m_symbols;
    VmConsole m_console;
    bool m_shortageReported{false};
    bool m_faultReported{false};
    std::vector<std::unique_ptr<DiskCopy>> m_diskCopies; // null for those that are not kept
    std::unique_ptr<ListeningSocket> m_monitor;
    std::unique_ptr<ListeningSocket> m_gdb;
    std::weak_ptr<VmCopy> m_copy;
    bool m_patient{false}; // what the relay is asked for may take time of the guest's
};

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_DRIVER_H */
