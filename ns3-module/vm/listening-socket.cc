/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "listening-socket.h"

#include "vm-error.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

/* Put after a path until it is published. */
constexpr const char* HIDDEN = "~";

sockaddr_un
MakeAddress(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path))
    {
        throw VmError("a socket cannot have the path '" + path + "': it has " +
                      std::to_string(path.size()) + " bytes, and " +
                      std::to_string(sizeof(address.sun_path) - 1) +
                      " are the most; give a shorter one, as in /tmp");
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

/* @throw VmError if there is something at a path that must stay */
void
CheckFree(const std::string& path)
{
    struct stat status{};
    if (lstat(path.c_str(), &status) != 0)
    {
        return;
    }
    if (!S_ISSOCK(status.st_mode))
    {
        throw VmError("there is a file '" + path + "' already, where a socket is to be made");
    }
    const auto address = MakeAddress(path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool used =
        fd >= 0 && connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    if (fd >= 0)
    {
        close(fd);
    }
    if (used)
    {
        throw VmError("somebody listens on '" + path +
                      "' already: another machine, or another simulation; give each machine a "
                      "path of its own (%n stands for its name)");
    }
}

} // namespace

ListeningSocket::ListeningSocket(std::string path)
    : m_path(std::move(path)),
      m_hidden(m_path + HIDDEN)
{
    const auto address = MakeAddress(m_hidden);
    CheckFree(m_path);
    CheckFree(m_hidden);
    unlink(m_hidden.c_str());
    m_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (m_fd < 0 || bind(m_fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(m_fd, 1) != 0)
    {
        const std::string reason = std::strerror(errno);
        if (m_fd >= 0)
        {
            close(m_fd);
        }
        throw VmError("cannot make the socket '" + m_path + "': " + reason);
    }
}

ListeningSocket::~ListeningSocket()
{
    close(m_fd);
    unlink((m_published ? m_path : m_hidden).c_str());
}

int
ListeningSocket::GetFileDescriptor() const
{
    return m_fd;
}

void
ListeningSocket::Publish()
{
    if (!m_published && std::rename(m_hidden.c_str(), m_path.c_str()) != 0)
    {
        throw VmError("cannot make the socket '" + m_path + "': " + std::strerror(errno));
    }
    m_published = true;
}

} // namespace ns3qemu
