/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * A UNIX socket that somebody else accepts connections on.
 */
#ifndef NS3_QEMU_LISTENING_SOCKET_H
#define NS3_QEMU_LISTENING_SOCKET_H

#include <string>

namespace ns3qemu
{

/**
 * A listening UNIX socket, which QEMU inherits: so it need not be allowed to make files. It has its
 * path only when it is published, that is, when a connection is welcome.
 */
class ListeningSocket
{
  public:
    /**
     * @param path of a file that is not there yet, or is a socket that nobody listens on any more
     * @throw VmError if it cannot be made
     */
    explicit ListeningSocket(std::string path);
    /** Removes the file. */
    ~ListeningSocket();
    ListeningSocket(const ListeningSocket&) = delete;
    ListeningSocket& operator=(const ListeningSocket&) = delete;

    /** @return the descriptor, which closes on exec */
    int GetFileDescriptor() const;

    /** From now on it can be found. @throw VmError if it cannot */
    void Publish();

  private:
    std::string m_path;
    std::string m_hidden; // where it is before
    int m_fd{-1};
    bool m_published{false};
};

} // namespace ns3qemu

#endif /* NS3_QEMU_LISTENING_SOCKET_H */
