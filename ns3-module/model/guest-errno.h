/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_ERRNO_H
#define NS3_QEMU_GUEST_ERRNO_H

#include "ns3/socket.h"

namespace ns3
{

/**
 * @ingroup qemu
 * @param error an errno of the guest's kernel, or 0
 * @return the one of ns-3's errors that comes nearest; ERROR_INVAL if none does
 */
Socket::SocketErrno ToSocketErrno(int error);

} // namespace ns3

#endif /* NS3_QEMU_GUEST_ERRNO_H */
