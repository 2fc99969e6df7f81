/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_OPEN_FILE_H
#define NS3_QEMU_OPEN_FILE_H

#include "descriptor.h"
#include "vm-error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/types.h>
#include <unistd.h>

namespace ns3qemu
{

/** @throw VmError "cannot WHAT PATH: ...", by errno */
[[noreturn]] inline void
FailOnFile(const std::string& what, const std::string& path)
{
    throw VmError("cannot " + what + " " + path + ": " + std::strerror(errno));
}

/** A file that is closed at the end. Each call throws VmError with the file's path if it fails. */
class OpenFile
{
  public:
    OpenFile(const std::string& path, int flags)
        : m_path(path),
          m_fd(open(path.c_str(), flags | O_CLOEXEC, 0644))
    {
        if (m_fd.Get() < 0)
        {
            FailOnFile("open", path);
        }
    }

    int Get() const
    {
        return m_fd.Get();
    }

    /** @return where data begins at or after a place, or where they end; -1: there are none */
    off_t Seek(off_t at, int what) const
    {
        const off_t found = lseek(m_fd.Get(), at, what);
        if (found < 0 && errno != ENXIO)
        {
            FailOnFile("read", m_path);
        }
        return found;
    }

    size_t Read(void* data, size_t length, off_t at) const
    {
        const ssize_t got = pread(m_fd.Get(), data, length, at);
        if (got <= 0)
        {
            FailOnFile("read", m_path);
        }
        return static_cast<size_t>(got);
    }

    void Write(const char* data, size_t length, off_t at) const
    {
        while (length > 0)
        {
            const ssize_t written = pwrite(m_fd.Get(), data, length, at);
            if (written <= 0)
            {
                FailOnFile("write", m_path);
            }
            data += written;
            at += written;
            length -= static_cast<size_t>(written);
        }
    }

  private:
    std::string m_path;
    Descriptor m_fd;
};

} // namespace ns3qemu

#endif /* NS3_QEMU_OPEN_FILE_H */
