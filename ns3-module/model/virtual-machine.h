/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_VIRTUAL_MACHINE_H
#define NS3_QEMU_VIRTUAL_MACHINE_H

#include "guest-access.h"
#include "guest-watchers.h"

#include "ns3/callback.h"
#include "ns3/data-rate.h"
#include "ns3/event-id.h"
#include "ns3/guest-routes.h"
#include "ns3/nstime.h"
#include "ns3/relay-client.h"
#include "ns3/traced-callback.h"
#include "ns3/vm-driver.h"

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ns3
{

class GuestStack;
class NetDevice;
class Node;
class QemuNetDevice;

/**
 * @ingroup qemu
 * @brief A real machine as a node's network stack: couples the turns of one VM to the scheduler.
 *
 * It is aggregated to a Node (see QemuHelper). Each of the node's NetDevices gets a NIC of the
 * machine, joined to it by a QemuNetDevice. All machines boot when the simulation begins, at time
 * 0; from then on the machine runs only when a frame arrives, a timer of the guest expires, or the
 * simulation asks something of it. A turn takes no simulated time.
 *
 * What is said before the simulation begins (addresses, routes, sysctls) is carried out at time 0,
 * sysctls first; later it is carried out at once.
 *
 *     state        what may happen                                left by
 *     -----------  ---------------------------------------------  ------------------------------
 *     NEW          NICs come; what is said is kept                the simulation's beginning,
 *                                                                 for all machines -> STARTED
 *     STARTED      its NICs are known; QEMU starts and restores   its clocks are at time 0
 *                  the guest; what is said is kept                -> CONFIGURING
 *     CONFIGURING  what was kept is carried into the guest, for   addresses are there
 *                  several machines side by side                  -> CONFIGURED
 *     CONFIGURED   changes are carried at once; what the guest    the node's initialisation
 *                  has sent is held                               -> RUNNING
 *     RUNNING      who waits for WhenRunning(), then turns, see   -
 *                  TurnCause; with parallel turns also ahead of
 *                  the simulation, see ParallelTurns
 *     ENDED        frames are dropped, requests throw             -
 *
 * In a distributed simulation a machine is started by the rank that simulates its node. In others
 * it stays NEW: what is said is dropped once the simulation has begun, requests throw.
 *
 * From each state End() leads to ENDED, and so does every failure of the machine. In a turn, what a
 * handler of its events asks for is part of that turn; there is no turn within another.
 */
class VirtualMachine : public GuestAccess
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    VirtualMachine();
    ~VirtualMachine() override;

    /** @return the machine of a node, or nullptr */
    static Ptr<VirtualMachine> Of(Ptr<Node> node);

    /** @return the machine's name: the attribute Name, or the node's name, or "nodeN" */
    std::string GetName() const override;

    /**
     * @param device a device of this node, or the QemuNetDevice that joins one
     * @return the QemuNetDevice that joins it. When first asked for, it is made, after those of the
     *         devices that the node got before: so eth0, eth1, ... are in the order of the devices.
     * @throw std::invalid_argument for a port of a bridge, whose place the bridge takes
     */
    Ptr<QemuNetDevice> GetNic(Ptr<NetDevice> device);
    /** @return the number of NICs so far */
    uint32_t GetNNics() const;

    /**
     * Give an interface an address. The same as AddAddress of the node's Ipv4 or Ipv6.
     * @param device a device of this node
     * @param address "10.0.1.1/24" or "fd00::1/64"
     */
    void AddAddress(Ptr<NetDevice> device, const std::string& address);

    /**
     * Add a route: to the node's static routing, and to the guest with what that cannot express. A
     * gateway must be in a network of one of the machine's addresses.
     * @param destination "10.0.2.0/24", or "0.0.0.0/0" or "::/0" for the default route
     * @param gateway "10.0.1.2", or "" for a destination on the link
     * @param device a device of this node
     * @param initialWindow initcwnd in segments; 0 leaves it to the kernel
     */
    void AddRoute(const std::string& destination,
                  const std::string& gateway,
                  Ptr<NetDevice> device,
                  uint32_t initialWindow = 0);

    /**
     * Take an address away. The same as RemoveAddress of the node's Ipv4 or Ipv6, but also for one
     * that the guest has given itself.
     * @param device a device of this node
     * @param address as it was added
     */
    void DeleteAddress(Ptr<NetDevice> device, const std::string& address);

    /**
     * Delete a route of the node's static routing, or one that the guest has made itself.
     * @param destination as it was added
     * @param gateway as it was added
     * @param device a device of this node
     */
    void DeleteRoute(const std::string& destination,
                     const std::string& gateway,
                     Ptr<NetDevice> device);

    /**
     * Pass a request on to the guest's netlink. The machine must run. In Python, ns3_qemu.guest
     * speaks netlink with it.
     * @param protocol NETLINK_ROUTE, ...
     * @param request one message, with its header
     * @return the messages that answer it
     * @throw ns3qemu::GuestError the error that the kernel answers with
     */
    std::string Netlink(uint32_t protocol, const std::string& request);

    /**
     * Set a kernel parameter.
     * @param name "net.ipv4.tcp_sack"; with a '-' before it, as in sysctl.d(5), a kernel that has
     * no such parameter goes without
     * @param value as one would write it to /proc/sys
     */
    void SetSysctl(const std::string& name, const std::string& value);
    /** @return the parameters with a '-' that the kernel did not have */
    std::vector<std::string> GetSkippedSysctls() const;
    /** @return a kernel parameter's value. The machine must run. */
    std::string GetSysctl(const std::string& name);
    /** @return the contents of a file of the guest. The machine must run. */
    std::string ReadFile(const std::string& path);
    /**
     * Write a file of the guest; missing directories are made. Before the simulation begins, it is
     * written when it does.
     * @param path where
     * @param text the contents; what the file held before is gone
     * @param mode permissions of a new file
     */
    void WriteFile(const std::string& path, const std::string& text, uint32_t mode = 0644);
    /** @return the guest's CLOCK_REALTIME, time since 1970. The machine must run. */
    Time GetRealtime();
    /** @return the guest's CLOCK_MONOTONIC. The machine must run. */
    Time GetUptime();
    /** @return the guest kernel's release, as uname -r prints it. The machine must run. */
    std::string GetRelease();

    /** @return turns since time 0 */
    uint64_t GetTurns() const;
    /** @return those of them that it has had ahead of the simulation; that is not reproducible */
    uint64_t GetTurnsAhead() const;
    /** @return instructions that the guest has executed since it was started */
    uint64_t GetInstructions() const;
    /** @return how long the guest has computed since time 0, on any of its CPUs; with CpuRate 0,
     * not at all */
    Time GetBusyTime() const;
    /**
     * @param cpu its number, from 0 to the attribute Cpus less 1
     * @return how long this CPU has computed since time 0, or waited in a loop with PAUSE; with
     * CpuRate 0, not at all
     * @throw ns3qemu::VmError if there is no such CPU
     */
    Time GetCpuBusyTime(uint32_t cpu) const;
    /** @return how many CPUs it has */
    uint32_t GetCpus() const;
    /** @return QEMU's process id, or -1 */
    int GetPid() const;

    /**
     * Make a copy of the machine as it is now, to look at: what is done in it is not done in the
     * machine, and changes nothing in the simulation. Not within a turn of the machine.
     * @return the copy, which ends when it is let go
     * @throw ns3qemu::VmError if there can be none: the attribute Copies is not set, or KeepDisks
     * is, or one is there already
     */
    std::shared_ptr<ns3qemu::VmCopy> MakeCopy();

    /** End the machine. Simulator::Destroy does it, too. */
    void End();

    /* ---- for the devices, stacks, sockets and applications of this module ---- */

    /**
     * The node's IPv4 or IPv6 is this.
     * @param family RELAY_INET or RELAY_INET6
     * @param stack which removes itself before it ends
     */
    void AddStack(uint8_t family, GuestStack* stack);
    /** It is no longer. */
    void RemoveStack(uint8_t family);
    /**
     * @param etherType of a frame
     * @return the IPv4 or IPv6 of its packet if somebody follows those, or nullptr
     */
    GuestStack* FindObserved(uint16_t etherType) const;

    /** @return the node's loopback device; it is made if there is none */
    static Ptr<NetDevice> GetLoopback(Ptr<Node> node);
    /** @throw std::invalid_argument if a device cannot be an interface of this machine */
    void CheckDevice(Ptr<const NetDevice> device) const;
    /** Set a NIC up or down in the guest, as the node's Ipv4 and Ipv6 want it. */
    void UpdateNic(Ptr<NetDevice> device);
    /** @return whether the NIC of this device is up in the guest. The machine must run. */
    bool IsNicUp(Ptr<NetDevice> device);
    /** @return the guest's name of an interface. The machine must run. */
    const std::string& GetInterfaceName(Ptr<NetDevice> device);
    const std::vector<uint32_t>& GetInterfaceIndices() const override;
    /** @return what all routes that the guest is given say */
    const ns3qemu::RouteMetrics& GetRouteMetrics() const;

    /**
     * TracedCallback signature of a turn.
     * @param cause what it was for
     * @param frames how many frames the guest sent in it
     * @param instructions how many the guest executed in it, of those since time 0
     */
    typedef void (*TurnTracedCallback)(TurnCause cause, uint32_t frames, uint64_t instructions);

    /**
     * TracedCallback signature of computing that has taken time.
     * @param begin when it began
     * @param end when it ended: since the guest was idle or sent something, or for a while
     * @param instructions that took this time, of all CPUs together
     */
    typedef void (*ComputeTracedCallback)(Time begin, Time end, uint64_t instructions);

    /**
     * TracedCallback signature of what a CPU had of it.
     * @param cpu its number, from 0
     * @param begin when the machine began to compute
     * @param end when it ended
     * @param instructions that took the CPU's part of this time, not in one stretch perhaps
     */
    typedef void (*CpuComputeTracedCallback)(uint32_t cpu,
                                             Time begin,
                                             Time end,
                                             uint64_t instructions);

    /** @throw ns3qemu::VmError if another rank of a distributed simulation has the machine */
    void CheckHere() const;

    /** A joined device may take frames again. */
    void NotifyCredit();

    /** The link of a NIC goes up or down; the machine gets the turn. */
    void SetCarrier(uint32_t nic, bool up);

    /** @return whether computing takes time: with CpuRate, once the simulation has begun */
    bool IsTimed() const;

    /** A frame arrives at a NIC; the machine gets the turn. If that takes time, the NIC's
     * TellArrival() is called as soon as it is known whether the frame has found room. */
    void Receive(uint32_t nic, const uint8_t* frame, size_t length);

    void Request(const std::function<void(ns3qemu::RelayClient&)>& request) override;
    void Watch(uint32_t handle, Callback<void, const RelayReady&> callback) override;
    void Unwatch(uint32_t handle) override;

    /** Told with 1 (standard output) or 2 (standard error), and what a program has written. */
    using OutputCallback = GuestWatchers::OutputCallback;
    /** Told with a program's exit code, and the signal that has ended it or 0. */
    using ExitCallback = GuestWatchers::ExitCallback;

    /**
     * Start a program in the guest and be told what becomes of it. Its output and its end are told
     * in the turn in which they happen, even in this one, and so perhaps before this returns.
     * @param program what to start
     * @param output told what it writes; null: nobody is
     * @param exit told how it has ended, after all its output; null: nobody is
     * @return its number
     * @throw ns3qemu::GuestError if it cannot be started: ENOENT, EACCES, ENOEXEC
     */
    uint32_t StartProcess(const ns3qemu::GuestProgram& program,
                          OutputCallback output,
                          ExitCallback exit);
    /**
     * Be told what becomes of a program.
     * @param process its number, of RelayClient::StartProcess in the same turn
     * @param output as of StartProcess
     * @param exit as of StartProcess
     */
    void WatchProcess(uint32_t process, OutputCallback output, ExitCallback exit);
    /** No longer. A program that has ended need not be unwatched. */
    void UnwatchProcess(uint32_t process);
    /**
     * Write to a program's standard input.
     * @throw ns3qemu::GuestError EPIPE if it does not read, ESRCH if it has ended
     */
    void WriteProcess(uint32_t process, const std::string& text);
    /** End a program's standard input. @throw ns3qemu::GuestError ESRCH if it has ended */
    void CloseProcessInput(uint32_t process);
    /**
     * Send a signal to a program and its children.
     * @throw ns3qemu::GuestError ESRCH if they have ended
     */
    void SignalProcess(uint32_t process, int signal);

    /** @return the machine's node. It must have been started. */
    Ptr<Node> GetNode() const;
    /** @return its NICs */
    const std::vector<Ptr<QemuNetDevice>>& GetNics() const;
    /** @return when the next timer of the guest expires, in ns, or SIM_LINK_NO_DEADLINE */
    int64_t GetTimer() const;
    /** @return when the guest has stopped computing, in ns, or the time of the last turn */
    int64_t GetReached() const;
    /** @return the attribute Parallel */
    bool IsParallel() const;
    /** Take over what there is of the results of GoAhead(), without waiting for more. */
    void CollectAhead();
    /** @return whether, as far as CollectAhead() has seen, it still has turns of GoAhead() */
    bool IsGoing() const;
    /** @return whether, as far as CollectAhead() has seen, it can go ahead, or further */
    bool CanGoAhead() const;
    /**
     * Compare ns-3's routing tables and the links' rates with what was read of them last.
     * @return whether they may say what the guest does not have yet: that goes into it in its next
     *         turn
     */
    bool CompareConfiguration();
    /** @return how far it has gone, or the time of its last turn, in ns */
    int64_t GetHorizon() const;
    /** @return when its next timer is due where it has gone to, in ns, or SIM_LINK_NO_DEADLINE */
    int64_t GetNextTimer() const;
    /**
     * @return how many turns it may go ahead: one, if somebody asks something of it after each
     */
    uint32_t GetAheadLimit() const;
    /**
     * Queue a frame for one of the turns of GoAhead().
     * @param time when it arrives, in ns
     * @param nic the NIC's number
     * @param frame the frame
     * @return false if there is no room
     */
    bool QueueAhead(int64_t time, uint32_t nic, const std::vector<uint8_t>& frame);
    /**
     * Begin the turns for what has been queued and for the guest's timers.
     * @param horizon the time in ns before which it is certain that there will be no others
     * @param turns at most so many
     */
    void GoAhead(int64_t horizon, uint32_t turns);

    void AddListener(TurnListener* listener) override;
    void RemoveListener(TurnListener* listener) override;

    bool IsRunning() const override;
    bool IsEarly() const override;
    void WhenRunning(std::function<void()> action) override;

  protected:
    void NotifyNewAggregate() override;
    void DoInitialize() override;
    void DoDispose() override;

  private:
    void Finish();
    /** End this run, and those that are tried after it. */
    [[noreturn]] void Fail(const std::string& diagnosis);
    /** A signal has come while the guest was busy: the machine is lost. */
    void BeInterrupted(const std::string& how);
    [[noreturn]] void StayFailed(const std::string& diagnosis);
    static void StartMachines();
    void StartMachine();
    static void PrepareMachines(const std::vector<VirtualMachine*>& machines);
    void PrepareMachine();
    void ConfigureMachine();
    void HandOnWhatIsHeld();
    void BeginMachine();
    void JoinDevices(Ptr<Node> node, Ptr<NetDevice> last);
    static bool SetSysctlIfThere(ns3qemu::RelayClient& relay,
                                 const std::string& name,
                                 const std::string& value);
    void CarryConfiguration();
    std::vector<ns3qemu::VmNic> DescribeNics() const;
    void ConfigureNics();
    void PrepareLinks();
    void CheckLinks();
    bool IsConfigured() const;
    bool WantsUp(Ptr<NetDevice> device) const;
    bool CompareRoutes();
    bool CarryCarriers();
    void CarrySpeeds();
    void CarryRoutes();
    void TellListeners(TurnCause cause);
    static Ptr<NetDevice> GetOwnDevice(Ptr<NetDevice> device);
    GuestStack& GetStack(uint8_t family) const;
    ns3qemu::VmConfig ApplyAttributes() const;
    std::string InsertName(std::string path) const;
    ns3qemu::VmConfig BuildConfig() const;
    uint64_t DeriveSeed() const;
    int64_t DrawBelow(const std::string& what, int64_t limit) const;
    void SpreadPids(ns3qemu::RelayClient& relay) const;
    void OnFrame(uint32_t nic, const uint8_t* frame, size_t length);
    void OnRefused(uint32_t nic, const uint8_t* frame, size_t length);
    void TellArrival(bool taken);
    void NoteArrival(uint32_t nic);
    void OnTimer();
    bool HasCreditToGrant() const;
    void GrantCredit();
    void Expire();
    void RunGuest(bool timers);
    void TellComputing(int64_t begin, uint64_t computedBefore);
    /* A template, for turns are many: a std::function would allocate for each. */
    template <typename F>
    void TakeTurn(TurnCause cause, F&& turn);
    void MoveDriver();
    void LeaveTurn();
    void ScheduleDeadline();
    void SetTimer(const EventId& timer);
    void Configure(const std::function<void(ns3qemu::RelayClient&)>& request);
    Ptr<QemuNetDevice> FindJoined(Ptr<NetDevice> device) const;

    /* attributes */
    std::string m_name;
    std::string m_image;
    std::string m_consoleLog;
    Time m_uptime;
    Time m_epoch;
    Time m_epochSpread;
    uint32_t m_pidSpread;
    uint32_t m_cpus;
    uint32_t m_queues;
    Time m_tickPhase;
    Time m_tscStep;
    bool m_sandbox;
    Time m_spin;
    bool m_sameCpu;
    Time m_watchdog;
    bool m_watchdogFails;
    uint64_t m_turnsAtOnce;
    std::string m_monitor;
    std::string m_gdb;
    bool m_copies;
    uint64_t m_busyInstructions;
    uint64_t m_busyReads;
    Time m_busyStep;
    double m_cpuRate;
    Time m_cpuQuantum;
    uint64_t m_hostMemory;
    bool m_segmentationOffload;
    Time m_diskLatency;
    DataRate m_diskRate;
    std::string m_keepDisks;
    bool m_snapshot;
    bool m_fork;
    uint32_t m_warmAfter;
    bool m_parallel;

    /* In this order: see above. */
    enum class State
    {
        NEW,
        STARTED,
        CONFIGURING,
        CONFIGURED,
        RUNNING,
        ENDED,
    };

    /* What the guest has of a NIC. */
    struct GuestNic
    {
        std::string name;
        bool up{false};
        uint32_t speed{0}; // Mbit/s; 0: it has not been told
    };

    Ptr<Node> m_node;
    /* By family, so IPv4's comes first. They are beside this in the aggregate. */
    std::map<uint8_t, GuestStack*> m_stacks;
    std::vector<Ptr<QemuNetDevice>> m_nics;
    std::vector<GuestNic> m_guestNics;
    std::vector<uint32_t> m_interfaceIndices;
    ns3qemu::RouteMetrics m_routeMetrics;
    std::unique_ptr<ns3qemu::VmDriver> m_driver;
    State m_state{State::NEW};
    bool m_elsewhere{false}; // another rank has it
    bool m_inTurn{false};
    /* Between its configuration and its node's own time to begin: what it has sent, and where its
     * instructions were before. */
    bool m_holds{false};
    std::vector<std::function<void()>> m_held;
    uint64_t m_heldFrom{0};
    std::exception_ptr m_preparationFailure;
    bool m_slowLinks{false}; // whether a NIC's link takes guest time to come up
    std::vector<std::string> m_skippedSysctls;
    /* What is to be asked at time 0. */
    std::vector<std::function<void(ns3qemu::RelayClient&)>> m_configuration;
    std::vector<std::function<void()>> m_whenRunning;
    GuestWatchers m_watchers;
    EventId m_grant;
    EventId m_timer;
    int64_t m_timerAt{0};
    uint32_t m_framesSent{0}; // in this turn
    /* That has a frame of which it is not known yet whether there is room for it. */
    QemuNetDevice* m_arrival{nullptr};
    bool m_remote{false}; // whether it has several NICs, and a link to another rank
    int64_t m_arrivedAt{-1};
    uint32_t m_arrivedBy{0}; // NIC
    TracedCallback<TurnCause, uint32_t, uint64_t> m_turnTrace;
    TracedCallback<Time, Time, uint64_t> m_computeTrace;
    TracedCallback<uint32_t, Time, Time, uint64_t> m_cpuTrace;
    std::vector<uint64_t> m_busyTold;       // instructions of each CPU
    std::vector<TurnListener*> m_listeners; // null: gone
    uint32_t m_telling{0};                  // how deep: being told, one may bring about a turn
};

} // namespace ns3

#endif /* NS3_QEMU_VIRTUAL_MACHINE_H */
