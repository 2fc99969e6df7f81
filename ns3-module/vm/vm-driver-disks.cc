/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a VmDriver does about its machine's disks.
 */
#include "vm-driver.h"
#include "vm-error.h"

#include <algorithm>

namespace ns3qemu
{

namespace
{

/* How long a file system may take to be mounted or brought to rest, in ns of the guest's time. */
constexpr int64_t PATIENCE = 60'000'000'000;

RelayMount
DescribeMount(const VmDisk& disk)
{
    RelayMount mount{};
    mount.flags |= disk.readOnly ? RELAY_MOUNT_READ_ONLY : 0;
    mount.flags |= disk.mount == "/" ? RELAY_MOUNT_ROOT : 0;
    return mount;
}

/* Options of mount(8) that are right for a disk whose free blocks need not be written. */
std::string
GetMountOptions(const std::string& type)
{
    return type == "ext4" ? "noinit_itable" : "";
}

} // namespace

/* @return the files that the machine writes itself, one for each disk, empty for none */
std::vector<std::string>
VmDriver::PrepareDisks()
{
    std::vector<std::string> paths;
    try
    {
        for (size_t i = 0; i < m_config.image.disks.size(); i++)
        {
            const auto& disk = m_config.image.disks[i];
            CheckDisk(disk);
            if (m_config.keepDisks.empty() || (disk.readOnly && disk.mount != "/"))
            {
                continue;
            }
            if (disk.readOnly)
            {
                throw VmError("its root file system is of type " + disk.type +
                              ", which is never written: what its programs write is in memory, and "
                              "cannot be kept. Take ext4, or do not set KeepDisks");
            }
            paths.resize(i + 1);
            m_diskCopies.resize(i + 1);
            m_diskCopies[i] = std::make_unique<DiskCopy>(disk.file,
                                                         m_config.keepDisks + "/" + m_config.name +
                                                             "-" + GetDiskName(i));
            paths[i] = m_diskCopies[i]->GetPath();
        }
    }
    catch (const VmError& error)
    {
        throw VmError("VM '" + m_config.name + "': " + error.what());
    }
    return paths;
}

void
VmDriver::MountDisks()
{
    m_patient = true;
    bool first = true;
    for (size_t i = 0; i < m_config.image.disks.size(); i++)
    {
        const auto& disk = m_config.image.disks[i];
        if (disk.mount.empty())
        {
            continue;
        }
        if (first)
        {
            /* A file system keeps the date of its mounting. */
            m_relay.SetRealtime(m_config.epoch);
            first = false;
        }
        const std::string device =
            "/dev/" + GetDiskName(i) + (disk.partition ? std::to_string(disk.partition) : "");
        try
        {
            m_relay.Mount(DescribeMount(disk),
                          device,
                          disk.type,
                          disk.mount,
                          GetMountOptions(disk.type));
        }
        catch (const GuestError& error)
        {
            Fail("the file system (" + disk.type + ") of its disk " + disk.file +
                 " cannot be mounted: " + error.what());
        }
    }
    m_patient = false;
}

void
VmDriver::SetDiskTiming(const SimLinkDisk& timing)
{
    for (unsigned i = 0; i < m_config.image.disks.size(); i++)
    {
        if (!m_link->AddDisk(i, timing))
        {
            RunTurn(m_vmTime, 0);
            m_link->AddDisk(i, timing);
        }
    }
}

/* Does the relay wait for a disk? What the simulation itself asks for is to be had at once, so all
 * that the disks have to do is done now; or, where the guest's time does not matter, it goes on. */
void
VmDriver::WaitForDisks()
{
    const auto& timing = m_config.diskTiming;
    if (m_config.image.disks.empty() || !m_relay.IsAwaiting())
    {
        return;
    }
    if (IsInSimulation() && (timing.latency != 0 || timing.rate != 0))
    {
        SetDiskTiming({});
        RunTurn(m_vmTime, GetRequestFlags());
        SetDiskTiming(timing);
        RunTurn(m_vmTime, GetRequestFlags());
    }
    const int64_t last = m_vmTime + PATIENCE;
    while (m_patient && m_relay.IsAwaiting() && m_answer.deadline < last)
    {
        RunTurn(std::max(m_answer.deadline, m_vmTime), SIM_LINK_RUN_TIMERS);
    }
}

void
VmDriver::KeepDisks()
{
    if (m_diskCopies.empty())
    {
        return;
    }
    CheckRunning();
    CheckNotAhead();
    /* The simulation is over: nobody hears what it sends now. */
    m_onFrame = nullptr;
    m_onFilter = nullptr;
    m_config.diskTiming = {};
    SetDiskTiming({});
    m_patient = true;
    try
    {
        for (size_t i = m_diskCopies.size(); i-- > 0;)
        {
            if (m_diskCopies[i])
            {
                m_relay.Freeze(m_config.image.disks[i].mount);
            }
        }
    }
    catch (const GuestError& error)
    {
        Fail("its disks cannot be kept: " + std::string(error.what()));
    }
    auto copies = std::move(m_diskCopies);
    End();
    for (auto& copy : copies)
    {
        if (copy)
        {
            copy->Keep();
        }
    }
}

} // namespace ns3qemu
