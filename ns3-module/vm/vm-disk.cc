/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-disk.h"

#include "open-file.h"
#include "vm-command.h"
#include "vm-error.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

constexpr size_t CHUNK = 1024 * 1024; // bytes

void
CopyData(const OpenFile& from, const OpenFile& to)
{
    std::vector<char> buffer(CHUNK);
    off_t end = 0;
    for (off_t at = 0; (at = from.Seek(end, SEEK_DATA)) >= 0;)
    {
        end = from.Seek(at, SEEK_HOLE);
        while (at < end)
        {
            const size_t most = std::min(buffer.size(), static_cast<size_t>(end - at));
            const size_t got = from.Read(buffer.data(), most, at);
            to.Write(buffer.data(), got, at);
            at += static_cast<off_t>(got);
        }
    }
}

} // namespace

void
CheckDisk(const VmDisk& disk)
{
    struct stat status{};
    if (stat(disk.file.c_str(), &status) != 0)
    {
        FailOnFile("use the disk", disk.file);
    }
    const int64_t modified =
        int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
    if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) != disk.size ||
        modified != disk.modified)
    {
        throw VmError("the disk " + disk.file +
                      " has changed since the image was built: build the image anew");
    }
}

std::string
GetDiskName(size_t number)
{
    return std::string("vd") + static_cast<char>('a' + number);
}

std::string
GetDiskId(size_t number)
{
    return "disk" + std::to_string(number);
}

std::string
DescribeDisk(const VmDisk& disk, size_t number)
{
    return "sim-disk-pci,id=" + GetDiskId(number) + ",link=sim,disk=" + std::to_string(number) +
           ",file=" + EscapeQemuProperty(disk.file);
}

DiskCopy::DiskCopy(const std::string& from, const std::string& path)
    : m_final(path),
      m_path(path + ".part")
{
    const OpenFile source(from, O_RDONLY);
    const OpenFile copy(m_path, O_RDWR | O_CREAT | O_TRUNC);
    try
    {
        struct stat status{};
        if (fstat(source.Get(), &status) != 0 || ftruncate(copy.Get(), status.st_size) != 0)
        {
            FailOnFile("copy to", m_path);
        }
        if (ioctl(copy.Get(), FICLONE, source.Get()) != 0)
        {
            CopyData(source, copy);
        }
    }
    catch (...)
    {
        unlink(m_path.c_str());
        throw;
    }
}

DiskCopy::~DiskCopy()
{
    if (!m_path.empty())
    {
        unlink(m_path.c_str());
    }
}

const std::string&
DiskCopy::GetPath() const
{
    return m_path;
}

void
DiskCopy::Keep()
{
    if (std::rename(m_path.c_str(), m_final.c_str()) != 0)
    {
        FailOnFile("rename to", m_final);
    }
    m_path.clear();
}

} // namespace ns3qemu
