/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_DESCRIPTOR_H
#define NS3_QEMU_DESCRIPTOR_H

#include <unistd.h>

namespace ns3qemu
{

/** A file descriptor that is closed at the end. */
class Descriptor
{
  public:
    /** @param fd what is closed; one below 0 is none, which the caller looks for */
    explicit Descriptor(int fd)
        : m_fd(fd)
    {
    }

    ~Descriptor()
    {
        close(m_fd);
    }

    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    /** @return the descriptor */
    int Get() const
    {
        return m_fd;
    }

  private:
    int m_fd;
};

} // namespace ns3qemu

#endif /* NS3_QEMU_DESCRIPTOR_H */
