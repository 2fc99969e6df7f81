/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What goes wrong with a virtual machine. POSIX only.
 */
#ifndef NS3_QEMU_VM_ERROR_H
#define NS3_QEMU_VM_ERROR_H

#include <stdexcept>

namespace ns3qemu
{

/** A VM cannot go on, or could not start. what() is a diagnosis for the user. */
class VmError : public std::runtime_error
{
  public:
    using std::runtime_error::runtime_error;
};

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_ERROR_H */
