/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The attributes of a VirtualMachine, and what they make of its VM.
 */
#include "virtual-machine.h"

#include "ns3/boolean.h"
#include "ns3/data-rate.h"
#include "ns3/double.h"
#include "ns3/host-memory.h"
#include "ns3/image-name.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"
#include "ns3/vm-error.h"

#include <cmath>

namespace ns3
{

NS_OBJECT_ENSURE_REGISTERED(VirtualMachine);

namespace
{

/* Slower than any CPU that runs Linux, and faster than any. */
constexpr double CPU_RATE_MIN = 1e6;
constexpr double CPU_RATE_MAX = 1e12;

} // namespace

TypeId
VirtualMachine::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::VirtualMachine")
            .SetParent<GuestAccess>()
            .SetGroupName("Qemu")
            .AddConstructor<VirtualMachine>()
            .AddAttribute("Name",
                          "The guest's host name. Empty: the node's name, or node0, node1, ...",
                          StringValue(""),
                          MakeStringAccessor(&VirtualMachine::m_name),
                          MakeStringChecker())
            .AddAttribute(
                "Image",
                "What the machine is started from: an image's name (\"debian:6.1\") or directory.",
                StringValue(""),
                MakeStringAccessor(&VirtualMachine::m_image),
                MakeStringChecker())
            .AddAttribute("ConsoleLog",
                          "File for the guest's console. Empty: none.",
                          StringValue(""),
                          MakeStringAccessor(&VirtualMachine::m_consoleLog),
                          MakeStringChecker())
            .AddAttribute(
                "Uptime",
                "The guest's uptime when the simulation begins. It must have booted by then.",
                TimeValue(Seconds(20)),
                MakeTimeAccessor(&VirtualMachine::m_uptime),
                MakeTimeChecker(Seconds(0)))
            .AddAttribute("Epoch",
                          "The guest's date when the simulation begins, as time since 1970. "
                          "Negative: that of its image, which is that of its kernel, of the "
                          "newest certificate in it or of a disk.",
                          TimeValue(Seconds(-1)),
                          MakeTimeAccessor(&VirtualMachine::m_epoch),
                          MakeTimeChecker(Seconds(-1)))
            .AddAttribute("EpochSpread",
                          "The guest's date is ahead of Epoch by less than this, by a time that "
                          "is drawn from the machine's seed: no two hosts have the same date to "
                          "the nanosecond. Its uptime stays exact. 0: the date is Epoch.",
                          TimeValue(MilliSeconds(1)),
                          MakeTimeAccessor(&VirtualMachine::m_epochSpread),
                          MakeTimeChecker(Seconds(0), Seconds(86400)))
            .AddAttribute("PidSpread",
                          "The ids of the guest's processes go on from a number that is larger by "
                          "less than this, drawn from the machine's seed. 0: from where the "
                          "kernel is, which is the same in all machines.",
                          UintegerValue(10000),
                          MakeUintegerAccessor(&VirtualMachine::m_pidSpread),
                          MakeUintegerChecker<uint32_t>(0, 30000))
            .AddAttribute("TickPhase",
                          "When the guest's timer ticks: so long after a full millisecond of "
                          "simulated time. Its uptime when the simulation begins is larger by up "
                          "to 1 ms then. Negative: wherever it happens to.",
                          TimeValue(NanoSeconds(-1)),
                          MakeTimeAccessor(&VirtualMachine::m_tickPhase),
                          MakeTimeChecker(NanoSeconds(-1), NanoSeconds(999999)))
            .AddAttribute("TscStep",
                          "How far the guest's TSC advances with each reading within a turn, "
                          "during which all other clocks stand still.",
                          TimeValue(MicroSeconds(1)),
                          MakeTimeAccessor(&VirtualMachine::m_tscStep),
                          MakeTimeChecker(NanoSeconds(1), MilliSeconds(1)))
            .AddAttribute("Cpus",
                          "How many CPUs the machine has: 1 to 8. They run one after the other "
                          "within a turn, in slices of instructions, and it ends when all are "
                          "idle; with CpuRate they advance together (CpuQuantum). Fixed once the "
                          "machine has been started.",
                          UintegerValue(1),
                          MakeUintegerAccessor(&VirtualMachine::m_cpus),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("Queues",
                          "How many pairs of a transmit and a receive queue each NIC has, with an "
                          "interrupt each: 1 to Cpus. The guest sends on the queue of its CPU "
                          "(XPS); a frame gets to the queue on which the guest has last sent what "
                          "it answers to, or else to that of its flow's hash. Fixed once the "
                          "machine has been started.",
                          UintegerValue(1),
                          MakeUintegerAccessor(&VirtualMachine::m_queues),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("CpuRate",
                          "How many instructions each of the guest's CPUs executes in a second of "
                          "simulated time, 1e6 to 1e12: its clocks go on with them, what it sends "
                          "leaves when it has computed so far, and what arrives interrupts it. 0: "
                          "a turn takes no simulated time.",
                          DoubleValue(0),
                          MakeDoubleAccessor(&VirtualMachine::m_cpuRate),
                          MakeSimpleAttributeChecker<DoubleValue, AttributeChecker>(
                              "ns3::DoubleValue",
                              "double")) // all: what is wrong with one is said by ApplyAttributes()
            .AddAttribute("CpuQuantum",
                          "With CpuRate and several Cpus, all of them advance together: none is "
                          "ahead of another by more than this, which is how wrong the time may be "
                          "at which one sees what another does.",
                          TimeValue(MicroSeconds(10)),
                          MakeTimeAccessor(&VirtualMachine::m_cpuQuantum),
                          MakeTimeChecker(NanoSeconds(1), Seconds(1)))
            .AddAttribute("HostMemory",
                          "Bytes of memory of the host that the guest stands for. Limits that a "
                          "kernel computes from its memory (tcp_rmem, tcp_mem, nf_conntrack_max "
                          "...) are those of a host that has so much. 0: what the guest's own "
                          "memory gives.",
                          UintegerValue(uint64_t{8} << 30),
                          MakeUintegerAccessor(&VirtualMachine::m_hostMemory),
                          MakeUintegerChecker<uint64_t>(0, ns3qemu::HOST_MEMORY_MAX))
            .AddAttribute("SegmentationOffload",
                          "Whether the guest's stack may build packets larger than the MTU and "
                          "segment them when they leave it, as it does before any NIC. Frames on "
                          "the link are no larger than the MTU in either case.",
                          BooleanValue(true),
                          MakeBooleanAccessor(&VirtualMachine::m_segmentationOffload),
                          MakeBooleanChecker())
            .AddAttribute("DiskLatency",
                          "How long the guest's disks take for each request, besides moving its "
                          "data. Each serves its requests one after the other. 0, with DiskRate: "
                          "none takes any time.",
                          TimeValue(Seconds(0)),
                          MakeTimeAccessor(&VirtualMachine::m_diskLatency),
                          MakeTimeChecker(Seconds(0)))
            .AddAttribute("DiskRate",
                          "How fast the guest's disks move data. 0: at once.",
                          DataRateValue(DataRate(0)),
                          MakeDataRateAccessor(&VirtualMachine::m_diskRate),
                          MakeDataRateChecker())
            .AddAttribute("KeepDisks",
                          "Directory in which the guest's disks are kept as they are when the "
                          "simulation is destroyed, as NAME-vda, NAME-vdb, ... Empty: what is "
                          "written to them is gone.",
                          StringValue(""),
                          MakeStringAccessor(&VirtualMachine::m_keepDisks),
                          MakeStringChecker())
            .AddAttribute("Snapshot",
                          "Whether the machine starts from a saved one, which is kept with the "
                          "image; the first of its kind is booted and saved. Otherwise it boots.",
                          BooleanValue(true),
                          MakeBooleanAccessor(&VirtualMachine::m_snapshot),
                          MakeBooleanChecker())
            .AddAttribute("Fork",
                          "Whether the machine may be forked from a process that is kept for "
                          "others like it, which takes less time and memory. With Monitor, Gdb or "
                          "KeepDisks, or without Snapshot, it is started by itself in any case.",
                          BooleanValue(true),
                          MakeBooleanAccessor(&VirtualMachine::m_fork),
                          MakeBooleanChecker())
            .AddAttribute("WarmAfter",
                          "How many machines of a kind are forked before its process translates, "
                          "once and for all that follow, the code that most machines get to. 0: "
                          "before the first. That takes some tenths of a second, and saves each of "
                          "them as much CPU time and most of its memory. The results are the same.",
                          UintegerValue(ns3qemu::VmConfig{}.warmAfter),
                          MakeUintegerAccessor(&VirtualMachine::m_warmAfter),
                          MakeUintegerChecker<uint32_t>())
            .AddAttribute("Parallel",
                          "Whether the machine's turns may be had while the simulation and other "
                          "machines go on. The results are the same. All its devices must be "
                          "point-to-point, and events of other nodes must leave it alone. Fixed "
                          "once the simulation has begun.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&VirtualMachine::m_parallel),
                          MakeBooleanChecker())
            .AddAttribute("Sandbox",
                          "Whether the machine's process may do no more than turns need, once it "
                          "is ready: it opens no files, makes no connections, starts no programs. "
                          "Off for who tries something with QEMU itself.",
                          BooleanValue(true),
                          MakeBooleanAccessor(&VirtualMachine::m_sandbox),
                          MakeBooleanChecker())
            .AddAttribute("Spin",
                          "Wall time for which simulator and machine poll for their turn before "
                          "they sleep. Only of use where each has a CPU of its own.",
                          TimeValue(Seconds(0)),
                          MakeTimeAccessor(&VirtualMachine::m_spin),
                          MakeTimeChecker(Seconds(0)))
            .AddAttribute("SameCpu",
                          "Whether simulator and machine are on one CPU while the machine has a "
                          "turn that the simulation waits for. Not with Parallel or Spin.",
                          BooleanValue(true),
                          MakeBooleanAccessor(&VirtualMachine::m_sameCpu),
                          MakeBooleanChecker())
            .AddAttribute("Watchdog",
                          "A turn that lasts longer than this wall time is reported, with where "
                          "the guest is. It changes nothing in the simulation. 0: it is not.",
                          TimeValue(Seconds(30)),
                          MakeTimeAccessor(&VirtualMachine::m_watchdog),
                          MakeTimeChecker(Seconds(0)))
            .AddAttribute("WatchdogFails",
                          "Whether such a turn ends the run, as a failure of the machine.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&VirtualMachine::m_watchdogFails),
                          MakeBooleanChecker())
            .AddAttribute("TurnsAtOnce",
                          "More turns of the machine at one simulated time end the run, as a "
                          "failure of the machine: frames that go round in a loop without a delay "
                          "would never let simulated time go on. 0: they do not.",
                          UintegerValue(1'000'000),
                          MakeUintegerAccessor(&VirtualMachine::m_turnsAtOnce),
                          MakeUintegerChecker<uint64_t>())
            .AddAttribute("Monitor",
                          "Path of a UNIX socket for QEMU's monitor (QMP), which is there from the "
                          "machine's time 0 on; %n stands for the machine's name. Empty: none. "
                          "Looking changes nothing in the simulation.",
                          StringValue(""),
                          MakeStringAccessor(&VirtualMachine::m_monitor),
                          MakeStringChecker())
            .AddAttribute("Copies",
                          "Whether copies of the machine may be made, to look at (MakeCopy). They "
                          "are forks of its process, which its sandbox does not allow otherwise. "
                          "With Gdb they may be in any case.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&VirtualMachine::m_copies),
                          MakeBooleanChecker())
            .AddAttribute("Gdb",
                          "Path of a UNIX socket for gdb (target remote PATH), which is there from "
                          "the machine's time 0 on; %n stands for the machine's name. Empty: none. "
                          "While gdb has stopped the machine, the simulation waits; Watchdog does "
                          "not watch it.",
                          StringValue(""),
                          MakeStringAccessor(&VirtualMachine::m_gdb),
                          MakeStringChecker())
            .AddAttribute("BusyInstructions",
                          "A guest that has executed so many instructions in a turn without going "
                          "to sleep goes on BusyStep later.",
                          UintegerValue(50'000'000),
                          MakeUintegerAccessor(&VirtualMachine::m_busyInstructions),
                          MakeUintegerChecker<uint64_t>(10'000))
            .AddAttribute("BusyReads",
                          "A guest that has read its clock so often in a turn without going to "
                          "sleep waits for it in a loop. It goes on 1 us later, or a 64th of the "
                          "time that it has waited if that is more, up to BusyStep.",
                          UintegerValue(2'000),
                          MakeUintegerAccessor(&VirtualMachine::m_busyReads),
                          MakeUintegerChecker<uint64_t>(100))
            .AddAttribute("BusyStep",
                          "How much later a guest goes on that has used up a turn, unless a timer "
                          "of its own expires earlier.",
                          TimeValue(MilliSeconds(10)),
                          MakeTimeAccessor(&VirtualMachine::m_busyStep),
                          MakeTimeChecker(NanoSeconds(1)))
            .AddTraceSource("Turn",
                            "The machine has had a turn.",
                            MakeTraceSourceAccessor(&VirtualMachine::m_turnTrace),
                            "ns3::VirtualMachine::TurnTracedCallback")
            .AddTraceSource("Compute",
                            "The guest has computed, which has taken time: with CpuRate only.",
                            MakeTraceSourceAccessor(&VirtualMachine::m_computeTrace),
                            "ns3::VirtualMachine::ComputeTracedCallback")
            .AddTraceSource("CpuCompute",
                            "... and what each CPU has had of it that was busy.",
                            MakeTraceSourceAccessor(&VirtualMachine::m_cpuTrace),
                            "ns3::VirtualMachine::CpuComputeTracedCallback");
    return tid;
}

/* A path of which each machine has its own. */
std::string
VirtualMachine::InsertName(std::string path) const
{
    const std::string name = GetName();
    for (size_t at = 0; (at = path.find("%n", at)) != std::string::npos; at += name.size())
    {
        path.replace(at, 2, name);
    }
    return path;
}

ns3qemu::VmConfig
VirtualMachine::ApplyAttributes() const
{
    if (m_image.empty())
    {
        throw ns3qemu::VmError("VM '" + GetName() +
                               "' has no image: set the attribute Image, or use QemuHelper");
    }
    if (m_hostMemory != 0 && m_hostMemory < ns3qemu::HOST_MEMORY_MIN)
    {
        throw ns3qemu::VmError("VM '" + GetName() + "': HostMemory is " +
                               std::to_string(m_hostMemory) +
                               " bytes; give the host at least 64 MiB, that is " +
                               std::to_string(ns3qemu::HOST_MEMORY_MIN) +
                               ", or 0 for what the guest's own memory gives");
    }
    if (m_cpuRate != 0 && !(m_cpuRate >= CPU_RATE_MIN && m_cpuRate <= CPU_RATE_MAX))
    {
        throw ns3qemu::VmError("VM '" + GetName() + "': CpuRate is " + std::to_string(m_cpuRate) +
                               "; give it 1e6 to 1e12 instructions per second, or 0 for a CPU that "
                               "takes no time");
    }
    ns3qemu::VmConfig config;
    config.cpuRate = static_cast<uint64_t>(std::llround(m_cpuRate));
    config.cpuQuantum = m_cpuQuantum.GetNanoSeconds();
    const auto image = ns3qemu::FindImage(m_image);
    config.image = ns3qemu::ReadImage(image);
    config.cpus = m_cpus;
    config.consoleLog = m_consoleLog;
    config.uptime = m_uptime.GetNanoSeconds();
    config.epoch = (m_epoch.IsStrictlyNegative() ? config.image.epoch * 1'000'000'000
                                                 : m_epoch.GetNanoSeconds()) +
                   DrawBelow("epoch", m_epochSpread.GetNanoSeconds());
    config.snapshots = m_snapshot ? image + "/snapshots" : "";
    if (m_parallel && !m_keepDisks.empty())
    {
        throw ns3qemu::VmError("VM '" + GetName() +
                               "': KeepDisks and Parallel exclude each other, for a machine that "
                               "is ahead has written what it is not to have written yet");
    }
    config.keepDisks = m_keepDisks;
    config.diskTiming.latency = static_cast<uint64_t>(m_diskLatency.GetNanoSeconds());
    config.diskTiming.rate = m_diskRate.GetBitRate();
    config.sandbox = m_sandbox;
    config.fork = m_fork;
    config.warmAfter = m_warmAfter;
    config.spin = m_spin.GetNanoSeconds();
    config.sameCpu = m_sameCpu && (!m_parallel || m_cpuRate != 0) && m_spin.IsZero();
    config.watchdog = m_watchdog.GetNanoSeconds();
    config.watchdogFails = m_watchdogFails;
    config.turnsAtOnce = m_turnsAtOnce;
    config.monitor = InsertName(m_monitor);
    config.gdb = InsertName(m_gdb);
    // For the symbols, which are had from a copy.
    config.copies = m_copies || !m_gdb.empty();
    config.tickPhase = m_tickPhase.GetNanoSeconds();
    config.linkOptions.push_back("tsc-step=" + std::to_string(m_tscStep.GetNanoSeconds()));
    config.linkOptions.push_back("busy-instructions=" + std::to_string(m_busyInstructions));
    config.linkOptions.push_back("busy-reads=" + std::to_string(m_busyReads));
    config.linkOptions.push_back("busy-step=" + std::to_string(m_busyStep.GetNanoSeconds()));
    return config;
}

} // namespace ns3
