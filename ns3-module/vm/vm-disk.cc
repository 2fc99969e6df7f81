/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-disk.h"

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

[[noreturn]] void
Fail(const std::string& what, const std::string& path)
{
    throw VmError("cannot " + what + " " + path + ": " + std::strerror(errno));
}

/* A file that is closed at the end. */
class File
{
  public:
    File(const std::string& path, int flags)
        : m_path(path),
          m_fd(open(path.c_str(), flags | O_CLOEXEC, 0644))
    {
        if (m_fd < 0)
        {
            Fail("open", path);
        }
    }

    ~File()
    {
        close(m_fd);
    }

    File(const File&) = delete;
    File& operator=(const File&) = delete;

    int Get() const
    {
        return m_fd;
    }

    /* @return where data begins at or after a place, or where they end; -1: there are none */
    off_t Seek(off_t at, int what) const
    {
        const off_t found = lseek(m_fd, at, what);
        if (found < 0 && errno != ENXIO)
        {
            Fail("read", m_path);
        }
        return found;
    }

    size_t Read(void* data, size_t length, off_t at) const
    {
        const ssize_t got = pread(m_fd, data, length, at);
        if (got <= 0)
        {
            Fail("read", m_path);
        }
        return static_cast<size_t>(got);
    }

    void Write(const char* data, size_t length, off_t at) const
    {
        while (length > 0)
        {
            const ssize_t written = pwrite(m_fd, data, length, at);
            if (written <= 0)
            {
                Fail("write", m_path);
            }
            data += written;
            at += written;
            length -= static_cast<size_t>(written);
        }
    }

  private:
    std::string m_path;
    int m_fd;
};

void
CopyData(const File& from, const File& to)
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
        Fail("use the disk", disk.file);
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
    const File source(from, O_RDONLY);
    const File copy(m_path, O_RDWR | O_CREAT | O_TRUNC);
    try
    {
        struct stat status{};
        if (fstat(source.Get(), &status) != 0 || ftruncate(copy.Get(), status.st_size) != 0)
        {
            Fail("copy to", m_path);
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
        Fail("rename to", m_final);
    }
    m_path.clear();
}

} // namespace ns3qemu
