/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What goes wrong with a virtual machine. POSIX only.
 */
#ifndef NS3_QEMU_VM_ERROR_H
#define NS3_QEMU_VM_ERROR_H

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace ns3qemu
{

/** A VM cannot go on, or could not start. what() is a diagnosis for the user. */
class VmError : public std::runtime_error
{
  public:
    using std::runtime_error::runtime_error;
};

/** @return what an errno of this host means, and what to do about it if it is a limit */
inline std::string
DescribeErrno(int error)
{
    const std::string text = std::strerror(error);
    switch (error)
    {
    case EMFILE:
        return text + "; raise `ulimit -n`";
    case EAGAIN:
        return text + "; there are too many processes: raise `ulimit -u`";
    case ENOMEM:
        return text + "; is `ulimit -v` set?";
    default:
        return text;
    }
}

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_ERROR_H */
