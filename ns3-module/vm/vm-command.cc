/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-command.h"

#include "sim-link.h"
#include "vm-error.h"
#include "vm-process.h"

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace ns3qemu
{

namespace
{

constexpr uint32_t ETHERNET_MTU = 1500;
constexpr uint32_t DEFAULT_RING = 256; // descriptors

/* In s since 1970, so that a simulation of a hundred years ends before a count of ns does. */
constexpr long long LAST_EPOCH = 6'000'000'000;

/* Address space of QEMU's for translated code, in MiB. It would take 1 GiB; nginx, OpenSSH and curl
 * in one guest came to 46 MiB. When it is full, all code is translated again. */
constexpr unsigned CODE_MIB = 256;

/* What a terminal line takes at once without losing any: the line discipline of some kernels holds
 * 4095 bytes. */
constexpr size_t UART_CHUNK = 1024;

std::vector<std::string>
ReadLines(const std::string& path)
{
    std::ifstream file(path);
    std::vector<std::string> lines;
    std::string line;
    while (std::getline(file, line))
    {
        lines.push_back(line);
    }
    if (lines.empty())
    {
        throw VmError("'" + path +
                      "' is missing or empty: it is part of an image, which is a directory that "
                      "`ns3-qemu image build` makes");
    }
    return lines;
}

/* Linux names them by a letter, and the PCI bus of the machine has 32 places. */
constexpr size_t DISKS_MAX = 16;

/* What a line of machine.conf says of the disk that was named last. @return whether it did */
bool
SetDiskKey(VmImage& image, const std::string& key, const std::string& value, bool number)
{
    if (key == "disk" && !value.empty() && image.disks.size() < DISKS_MAX)
    {
        image.disks.emplace_back();
        image.disks.back().file = value;
        return true;
    }
    if (image.disks.empty())
    {
        return false;
    }
    auto& disk = image.disks.back();
    if (key == "disk-size" && number && value.size() <= 18)
    {
        disk.size = std::stoull(value);
    }
    else if (key == "disk-modified" && number && value.size() <= 18 + 1)
    {
        disk.modified = static_cast<int64_t>(std::stoull(value));
    }
    else if (key == "disk-type" && !value.empty())
    {
        disk.type = value;
    }
    else if (key == "disk-mount" && value.size() > 0 && value[0] == '/')
    {
        disk.mount = value;
    }
    else if (key == "disk-partition" && number && value.size() <= 3)
    {
        disk.partition = static_cast<uint32_t>(std::stoul(value));
    }
    else if (key == "disk-read-only" && (value == "0" || value == "1"))
    {
        disk.readOnly = value == "1";
    }
    else
    {
        return false;
    }
    return true;
}

/* Give a value to what a line of machine.conf names. */
void
SetMachineKey(VmImage& image, const std::string& key, const std::string& value)
{
    const bool number =
        !value.empty() && value.find_first_not_of("0123456789") == std::string::npos;
    if (key == "memory-mib" && number && value.size() <= 6)
    {
        image.memoryMib = static_cast<uint32_t>(std::stoul(value));
    }
    else if (key == "epoch" && number && value.size() <= 10)
    {
        image.epoch = std::min(std::stoll(value), LAST_EPOCH);
    }
    else if (key == "nic-model" && !value.empty())
    {
        image.nicModel = value;
    }
    else if (key == "relay-port" && (value == "virtio" || value == "uart"))
    {
        image.relayPort = value;
    }
    else if (!SetDiskKey(image, key, value, number))
    {
        throw VmError("'" + key + "=" + value +
                      "' means nothing to this version: the image was made by another one; build "
                      "it anew with `ns3-qemu image build`");
    }
}

/* What a NIC is called until its VM is told who it is: locally administered (IEEE 802). */
std::string
PlaceholderAddress(size_t nic)
{
    char text[20];
    std::snprintf(text, sizeof(text), "02:00:00:00:ff:%02x", static_cast<unsigned>(nic & 0xff));
    return text;
}

std::string
DescribeVirtioNic(const VmNic& nic)
{
    /* Frames are to leave the guest as they go onto the wire, in its own notification. */
    const std::string offloads = nic.offloads ? "on" : "off";
    std::string options = ",ioeventfd=off,csum=on,gso=off,guest_tso4=off,guest_tso6=off,"
                          "guest_ecn=off,guest_ufo=off,host_ufo=off,ctrl_guest_offloads=off";
    for (const std::string name : {"guest_csum", "host_tso4", "host_tso6", "host_ecn"})
    {
        options += "," + name + "=" + offloads;
    }
    if (nic.mtu <= ETHERNET_MTU)
    {
        options += ",mrg_rxbuf=off";
    }
    else
    {
        /* Otherwise the driver's buffers hold no more than a usual frame. */
        options += ",mrg_rxbuf=on,host_mtu=" + std::to_string(nic.mtu);
    }
    if (nic.txRing != DEFAULT_RING)
    {
        options += ",tx_queue_size=" + std::to_string(nic.txRing);
    }
    if (nic.queues > 1)
    {
        options += ",mq=on";
    }
    if (nic.rxRing != DEFAULT_RING)
    {
        options += ",rx_queue_size=" + std::to_string(nic.rxRing);
    }
    if (nic.rxUsecs != 0)
    {
        options += ",rx_usecs=" + std::to_string(nic.rxUsecs) +
                   ",rx_frames=" + std::to_string(nic.rxFrames);
    }
    /* A ring that is reset while a frame waits in it would end QEMU. */
    return options + ",queue_reset=off";
}

std::string
DescribeNic(const std::string& model, const VmNic& nic)
{
    std::string device = model + ",romfile=";
    if (model.rfind("virtio-net", 0) == 0)
    {
        device += DescribeVirtioNic(nic);
    }
    else if (nic.txRing != DEFAULT_RING || nic.rxRing != DEFAULT_RING)
    {
        throw VmError(std::string(nic.txRing != DEFAULT_RING ? "the transmit" : "the receive") +
                      " ring of a NIC of the model " + model +
                      " is as long as its driver makes it");
    }
    else if (nic.offloads || nic.rxUsecs != 0)
    {
        throw VmError(
            "Offloads, RxUsecs and RxFrames are for virtio NICs only: those of the model " + model +
            " have what its driver makes of them");
    }
    else if (nic.mtu != ETHERNET_MTU)
    {
        throw VmError("a NIC of the model " + model +
                      " can only have an MTU of 1500, for its driver takes time to change it; use "
                      "virtio, or set the device's MTU to 1500");
    }
    else if (nic.queues != 1)
    {
        throw VmError("a NIC of the model " + model +
                      " has one queue; use virtio, or set Queues to 1");
    }
    return device;
}

void
AddOption(std::vector<std::string>& command, const std::string& option, const std::string& value)
{
    command.push_back(option);
    command.push_back(value);
}

/* A socket that listens already: QEMU makes no file. */
std::string
DescribeSocket(const std::string& id, int fd)
{
    return "socket,id=" + id + ",fd=" + std::to_string(fd) + ",server=on,wait=off";
}

} // namespace

std::string
EscapeQemuProperty(const std::string& text)
{
    std::string escaped;
    for (const char c : text)
    {
        escaped += c;
        if (c == ',')
        {
            escaped += c;
        }
    }
    return escaped;
}

VmImage
ReadImage(const std::string& directory)
{
    VmImage image;
    image.command = ReadLines(directory + "/qemu.args");
    image.boot = ReadLines(directory + "/boot.args");
    const std::string path = directory + "/machine.conf";
    for (const auto& line : ReadLines(path))
    {
        const size_t equals = line.find('=');
        if (line.empty() || line[0] == '#')
        {
            continue;
        }
        if (equals == std::string::npos)
        {
            throw VmError("'" + path + "': '" + line + "' is not KEY=VALUE");
        }
        try
        {
            SetMachineKey(image, line.substr(0, equals), line.substr(equals + 1));
        }
        catch (const VmError& error)
        {
            throw VmError("'" + path + "': " + error.what());
        }
    }
    return image;
}

std::array<uint8_t, 6>
ParseMacAddress(const std::string& text)
{
    char rest = 0;
    unsigned bytes[6];
    if (std::sscanf(text.c_str(),
                    "%2x:%2x:%2x:%2x:%2x:%2x%c",
                    &bytes[0],
                    &bytes[1],
                    &bytes[2],
                    &bytes[3],
                    &bytes[4],
                    &bytes[5],
                    &rest) != 6)
    {
        throw VmError("'" + text + "' is no MAC address; it should look like 02:00:00:00:00:01");
    }
    std::array<uint8_t, 6> address;
    std::copy(std::begin(bytes), std::end(bytes), address.begin());
    return address;
}

std::vector<std::string>
BuildMachineCommand(const VmImage& image, const std::vector<VmNic>& nics)
{
    std::vector<std::string> command = image.command;
    AddOption(command, "-m", std::to_string(image.memoryMib));
    AddOption(command,
              "-chardev",
              "sim,id=relay,link=sim,port=" + std::to_string(SIM_LINK_RELAY_PORT));
    AddOption(command,
              "-chardev",
              "sim,id=console,link=sim,port=" + std::to_string(SIM_LINK_CONSOLE_PORT));
    for (size_t i = 0; i < image.disks.size(); i++)
    {
        AddOption(command, "-device", DescribeDisk(image.disks[i], i));
    }
    for (size_t i = 0; i < nics.size(); i++)
    {
        const std::string number = std::to_string(i);
        const auto queues = nics[i].queues;
        AddOption(command,
                  "-netdev",
                  "sim,id=nic" + number + ",link=sim,nic=" + number +
                      (queues == 1 ? "" : ",queues=" + std::to_string(queues)));
        AddOption(command,
                  "-device",
                  DescribeNic(image.nicModel, nics[i]) + ",netdev=nic" + number +
                      ",mac=" + PlaceholderAddress(i));
    }
    return command;
}

std::vector<std::string>
AddOwnOptions(std::vector<std::string> command, const VmOwnOptions& options)
{
    std::string link = "sim-link,id=sim,fd=" + std::to_string(VmProcess::LINK_FD);
    if (options.spin > 0)
    {
        link += ",spin=" + std::to_string(options.spin);
    }
    for (const auto& option : options.linkOptions)
    {
        link += "," + option;
    }
    if (!options.sandbox)
    {
        link += ",sandbox=off";
    }
    if (options.monitor >= 0 || options.gdb >= 0)
    {
        link += ",monitor=on";
    }
    if (options.copies)
    {
        link += ",copies=on";
    }
    if (options.zygote >= 0)
    {
        link += ",zygote=" + std::to_string(options.zygote);
    }
    if (!options.state.empty())
    {
        link += ",state=" + EscapeQemuProperty(options.state);
    }
    const auto accelerator = std::find(command.begin(), command.end(), "-accel");
    if (command.end() - accelerator > 1 && accelerator[1].find("tb-size=") == std::string::npos)
    {
        accelerator[1] += ",tb-size=" + std::to_string(CODE_MIB);
    }
    if (options.counts >= 0 && command.end() - accelerator > 1)
    {
        accelerator[1] += ",counts=" + std::to_string(options.counts);
    }
    AddOption(command, "-name", EscapeQemuProperty(options.name));
    AddOption(command, "-object", link);
    AddOption(command, "-machine", "sim-link=sim");
    AddOption(command, "-seed", std::to_string(options.seed));
    if (options.monitor >= 0)
    {
        AddOption(command, "-chardev", DescribeSocket("monitor", options.monitor));
        AddOption(command, "-mon", "chardev=monitor,mode=control");
    }
    if (options.gdb >= 0)
    {
        AddOption(command, "-chardev", DescribeSocket("gdb", options.gdb));
        AddOption(command, "-gdb", "chardev:gdb");
    }
    for (size_t i = 0; i < options.diskCopies.size(); i++)
    {
        if (options.diskCopies[i].empty())
        {
            continue;
        }
        const std::string device = "device." + GetDiskId(i);
        AddOption(command, "-set", device + ".file=" + options.diskCopies[i]);
        AddOption(command, "-set", device + ".kept=on");
    }
    return command;
}

size_t
GetRelayChunk(const VmImage& image)
{
    return image.relayPort == "uart" ? UART_CHUNK : SIZE_MAX;
}

} // namespace ns3qemu
