/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * ns3_qemu._vm: the part of the C++ code below ns-3, for Python. Tests drive a VM with it turn by
 * turn; its types are declared in python/ns3_qemu/_vm.pyi.
 */
#include "guest-netlink.h"
#include "guest-prefix.h"
#include "guest-routes.h"
#include "host-memory.h"
#include "relay-client.h"
#include "vm-driver.h"
#include "vm-error.h"
#include "vm-zygote.h"

#include <algorithm>
#include <optional>
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using namespace ns3qemu;

namespace
{

py::bytes
ToBytes(const std::vector<uint8_t>& data)
{
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

std::vector<uint8_t>
FromBytes(const py::bytes& data)
{
    const std::string_view view = data;
    return {view.begin(), view.end()};
}

/* "fe80::1%2" has a scope, an interface's index. */
GuestEndpoint
Endpoint(const std::string& text, uint16_t port)
{
    const size_t percent = text.find('%');
    GuestEndpoint endpoint{GuestAddress::Parse(text.substr(0, percent)), port};
    if (percent != std::string::npos)
    {
        const std::string digits = text.substr(percent + 1);
        if (digits.empty() || digits.size() > 9 ||
            digits.find_first_not_of("0123456789") != std::string::npos)
        {
            throw std::invalid_argument("'" + text + "' has no interface index after its '%'");
        }
        endpoint.scope = static_cast<uint32_t>(std::stoul(digits));
    }
    return endpoint;
}

py::tuple
EndpointTuple(const GuestEndpoint& endpoint)
{
    const std::string scope = endpoint.scope ? "%" + std::to_string(endpoint.scope) : "";
    return py::make_tuple(endpoint.address.Print() + scope, endpoint.port);
}

/* Without its attributes. */
GuestRoute
Route(RelayClient& relay,
      const std::string& destination,
      uint32_t nic,
      const std::optional<std::string>& gateway)
{
    GuestRoute route = GuestRoute::Parse(destination, gateway.value_or(""));
    route.interface = relay.GetLink(nic).index;
    return route;
}

/* A VM that keeps what it has sent until it is asked for. */
class PyVm
{
  public:
    explicit PyVm(VmConfig config)
        : m_driver(std::move(config))
    {
        m_driver.SetFrameHandler([this](unsigned nic, const uint8_t* data, size_t length) {
            m_frames.emplace_back(nic, std::vector<uint8_t>(data, data + length));
        });
        m_driver.SetConsoleHandler([this](const uint8_t* data, size_t length) {
            /* Nobody may ever take it. */
            if (m_console.size() < CONSOLE_MAX)
            {
                m_console.append(reinterpret_cast<const char*>(data), length);
            }
        });
        m_driver.SetInterrupt([]() {
            py::gil_scoped_acquire gil;
            if (PyErr_CheckSignals() != 0)
            {
                throw py::error_already_set();
            }
        });
        m_driver.GetRelay().SetReadyHandler(
            [this](const RelayReady& ready) { m_ready.push_back(ready); });
        m_driver.GetRelay().SetStreamHandler(
            [this](const RelayStreamEnd& end) { m_streams.push_back(end); });
        m_driver.GetRelay().SetOutputHandler(
            [this](uint32_t process, int stream, const uint8_t* data, size_t length) {
                m_output.emplace_back(process, stream, std::vector<uint8_t>(data, data + length));
            });
        m_driver.GetRelay().SetExitHandler(
            [this](const RelayProcessExit& end) { m_exits.push_back(end); });
    }

    VmDriver& Driver()
    {
        return m_driver;
    }

    py::bytes TakeConsole()
    {
        std::string console;
        console.swap(m_console);
        return console;
    }

    py::list TakeFrames()
    {
        py::list frames;
        for (const auto& [nic, data] : m_frames)
        {
            frames.append(py::make_tuple(nic, ToBytes(data)));
        }
        m_frames.clear();
        return frames;
    }

    py::list TakeReady()
    {
        py::list events;
        for (const auto& ready : m_ready)
        {
            events.append(py::make_tuple(ready.handle, ready.conditions, ready.error));
        }
        m_ready.clear();
        return events;
    }

    py::list TakeStreamEnds()
    {
        py::list events;
        for (const auto& end : m_streams)
        {
            events.append(py::make_tuple(end.handle, end.error, end.bytes, end.wrong));
        }
        m_streams.clear();
        return events;
    }

    py::list TakeOutput()
    {
        py::list events;
        for (const auto& [process, stream, data] : m_output)
        {
            events.append(py::make_tuple(process, stream, ToBytes(data)));
        }
        m_output.clear();
        return events;
    }

    /* @return whether a program has written or ended since somebody asked for that */
    bool HasHeard() const
    {
        return !m_output.empty() || !m_exits.empty();
    }

    py::list TakeExits()
    {
        py::list events;
        for (const auto& end : m_exits)
        {
            events.append(py::make_tuple(end.process, end.code, end.signal));
        }
        m_exits.clear();
        return events;
    }

  private:
    static constexpr size_t CONSOLE_MAX = 16 * 1024 * 1024; // bytes

    VmDriver m_driver;
    std::string m_console;
    std::vector<std::pair<unsigned, std::vector<uint8_t>>> m_frames;
    std::vector<RelayReady> m_ready;
    std::vector<RelayStreamEnd> m_streams;
    std::vector<std::tuple<uint32_t, int, std::vector<uint8_t>>> m_output;
    std::vector<RelayProcessExit> m_exits;
};

} // namespace

PYBIND11_MODULE(_vm, m)
{
    m.doc() = "A virtual machine in simulated time, driven turn by turn without ns-3.";

    /* The package's own, so that there is one for machines with and without ns-3. */
    static const py::handle vmError =
        py::module_::import("ns3_qemu.errors").attr("VmError").cast<py::object>().release();
    m.attr("VmError") = vmError;
    static py::exception<GuestError> guestError(m, "GuestError", PyExc_OSError);
    py::register_exception_translator([](std::exception_ptr pointer) {
        try
        {
            if (pointer)
            {
                std::rethrow_exception(pointer);
            }
        }
        catch (const VmError& error)
        {
            py::set_error(vmError, error.what());
        }
        catch (const GuestError& error)
        {
            const py::tuple arguments = py::make_tuple(error.GetErrno(), error.what());
            PyErr_SetObject(guestError.ptr(), arguments.ptr());
        }
    });

    m.attr("NO_DEADLINE") = SIM_LINK_NO_DEADLINE;
    m.attr("READABLE") = static_cast<int>(RELAY_READABLE);
    m.attr("WRITABLE") = static_cast<int>(RELAY_WRITABLE);
    m.attr("ERROR") = static_cast<int>(RELAY_ERROR);
    m.attr("HANGUP") = static_cast<int>(RELAY_HANGUP);
    m.attr("SOURCE") = static_cast<int>(RELAY_STREAM_SOURCE);
    m.attr("SINK") = static_cast<int>(RELAY_STREAM_SINK);
    m.attr("VERIFY") = static_cast<int>(RELAY_STREAM_VERIFY);
    py::class_<VmImage>(m, "VmImage")
        .def(py::init([](std::vector<std::string> command,
                         std::vector<std::string> boot,
                         uint32_t memoryMib,
                         std::string nicModel,
                         std::string relayPort) {
                 return VmImage{std::move(command),
                                std::move(boot),
                                memoryMib,
                                std::move(nicModel),
                                std::move(relayPort)};
             }),
             py::arg("command"),
             py::kw_only(),
             py::arg("boot") = std::vector<std::string>{},
             py::arg("memory_mib") = VmImage{}.memoryMib,
             py::arg("nic_model") = VmImage{}.nicModel,
             py::arg("relay_port") = VmImage{}.relayPort)
        .def_readonly("command", &VmImage::command)
        .def_readonly("boot", &VmImage::boot)
        .def_readonly("memory_mib", &VmImage::memoryMib)
        .def_readonly("nic_model", &VmImage::nicModel)
        .def_readonly("relay_port", &VmImage::relayPort)
        .def_readonly("epoch", &VmImage::epoch);
    m.def("zygotes", []() { return VmZygotes::Get().GetPids(); });
    m.def("zygote_blocks", []() { return VmZygotes::Get().GetBlocks(); });
    m.def("read_image", &ReadImage, py::arg("directory"));

    py::class_<VmCopy, std::shared_ptr<VmCopy>>(m, "VmCopy")
        .def(
            "run",
            [](VmCopy& copy, const std::vector<std::string>& arguments, int64_t limit) {
                GuestProgram program;
                program.arguments = arguments;
                program.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
                VmCopy::Result result;
                {
                    py::gil_scoped_release release;
                    result = copy.Run(program, limit);
                }
                return py::make_tuple(result.exitCode,
                                      py::bytes(result.output),
                                      py::bytes(result.errors),
                                      result.duration);
            },
            py::arg("arguments"),
            py::arg("limit") = 60'000'000'000)
        .def(
            "read_file",
            [](VmCopy& copy, const std::string& path) { return py::bytes(copy.ReadFile(path)); },
            py::arg("path"))
        .def("write_file",
             &VmCopy::WriteFile,
             py::arg("path"),
             py::arg("data"),
             py::arg("mode") = 0644);

    py::class_<PyVm>(m, "Vm")
        .def(py::init([](VmImage image,
                         const std::vector<std::string>& nics,
                         std::string name,
                         std::string consoleLog,
                         uint64_t seed,
                         int64_t uptime,
                         int64_t spin,
                         bool sameCpu,
                         int64_t tickPhase,
                         std::vector<std::string> linkOptions,
                         uint32_t mtu,
                         uint32_t txRing,
                         std::string snapshots,
                         uint64_t diskLatency,
                         uint64_t diskRate,
                         std::string keepDisks,
                         int64_t watchdog,
                         uint64_t turnsAtOnce,
                         std::string monitor,
                         std::string gdb,
                         std::string counts,
                         bool copies,
                         bool sandbox,
                         bool fork,
                         uint32_t warmAfter,
                         uint64_t cpuRate,
                         uint32_t cpus,
                         int64_t cpuQuantum,
                         uint32_t queues) {
                 VmConfig config;
                 config.cpuRate = cpuRate;
                 config.monitor = std::move(monitor);
                 config.gdb = std::move(gdb);
                 config.counts = std::move(counts);
                 config.copies = copies;
                 config.image = std::move(image);
                 for (const auto& address : nics)
                 {
                     VmNic nic;
                     nic.address = address;
                     nic.mtu = mtu;
                     nic.txRing = txRing;
                     nic.queues = queues;
                     config.nics.push_back(nic);
                 }
                 config.name = std::move(name);
                 config.consoleLog = std::move(consoleLog);
                 config.seed = seed;
                 config.uptime = uptime;
                 config.spin = spin;
                 config.sameCpu = sameCpu;
                 config.tickPhase = tickPhase;
                 config.linkOptions = std::move(linkOptions);
                 config.snapshots = std::move(snapshots);
                 config.diskTiming = {diskLatency, diskRate};
                 config.keepDisks = std::move(keepDisks);
                 config.watchdog = watchdog;
                 config.turnsAtOnce = turnsAtOnce;
                 config.sandbox = sandbox;
                 config.fork = fork;
                 config.warmAfter = warmAfter;
                 config.cpus = cpus;
                 config.cpuQuantum = cpuQuantum;
                 return std::make_unique<PyVm>(std::move(config));
             }),
             py::arg("image"),
             py::kw_only(),
             py::arg("nics") = std::vector<std::string>{},
             py::arg("name") = "vm",
             py::arg("console_log") = "",
             py::arg("seed") = 1,
             py::arg("uptime") = VmConfig{}.uptime,
             py::arg("spin") = 0,
             py::arg("same_cpu") = false,
             py::arg("tick_phase") = -1,
             py::arg("link_options") = std::vector<std::string>{},
             py::arg("mtu") = 1500,
             py::arg("tx_ring") = 256,
             py::arg("snapshots") = "",
             py::arg("disk_latency") = 0,
             py::arg("disk_rate") = 0,
             py::arg("keep_disks") = "",
             py::arg("watchdog") = VmConfig{}.watchdog,
             py::arg("turns_at_once") = 0,
             py::arg("monitor") = "",
             py::arg("gdb") = "",
             py::arg("counts") = "",
             py::arg("copies") = false,
             py::arg("sandbox") = VmConfig{}.sandbox,
             py::arg("fork") = VmConfig{}.fork,
             py::arg("warm_after") = VmConfig{}.warmAfter,
             py::arg("cpu_rate") = VmConfig{}.cpuRate,
             py::arg("cpus") = VmConfig{}.cpus,
             py::arg("cpu_quantum") = VmConfig{}.cpuQuantum,
             py::arg("queues") = VmNic{}.queues)
        .def(
            "set_watchdog",
            [](PyVm& vm, int64_t watchdog, bool fails) {
                vm.Driver().SetWatchdog(watchdog, fails);
            },
            py::arg("watchdog"),
            py::kw_only(),
            py::arg("fails") = false)
        .def(
            "copy",
            [](PyVm& vm, int64_t time) { return vm.Driver().Copy(time); },
            py::arg("time"))
        .def("keep_disks", [](PyVm& vm) { vm.Driver().KeepDisks(); })
        .def("start", [](PyVm& vm) { vm.Driver().Start(); })
        .def(
            "finish_boot",
            [](PyVm& vm) { vm.Driver().FinishBoot(); },
            py::call_guard<py::gil_scoped_release>())
        .def(
            "run",
            [](PyVm& vm, int64_t time, bool timers, int64_t horizon) {
                vm.Driver().Run(time, timers, horizon);
            },
            py::arg("time"),
            py::arg("timers") = true,
            py::arg("horizon") = SIM_LINK_NO_DEADLINE,
            py::call_guard<py::gil_scoped_release>())
        .def(
            "run_until",
            [](PyVm& vm, int64_t time) {
                auto& driver = vm.Driver();
                /* One whose computing takes time stays busy when it has reached it. */
                while (driver.GetDeadline() < time ||
                       (driver.GetDeadline() == time && !(driver.IsBusy() && driver.IsTimed())))
                {
                    driver.Run(driver.GetDeadline(), true, time);
                }
                driver.Run(time, true, time);
            },
            py::arg("time"),
            py::call_guard<py::gil_scoped_release>())
        .def(
            "run_until_heard",
            [](PyVm& vm, int64_t time, uint64_t turns) {
                auto& driver = vm.Driver();
                for (; turns > 0 && !vm.HasHeard() && driver.GetTime() < time; turns--)
                {
                    driver.Run(std::min(driver.GetDeadline(), time), true);
                }
            },
            py::arg("time"),
            py::arg("turns"),
            py::call_guard<py::gil_scoped_release>())
        .def(
            "run_many",
            [](PyVm& vm,
               uint64_t count,
               int64_t step,
               unsigned nic,
               const std::optional<py::bytes>& frame) {
                const auto data = frame ? std::optional(FromBytes(*frame)) : std::nullopt;
                py::gil_scoped_release release;
                for (uint64_t i = 0; i < count; i++)
                {
                    if (data)
                    {
                        vm.Driver().QueueFrame(nic, data->data(), data->size());
                    }
                    vm.Driver().Run(vm.Driver().GetTime() + step, true);
                }
            },
            py::arg("count"),
            py::arg("step"),
            py::kw_only(),
            py::arg("nic") = 0,
            py::arg("frame") = std::nullopt)
        .def(
            "queue_frame",
            [](PyVm& vm, unsigned nic, const py::bytes& frame) {
                const std::string_view view = frame;
                vm.Driver().QueueFrame(nic,
                                       reinterpret_cast<const uint8_t*>(view.data()),
                                       view.size());
            },
            py::arg("nic"),
            py::arg("frame"))
        .def(
            "go_ahead",
            [](PyVm& vm,
               int64_t horizon,
               const std::vector<std::tuple<int64_t, unsigned, py::bytes>>& frames,
               uint32_t turns) {
                size_t queued = 0;
                for (const auto& [time, nic, frame] : frames)
                {
                    const std::string_view view = frame;
                    if (!vm.Driver().QueueAhead(time,
                                                nic,
                                                reinterpret_cast<const uint8_t*>(view.data()),
                                                view.size()))
                    {
                        break;
                    }
                    queued++;
                }
                vm.Driver().GoAhead(horizon, turns);
                return queued;
            },
            py::arg("horizon"),
            py::arg("frames") = std::vector<std::tuple<int64_t, unsigned, py::bytes>>{},
            py::arg("turns") = 256)
        .def(
            "set_credit",
            [](PyVm& vm, unsigned nic, std::optional<uint32_t> frames) {
                vm.Driver().SetCredit(nic, frames.value_or(SIM_LINK_CREDIT_UNLIMITED));
            },
            py::arg("nic"),
            py::arg("frames"))
        .def(
            "credit",
            [](PyVm& vm, unsigned nic) -> std::optional<uint32_t> {
                const uint32_t frames = vm.Driver().GetCredit(nic);
                return frames == SIM_LINK_CREDIT_UNLIMITED ? std::nullopt : std::optional(frames);
            },
            py::arg("nic"))
        .def(
            "set_carrier",
            [](PyVm& vm, unsigned nic, bool up) { vm.Driver().SetCarrier(nic, up); },
            py::arg("nic"),
            py::arg("up"))
        .def(
            "queue_console",
            [](PyVm& vm, const py::bytes& data) {
                const std::string_view view = data;
                vm.Driver().QueueConsole(reinterpret_cast<const uint8_t*>(view.data()),
                                         view.size());
            },
            py::arg("data"))
        .def("take_console", &PyVm::TakeConsole)
        .def("take_frames", &PyVm::TakeFrames)
        .def("take_ready", &PyVm::TakeReady)
        .def("take_stream_ends", &PyVm::TakeStreamEnds)
        .def("take_output", &PyVm::TakeOutput)
        .def("take_exits", &PyVm::TakeExits)
        .def("end", [](PyVm& vm) { vm.Driver().End(); })
        .def_property_readonly("deadline", [](PyVm& vm) { return vm.Driver().GetDeadline(); })
        .def_property_readonly("busy", [](PyVm& vm) { return vm.Driver().IsBusy(); })
        .def_property_readonly("time", [](PyVm& vm) { return vm.Driver().GetTime(); })
        .def_property_readonly("reached", [](PyVm& vm) { return vm.Driver().GetReached(); })
        .def_property_readonly("busy_time", [](PyVm& vm) { return vm.Driver().GetBusyTime(); })
        .def_property_readonly("busy_instructions",
                               [](PyVm& vm) { return vm.Driver().GetBusyInstructions(); })
        .def_property_readonly("turns", [](PyVm& vm) { return vm.Driver().GetTurns(); })
        .def_property_readonly("turns_ahead", [](PyVm& vm) { return vm.Driver().GetTurnsAhead(); })
        .def_property_readonly("ahead", [](PyVm& vm) { return vm.Driver().IsAhead(); })
        .def("collect_ahead", [](PyVm& vm) { vm.Driver().CollectAhead(); })
        .def_property_readonly("going", [](PyVm& vm) { return vm.Driver().IsGoing(); })
        .def_property_readonly("can_go_ahead", [](PyVm& vm) { return vm.Driver().CanGoAhead(); })
        .def_property_readonly("horizon", [](PyVm& vm) { return vm.Driver().GetHorizon(); })
        .def_property_readonly("next_timer", [](PyVm& vm) { return vm.Driver().GetNextTimer(); })
        .def_property_readonly("instructions",
                               [](PyVm& vm) { return vm.Driver().GetInstructions(); })
        .def_property_readonly("pid", [](PyVm& vm) { return vm.Driver().GetPid(); })
        .def_property_readonly("exit", [](PyVm& vm) { return vm.Driver().GetExit(); })
        .def_property_readonly("console_tail",
                               [](PyVm& vm) { return vm.Driver().GetConsoleTail(); })
        .def_property_readonly(
            "relay",
            [](PyVm& vm) -> RelayClient& { return vm.Driver().GetRelay(); },
            py::return_value_policy::reference_internal);

    py::class_<GuestReceived>(m, "Received")
        .def_property_readonly("data",
                               [](const GuestReceived& received) { return ToBytes(received.data); })
        .def_property_readonly("sender",
                               [](const GuestReceived& received) -> py::object {
                                   if (received.from.address.family == 0)
                                   {
                                       return py::none();
                                   }
                                   return EndpointTuple(received.from);
                               })
        .def_readonly("flags", &GuestReceived::flags)
        .def_readonly("length", &GuestReceived::length)
        .def_property_readonly("local",
                               [](const GuestReceived& received) -> std::optional<std::string> {
                                   return received.has & RELAY_HAS_LOCAL
                                              ? std::optional(received.local.Print())
                                              : std::nullopt;
                               })
        .def_property_readonly("interface",
                               [](const GuestReceived& received) -> std::optional<uint32_t> {
                                   return received.has & RELAY_HAS_LOCAL
                                              ? std::optional(received.interface)
                                              : std::nullopt;
                               })
        .def_property_readonly("tos",
                               [](const GuestReceived& received) -> std::optional<unsigned> {
                                   return received.has & RELAY_HAS_TOS
                                              ? std::optional<unsigned>(received.tos)
                                              : std::nullopt;
                               })
        .def_property_readonly("ttl", [](const GuestReceived& received) -> std::optional<unsigned> {
            return received.has & RELAY_HAS_TTL ? std::optional<unsigned>(received.ttl)
                                                : std::nullopt;
        });

    py::class_<RelayClient>(m, "Relay")
        .def_property_readonly("release", &RelayClient::GetRelease)
        .def_property_readonly("nics", &RelayClient::GetNics)
        .def("clock",
             [](RelayClient& relay) {
                 const RelayClock clock = relay.GetClock();
                 return py::make_tuple(clock.realtime, clock.monotonic, clock.boottime);
             })
        .def("set_realtime", &RelayClient::SetRealtime, py::arg("realtime"))
        .def("sysctl", &RelayClient::GetSysctl, py::arg("name"))
        .def("set_sysctl", &RelayClient::SetSysctl, py::arg("name"), py::arg("value"))
        .def(
            "set_host_memory",
            [](RelayClient& relay, uint64_t bytes) {
                if (bytes < HOST_MEMORY_MIN || bytes > HOST_MEMORY_MAX)
                {
                    throw std::invalid_argument("a host with " + std::to_string(bytes) +
                                                " bytes of memory");
                }
                SetHostSysctls(relay, bytes);
            },
            py::arg("bytes"))
        .def(
            "read_file",
            [](RelayClient& relay, const std::string& path) {
                return ToBytes(relay.ReadFile(path));
            },
            py::arg("path"))
        .def(
            "write_file",
            [](RelayClient& relay, const std::string& path, const py::bytes& data, uint32_t mode) {
                relay.WriteFile(path, FromBytes(data), mode);
            },
            py::arg("path"),
            py::arg("data"),
            py::arg("mode") = 0644)
        .def(
            "link",
            [](RelayClient& relay, uint32_t nic) {
                std::string name;
                const RelayLink link = relay.GetLink(nic, &name);
                return py::make_tuple(name,
                                      link.flags,
                                      link.mtu,
                                      ToBytes({link.address, link.address + 6}));
            },
            py::arg("nic"))
        .def(
            "set_link",
            [](RelayClient& relay,
               uint32_t nic,
               std::optional<bool> up,
               std::optional<bool> arp,
               std::optional<uint32_t> mtu,
               std::optional<uint32_t> gsoMaxSegments,
               std::optional<uint32_t> speed) {
                RelayLinkSet link{};
                link.nic = nic;
                if (up)
                {
                    link.set |= RELAY_LINK_UP;
                    link.up = *up;
                }
                if (arp)
                {
                    link.set |= RELAY_LINK_ARP;
                    link.arp = *arp;
                }
                if (mtu)
                {
                    link.set |= RELAY_LINK_MTU;
                    link.mtu = *mtu;
                }
                if (gsoMaxSegments)
                {
                    link.set |= RELAY_LINK_GSO_MAX_SEGMENTS;
                    link.gsoMaxSegments = *gsoMaxSegments;
                }
                if (speed)
                {
                    link.set |= RELAY_LINK_SPEED;
                    link.speed = *speed;
                }
                relay.SetLink(link);
            },
            py::arg("nic"),
            py::kw_only(),
            py::arg("up") = std::nullopt,
            py::arg("arp") = std::nullopt,
            py::arg("mtu") = std::nullopt,
            py::arg("gso_max_segments") = std::nullopt,
            py::arg("speed") = std::nullopt)
        .def(
            "add_address",
            [](RelayClient& relay, uint32_t nic, const std::string& address) {
                const auto [bytes, prefix] = GuestPrefix::Parse(address);
                relay.AddAddress(nic, bytes, prefix);
            },
            py::arg("nic"),
            py::arg("address"))
        .def(
            "delete_address",
            [](RelayClient& relay, uint32_t nic, const std::string& address) {
                const auto [bytes, prefix] = GuestPrefix::Parse(address);
                relay.DeleteAddress(nic, bytes, prefix);
            },
            py::arg("nic"),
            py::arg("address"))
        .def(
            "add_route",
            [](RelayClient& relay,
               const std::string& destination,
               uint32_t nic,
               const std::optional<std::string>& gateway,
               uint32_t initialWindow,
               uint32_t initialReceiveWindow,
               uint32_t mtu,
               bool quickAck,
               uint32_t advertisedMss,
               uint32_t window,
               uint32_t hopLimit,
               uint32_t minimumRto,
               std::string congestionControl) {
                GuestRoute route = Route(relay, destination, nic, gateway);
                route.initialWindow = initialWindow;
                route.initialReceiveWindow = initialReceiveWindow;
                route.mtu = mtu;
                route.quickAck = quickAck;
                route.advertisedMss = advertisedMss;
                route.window = window;
                route.hopLimit = hopLimit;
                route.minimumRto = minimumRto;
                route.congestionControl = std::move(congestionControl);
                AddGuestRoute(relay, route);
            },
            py::arg("destination"),
            py::kw_only(),
            py::arg("nic"),
            py::arg("gateway") = std::nullopt,
            py::arg("initial_window") = 0,
            py::arg("initial_receive_window") = 0,
            py::arg("mtu") = 0,
            py::arg("quick_ack") = false,
            py::arg("advertised_mss") = 0,
            py::arg("window") = 0,
            py::arg("hop_limit") = 0,
            py::arg("minimum_rto") = 0,
            py::arg("congestion_control") = "")
        .def(
            "delete_route",
            [](RelayClient& relay,
               const std::string& destination,
               uint32_t nic,
               const std::optional<std::string>& gateway) {
                DeleteGuestRoute(relay, Route(relay, destination, nic, gateway));
            },
            py::arg("destination"),
            py::kw_only(),
            py::arg("nic"),
            py::arg("gateway") = std::nullopt)
        .def(
            "netlink",
            [](RelayClient& relay, uint32_t protocol, const py::bytes& request) {
                return ToBytes(PassNetlink(relay, protocol, FromBytes(request)));
            },
            py::arg("protocol"),
            py::arg("request"))
        .def("socket",
             &RelayClient::Socket,
             py::arg("domain"),
             py::arg("type"),
             py::arg("protocol") = 0)
        .def(
            "bind",
            [](RelayClient& relay, uint32_t handle, const std::string& address, uint16_t port) {
                relay.Bind(handle, Endpoint(address, port));
            },
            py::arg("handle"),
            py::arg("address"),
            py::arg("port"))
        .def("listen", &RelayClient::Listen, py::arg("handle"), py::arg("backlog") = 128)
        .def(
            "accept",
            [](RelayClient& relay, uint32_t handle) {
                GuestEndpoint peer;
                const uint32_t connection = relay.Accept(handle, &peer);
                return py::make_tuple(connection, EndpointTuple(peer));
            },
            py::arg("handle"))
        .def(
            "connect",
            [](RelayClient& relay, uint32_t handle, const std::string& address, uint16_t port) {
                relay.Connect(handle, Endpoint(address, port));
            },
            py::arg("handle"),
            py::arg("address"),
            py::arg("port"))
        .def(
            "setsockopt",
            [](RelayClient& relay, uint32_t handle, int level, int name, const py::bytes& value) {
                relay.SetOption(handle, level, name, FromBytes(value));
            },
            py::arg("handle"),
            py::arg("level"),
            py::arg("name"),
            py::arg("value"))
        .def(
            "getsockopt",
            [](RelayClient& relay, uint32_t handle, int level, int name, uint32_t length) {
                return ToBytes(relay.GetOption(handle, level, name, length));
            },
            py::arg("handle"),
            py::arg("level"),
            py::arg("name"),
            py::arg("length"))
        .def(
            "getsockname",
            [](RelayClient& relay, uint32_t handle) {
                return EndpointTuple(relay.GetSocketName(handle));
            },
            py::arg("handle"))
        .def("shutdown", &RelayClient::Shutdown, py::arg("handle"), py::arg("how"))
        .def(
            "send",
            [](RelayClient& relay,
               uint32_t handle,
               const py::bytes& data,
               uint32_t flags,
               const std::optional<std::pair<std::string, uint16_t>>& to) {
                const std::string_view view = data;
                const auto* bytes = reinterpret_cast<const uint8_t*>(view.data());
                if (!to)
                {
                    return relay.Send(handle, bytes, view.size(), flags);
                }
                const GuestEndpoint endpoint = Endpoint(to->first, to->second);
                return relay.Send(handle, bytes, view.size(), flags, &endpoint);
            },
            py::arg("handle"),
            py::arg("data"),
            py::arg("flags") = 0,
            py::arg("to") = std::nullopt)
        .def(
            "receive",
            [](RelayClient& relay, uint32_t handle, uint32_t length, uint32_t flags) {
                return relay.Receive(handle, length, flags);
            },
            py::arg("handle"),
            py::arg("length") = 65536,
            py::arg("flags") = 0)
        .def(
            "ioctl",
            [](RelayClient& relay, uint32_t handle, uint32_t request, const py::bytes& argument) {
                return ToBytes(relay.Ioctl(handle, request, FromBytes(argument)));
            },
            py::arg("handle"),
            py::arg("request"),
            py::arg("argument"))
        .def("close", &RelayClient::Close, py::arg("handle"))
        .def("watch", &RelayClient::Watch, py::arg("handle"), py::arg("conditions"))
        .def(
            "stream",
            [](RelayClient& relay,
               uint32_t handle,
               uint32_t direction,
               uint64_t length,
               uint32_t chunk,
               uint32_t perWake) {
                relay.Stream(handle, GuestStream{direction, length, chunk, perWake});
            },
            py::arg("handle"),
            py::arg("direction"),
            py::arg("length") = 0,
            py::arg("chunk") = 0,
            py::arg("per_wake") = 0)
        .def(
            "stream_stat",
            [](RelayClient& relay, uint32_t handle) {
                const RelayStreamStat stat = relay.GetStreamStat(handle);
                return py::make_tuple(stat.bytes, stat.wrong);
            },
            py::arg("handle"))
        .def(
            "start_process",
            [](RelayClient& relay,
               std::vector<std::string> arguments,
               std::vector<std::string> environment,
               std::string directory,
               bool input,
               bool mergeErrors) {
                return relay.StartProcess({std::move(arguments),
                                           std::move(environment),
                                           std::move(directory),
                                           input,
                                           mergeErrors});
            },
            py::arg("arguments"),
            py::kw_only(),
            py::arg("environment") = std::vector<std::string>{},
            py::arg("directory") = "",
            py::arg("input") = false,
            py::arg("merge_errors") = false)
        .def(
            "write_process",
            [](RelayClient& relay, uint32_t process, const py::bytes& data) {
                const std::string_view view = data;
                relay.WriteProcess(process,
                                   reinterpret_cast<const uint8_t*>(view.data()),
                                   view.size());
            },
            py::arg("process"),
            py::arg("data"))
        .def("close_process_input", &RelayClient::CloseProcessInput, py::arg("process"))
        .def("signal_process", &RelayClient::SignalProcess, py::arg("process"), py::arg("signal"));
}
