/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * See linux/pkt_sched.h for what the kernel takes, and tc-red(8), tc-pie(8) ... for what it means.
 */
#include "queue-disc-mapping.h"

#include "ns3/boolean.h"
#include "ns3/data-rate.h"
#include "ns3/double.h"
#include "ns3/guest-netlink.h"
#include "ns3/nstime.h"
#include "ns3/prio-queue-disc.h"
#include "ns3/queue-disc.h"
#include "ns3/queue-size.h"
#include "ns3/tbf-queue-disc.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <linux/pkt_sched.h>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace ns3
{

namespace
{

using ns3qemu::GuestNetlink;
using ns3qemu::GuestQdisc;

constexpr uint32_t ETHERNET_HEADER = 14; // which a qdisc counts
constexpr uint32_t SKB_TRUESIZE = 2304;  // of a frame of 1,514 bytes

/* Reads a queue disc's attributes, and knows which have been read. */
class Attributes
{
  public:
    Attributes(Ptr<const QueueDisc> disc, uint32_t mtu)
        : m_disc(disc),
          m_mtu(mtu)
    {
    }

    std::string GetType() const
    {
        return m_disc->GetInstanceTypeId().GetName();
    }

    uint32_t GetMtu() const
    {
        return m_mtu;
    }

    bool GetBool(const char* name)
    {
        return Get<BooleanValue>(name).Get();
    }

    double GetDouble(const char* name)
    {
        return Get<DoubleValue>(name).Get();
    }

    uint64_t GetRate(const char* name) // bit/s
    {
        return Get<DataRateValue>(name).Get().GetBitRate();
    }

    uint32_t GetNumber(const char* name)
    {
        return static_cast<uint32_t>(Get<UintegerValue>(name).Get());
    }

    /* Some of ns-3's queue discs have their times as strings. */
    uint32_t GetMicroSeconds(const char* name)
    {
        m_read.insert(name);
        const auto time = Time(GetText(name));
        return static_cast<uint32_t>(std::clamp<int64_t>(time.GetMicroSeconds(), 1, UINT32_MAX));
    }

    QueueSize GetMaxSize()
    {
        return Get<QueueSizeValue>("MaxSize").Get();
    }

    uint32_t GetPackets()
    {
        const auto size = GetMaxSize();
        const uint32_t n = size.GetValue();
        return std::max<uint32_t>(size.GetUnit() == QueueSizeUnit::PACKETS ? n : n / m_mtu, 1);
    }

    /* What means the same in the guest, or nothing there. */
    void Accept(std::initializer_list<const char*> names)
    {
        m_read.insert(names.begin(), names.end());
    }

    /* @return whether the script has said something else than what ns-3 has by itself */
    bool IsChanged(const std::string& name) const
    {
        TypeId::AttributeInformation info;
        m_disc->GetInstanceTypeId().LookupAttributeByName(name, &info);
        return GetText(name) != Serialize(info);
    }

    /* Nothing that a script has said is to be lost. */
    void CheckAllRead(const std::string& kind) const
    {
        const auto base = QueueDisc::GetTypeId();
        for (auto type = m_disc->GetInstanceTypeId(); type != base; type = type.GetParent())
        {
            for (size_t i = 0; i < type.GetAttributeN(); i++)
            {
                const auto name = type.GetAttribute(i).name;
                if (m_read.count(name) == 0 && IsChanged(name))
                {
                    throw std::invalid_argument(
                        GetType() + "::" + name + " = " + GetText(name) + ": the guest's " + kind +
                        ", which takes the place of this queue disc, has nothing like it; leave it "
                        "at its default, or give the guest the queueing discipline that you want "
                        "yourself (in Python: ns3_qemu.guest.set_qdisc), or leave a node whose "
                        "queue disc you study to InternetStackHelper");
                }
            }
        }
    }

  private:
    static std::string Serialize(const TypeId::AttributeInformation& info)
    {
        /* The default may be given in another form ("5ms") than a value is shown in. */
        const auto value = info.checker->Create();
        const auto text = info.originalInitialValue->SerializeToString(info.checker);
        value->DeserializeFromString(text, info.checker);
        return value->SerializeToString(info.checker);
    }

    std::string GetText(const std::string& name) const
    {
        TypeId::AttributeInformation info;
        m_disc->GetInstanceTypeId().LookupAttributeByName(name, &info);
        const auto value = info.checker->Create();
        m_disc->GetAttribute(name, *value);
        return value->SerializeToString(info.checker);
    }

    template <typename Value>
    Value Get(const char* name)
    {
        m_read.insert(name);
        Value value;
        m_disc->GetAttribute(name, value);
        return value;
    }

    Ptr<const QueueDisc> m_disc;
    uint32_t m_mtu;
    std::set<std::string> m_read;
};

/* The attributes within TCA_OPTIONS. */
class Options
{
  public:
    explicit Options(const char* kind)
    {
        m_qdisc.kind = kind;
        m_qdisc.nested = true;
    }

    Options& Number(uint16_t type, uint32_t value)
    {
        GuestNetlink::AppendNumber(m_qdisc.options, type, value);
        return *this;
    }

    Options& Byte(uint16_t type, uint8_t value)
    {
        GuestNetlink::AppendAttribute(m_qdisc.options, type, &value, sizeof(value));
        return *this;
    }

    Options& Bytes(uint16_t type, const void* data, size_t length)
    {
        GuestNetlink::AppendAttribute(m_qdisc.options, type, data, length);
        return *this;
    }

    GuestQdisc& Get()
    {
        return m_qdisc;
    }

  private:
    GuestQdisc m_qdisc;
};

bool
IsFinite(Attributes& from, const char* name)
{
    from.Accept({name});
    return from.IsChanged(name); // all of these are infinite by default
}

GuestQdisc
MapFifo(Attributes& from)
{
    const auto size = from.GetMaxSize();
    GuestQdisc fifo;
    fifo.kind = size.GetUnit() == QueueSizeUnit::PACKETS ? "pfifo" : "bfifo";
    const tc_fifo_qopt options{size.GetValue()};
    GuestNetlink::Append(fifo.options, &options, sizeof(options));
    return fifo;
}

GuestQdisc
MapPfifoFast(Attributes& from)
{
    GuestQdisc fifo;
    fifo.kind = "pfifo_fast";
    fifo.queueLength = from.GetPackets();
    return fifo;
}

GuestQdisc
MapPrio(Attributes& from, Ptr<const QueueDisc> disc)
{
    from.Accept({"Priomap"});
    const auto prio = DynamicCast<const PrioQueueDisc>(disc);
    tc_prio_qopt options{};
    constexpr size_t usual = 3; // ns-3's where there are no children, and Linux'
    const size_t children = disc->GetNQueueDiscClasses();
    options.bands = static_cast<int>(children == 0 ? usual : children);
    for (uint8_t i = 0; prio && i <= TC_PRIO_MAX; i++)
    {
        options.priomap[i] = static_cast<uint8_t>(prio->GetBandForPriority(i));
        if (options.priomap[i] >= options.bands)
        {
            throw std::invalid_argument("ns3::PrioQueueDisc has " + std::to_string(options.bands) +
                                        " bands, but its Priomap names band " +
                                        std::to_string(options.priomap[i]) +
                                        ", counted from 0; give it a child for each band");
        }
    }
    GuestQdisc bands;
    bands.kind = "prio";
    GuestNetlink::Append(bands.options, &options, sizeof(options));
    return bands;
}

GuestQdisc
MapTbf(Attributes& from, const TbfQueueDisc& disc)
{
    from.Accept({"Burst", "Mtu", "Rate", "PeakRate"}); // no attributes that can be read
    const auto size = from.GetMaxSize();
    const uint32_t burst = disc.GetBurst();
    const uint64_t rate = disc.GetRate().GetBitRate() / 8;
    const uint64_t peak = disc.GetPeakRate().GetBitRate() / 8;
    const uint32_t mtu = disc.GetMtu();
    const auto old = [](uint64_t bytes) {
        return static_cast<uint32_t>(std::min<uint64_t>(bytes, UINT32_MAX));
    };
    const bool packets = size.GetUnit() == QueueSizeUnit::PACKETS;
    tc_tbf_qopt parameters{};
    parameters.rate.rate = old(rate);
    parameters.rate.linklayer = TC_LINKLAYER_ETHERNET;
    parameters.peakrate.rate = old(peak);
    parameters.peakrate.linklayer = TC_LINKLAYER_ETHERNET;
    /* The kernel makes a bfifo of it, which one that counts packets takes the place of. */
    parameters.limit = packets ? old(uint64_t{size.GetValue()} * (from.GetMtu() + ETHERNET_HEADER))
                               : size.GetValue();
    Options options("tbf");
    options.Bytes(TCA_TBF_PARMS, &parameters, sizeof(parameters))
        .Bytes(TCA_TBF_RATE64, &rate, sizeof(rate))
        .Number(TCA_TBF_BURST, burst);
    if (peak != 0)
    {
        options.Bytes(TCA_TBF_PRATE64, &peak, sizeof(peak))
            .Number(TCA_TBF_PBURST, mtu != 0 ? mtu : from.GetMtu() + ETHERNET_HEADER);
    }
    if (packets && disc.GetNQueueDiscClasses() == 0)
    {
        GuestQdisc fifo;
        fifo.kind = "pfifo";
        const tc_fifo_qopt limit{size.GetValue()};
        GuestNetlink::Append(fifo.options, &limit, sizeof(limit));
        options.Get().children.push_back(fifo);
    }
    return options.Get();
}

/* How the average sinks while the queue is idle: for each time, by how many bits. */
std::array<uint8_t, 256>
MakeIdleTable(uint8_t weightLog, double packetTime, uint8_t& cellLog) // us
{
    constexpr double most = 31;
    const double bits = -std::log2(1 - std::ldexp(1.0, -weightLog)) / packetTime; // in 1 us
    cellLog = 0;
    while (cellLog < 31 && std::ldexp(255.0, cellLog) * bits < most)
    {
        cellLog++;
    }
    std::array<uint8_t, 256> table{};
    for (size_t i = 1; i < table.size(); i++)
    {
        const double sunk = std::ldexp(static_cast<double>(i), cellLog) * bits;
        table[i] = static_cast<uint8_t>(std::min(std::round(sunk), most));
    }
    return table;
}

GuestQdisc
MapRed(Attributes& from)
{
    from.Accept({"IdlePktSize",
                 "Wait",
                 "Gentle", // Linux' RED is not
                 "LinkDelay",
                 "Rtt",
                 "Interval",
                 "Top",
                 "Bottom",
                 "Alpha",
                 "Beta",
                 "LastSet",
                 "FengAlpha",
                 "FengBeta"});
    const bool adaptive = from.GetBool("ARED");
    const bool adaptsMaxP = from.GetBool("AdaptMaxP") || adaptive;
    const auto size = from.GetMaxSize();
    const uint32_t mean = from.GetNumber("MeanPktSize");
    /* ns-3 counts packets or bytes, Linux bytes. */
    const double unit = size.GetUnit() == QueueSizeUnit::BYTES ? 1
                        : from.IsChanged("MeanPktSize")        ? mean
                                                               : from.GetMtu() + ETHERNET_HEADER;
    const double bandwidth = static_cast<double>(from.GetRate("LinkBandwidth"));
    const double perSecond = bandwidth / (8.0 * mean); // packets
    double least = from.GetDouble("MinTh");
    double most = from.GetDouble("MaxTh");
    const double target = from.GetMicroSeconds("TargetDelay") / 1e6;
    if (adaptive || (least == 0 && most == 0))
    {
        least = std::max(5.0, target * perSecond / 2);
        least *= size.GetUnit() == QueueSizeUnit::BYTES ? mean : 1;
        most = 3 * least;
    }
    double weight = from.GetDouble("QW");
    if (adaptive || weight == 0)
    {
        weight = 1 - std::exp(-1 / perSecond);
    }
    if (weight < 0 || weight > 1)
    {
        throw std::invalid_argument("ns3::RedQueueDisc::QW = " + std::to_string(weight) +
                                    ": on a virtual machine's device, give the weight itself, "
                                    "between 0 and 1 (0.002)");
    }
    const double probability = 1 / std::max(from.GetDouble("LInterm"), 1.0);
    const bool ecn = from.GetBool("UseEcn");
    const bool hard = from.GetBool("UseHardDrop");

    tc_red_qopt parameters{};
    parameters.limit = static_cast<uint32_t>(size.GetValue() * unit);
    parameters.qth_min = static_cast<uint32_t>(least * unit);
    parameters.qth_max = static_cast<uint32_t>(most * unit);
    parameters.Wlog = static_cast<uint8_t>(std::clamp(std::round(-std::log2(weight)), 1.0, 15.0));
    const double range = std::max((most - least) * unit, 1.0);
    parameters.Plog =
        static_cast<uint8_t>(std::clamp(std::round(std::log2(range / probability)), 1.0, 31.0));
    const auto table = MakeIdleTable(parameters.Wlog, 8e6 * mean / bandwidth, parameters.Scell_log);
    parameters.flags =
        static_cast<unsigned char>((ecn ? TC_RED_ECN : 0) | (ecn && hard ? TC_RED_HARDDROP : 0) |
                                   (adaptsMaxP ? TC_RED_ADAPTATIVE : 0));
    const auto maxP = static_cast<uint32_t>(std::min(probability * 4294967296.0, 4294967295.0));
    return Options("red")
        .Bytes(TCA_RED_PARMS, &parameters, sizeof(parameters))
        .Bytes(TCA_RED_STAB, table.data(), table.size())
        .Number(TCA_RED_MAX_P, maxP)
        .Get();
}

GuestQdisc
MapCoDel(Attributes& from)
{
    from.Accept({"MinBytes"}); // an MTU
    Options options("codel");
    options.Number(TCA_CODEL_LIMIT, from.GetPackets())
        .Number(TCA_CODEL_TARGET, from.GetMicroSeconds("Target"))
        .Number(TCA_CODEL_INTERVAL, from.GetMicroSeconds("Interval"))
        .Number(TCA_CODEL_ECN, from.GetBool("UseEcn"));
    if (IsFinite(from, "CeThreshold"))
    {
        options.Number(TCA_CODEL_CE_THRESHOLD, from.GetMicroSeconds("CeThreshold"));
    }
    return options.Get();
}

GuestQdisc
MapFqCoDel(Attributes& from)
{
    from.Accept({"Perturbation", "SetWays"}); // the guest's is random
    Options options("fq_codel");
    options.Number(TCA_FQ_CODEL_LIMIT, from.GetPackets())
        .Number(TCA_FQ_CODEL_FLOWS, from.GetNumber("Flows"))
        .Number(TCA_FQ_CODEL_TARGET, from.GetMicroSeconds("Target"))
        .Number(TCA_FQ_CODEL_INTERVAL, from.GetMicroSeconds("Interval"))
        .Number(TCA_FQ_CODEL_ECN, from.GetBool("UseEcn"))
        .Number(TCA_FQ_CODEL_DROP_BATCH_SIZE, from.GetNumber("DropBatchSize"));
    if (IsFinite(from, "CeThreshold"))
    {
        options.Number(TCA_FQ_CODEL_CE_THRESHOLD, from.GetMicroSeconds("CeThreshold"));
    }
    if (from.GetBool("UseL4s"))
    {
        /* Only ECT(1) and CE: Linux 5.19. */
        options.Byte(TCA_FQ_CODEL_CE_THRESHOLD_SELECTOR, 1).Byte(TCA_FQ_CODEL_CE_THRESHOLD_MASK, 1);
    }
    return options.Get();
}

/* Linux has these in sixteenths. */
uint32_t
ToSixteenths(double factor)
{
    return static_cast<uint32_t>(std::clamp(std::round(factor * 16), 0.0, 32.0));
}

/* Whether PIE estimates the rate. If not, in ns-3 the threshold for it means nothing either. */
bool
TakeEstimator(Attributes& from)
{
    const bool estimates = from.GetBool("UseDequeueRateEstimator");
    if (!estimates)
    {
        from.Accept({"DequeueThreshold"});
    }
    return estimates;
}

GuestQdisc
MapPie(Attributes& from)
{
    from.Accept({"MeanPktSize", "UseDerandomization"});
    const bool estimates = TakeEstimator(from);
    return Options("pie")
        .Number(TCA_PIE_TARGET, from.GetMicroSeconds("QueueDelayReference"))
        .Number(TCA_PIE_LIMIT, from.GetPackets())
        .Number(TCA_PIE_TUPDATE, from.GetMicroSeconds("Tupdate"))
        .Number(TCA_PIE_ALPHA, ToSixteenths(from.GetDouble("A")))
        .Number(TCA_PIE_BETA, ToSixteenths(from.GetDouble("B")))
        .Number(TCA_PIE_ECN, from.GetBool("UseEcn"))
        .Number(TCA_PIE_DQ_RATE_ESTIMATOR, estimates)
        .Get();
}

GuestQdisc
MapFqPie(Attributes& from)
{
    from.Accept({"MeanPktSize", "UseDerandomization", "Perturbation", "SetWays", "DropBatchSize"});
    const bool estimates = TakeEstimator(from);
    const double percent = 100 * from.GetDouble("MarkEcnThreshold");
    return Options("fq_pie")
        .Number(TCA_FQ_PIE_LIMIT, from.GetPackets())
        .Number(TCA_FQ_PIE_FLOWS, from.GetNumber("Flows"))
        .Number(TCA_FQ_PIE_TARGET, from.GetMicroSeconds("QueueDelayReference"))
        .Number(TCA_FQ_PIE_TUPDATE, from.GetMicroSeconds("Tupdate"))
        .Number(TCA_FQ_PIE_ALPHA, ToSixteenths(from.GetDouble("A")))
        .Number(TCA_FQ_PIE_BETA, ToSixteenths(from.GetDouble("B")))
        .Number(TCA_FQ_PIE_ECN_PROB, static_cast<uint32_t>(std::clamp(percent, 0.0, 100.0)))
        .Number(TCA_FQ_PIE_ECN, from.GetBool("UseEcn"))
        .Number(TCA_FQ_PIE_DQ_RATE_ESTIMATOR, estimates)
        .Get();
}

/* CAKE is COBALT's home in Linux; it always marks what can be marked. */
GuestQdisc
MapCobalt(Attributes& from, bool fair)
{
    from.Accept({"UseEcn", "Flows", "DropBatchSize", "Perturbation", "SetWays"});
    const uint64_t memory = uint64_t{from.GetPackets()} * SKB_TRUESIZE;
    return Options("cake")
        .Number(TCA_CAKE_DIFFSERV_MODE, CAKE_DIFFSERV_BESTEFFORT)
        .Number(TCA_CAKE_FLOW_MODE, fair ? CAKE_FLOW_FLOWS : CAKE_FLOW_NONE)
        .Number(TCA_CAKE_TARGET, from.GetMicroSeconds("Target"))
        .Number(TCA_CAKE_RTT, from.GetMicroSeconds("Interval"))
        .Number(TCA_CAKE_MEMORY, static_cast<uint32_t>(std::min<uint64_t>(memory, UINT32_MAX)))
        .Get();
}

GuestQdisc
MapOne(Attributes& from, Ptr<const QueueDisc> disc)
{
    const auto type = from.GetType();
    if (type == "ns3::FifoQueueDisc")
    {
        return MapFifo(from);
    }
    if (type == "ns3::PfifoFastQueueDisc")
    {
        return MapPfifoFast(from);
    }
    if (type == "ns3::PrioQueueDisc")
    {
        return MapPrio(from, disc);
    }
    if (const auto tbf = DynamicCast<const TbfQueueDisc>(disc))
    {
        return MapTbf(from, *tbf);
    }
    if (type == "ns3::RedQueueDisc")
    {
        return MapRed(from);
    }
    if (type == "ns3::CoDelQueueDisc")
    {
        return MapCoDel(from);
    }
    if (type == "ns3::FqCoDelQueueDisc")
    {
        return MapFqCoDel(from);
    }
    if (type == "ns3::PieQueueDisc")
    {
        return MapPie(from);
    }
    if (type == "ns3::FqPieQueueDisc")
    {
        return MapFqPie(from);
    }
    if (type == "ns3::CobaltQueueDisc" || type == "ns3::FqCobaltQueueDisc")
    {
        return MapCobalt(from, type == "ns3::FqCobaltQueueDisc");
    }
    if (type == "ns3::MqQueueDisc")
    {
        throw std::invalid_argument(
            "ns3::MqQueueDisc is for devices with several queues, and a virtual machine's NIC has "
            "one: on its device, install one of the children as the root");
    }
    throw std::invalid_argument(
        type + " has no counterpart in Linux, and on a virtual machine's device it is the guest "
               "that queues: choose a Fifo, PfifoFast, Prio, Tbf, Red, CoDel, FqCoDel, Pie, FqPie, "
               "Cobalt or FqCobalt queue disc, or install it on a node with ns-3's own stack");
}

} // namespace

GuestQdisc
MapQueueDisc(Ptr<const QueueDisc> disc, uint32_t mtu)
{
    Attributes from(disc, mtu);
    auto qdisc = MapOne(from, disc);
    from.CheckAllRead(qdisc.kind);
    if (disc->GetNPacketFilters() != 0)
    {
        throw std::invalid_argument(from.GetType() +
                                    " has packet filters, which a guest cannot have: leave them "
                                    "out on a virtual machine's device");
    }
    for (size_t i = 0; i < disc->GetNQueueDiscClasses(); i++)
    {
        qdisc.children.push_back(MapQueueDisc(disc->GetQueueDiscClass(i)->GetQueueDisc(), mtu));
    }
    return qdisc;
}

} // namespace ns3
