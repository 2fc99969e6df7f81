/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-errno.h"

#include <cerrno>

namespace ns3
{

Socket::SocketErrno
ToSocketErrno(int error)
{
    switch (error)
    {
    case 0:
        return Socket::ERROR_NOTERROR;
    case EISCONN:
    case EALREADY:
        return Socket::ERROR_ISCONN;
    case ENOTCONN:
    case EDESTADDRREQ:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case ETIMEDOUT:
        return Socket::ERROR_NOTCONN;
    case EMSGSIZE:
        return Socket::ERROR_MSGSIZE;
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        return Socket::ERROR_AGAIN;
    case EPIPE:
        return Socket::ERROR_SHUTDOWN;
    case EOPNOTSUPP:
    case EACCES:
    case EPERM:
        return Socket::ERROR_OPNOTSUPP;
    case EAFNOSUPPORT:
        return Socket::ERROR_AFNOSUPPORT;
    case EBADF:
        return Socket::ERROR_BADF;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
        return Socket::ERROR_NOROUTETOHOST;
    case ENODEV:
    case ENETDOWN:
        return Socket::ERROR_NODEV;
    case EADDRNOTAVAIL:
        return Socket::ERROR_ADDRNOTAVAIL;
    case EADDRINUSE:
        return Socket::ERROR_ADDRINUSE;
    default:
        return Socket::ERROR_INVAL;
    }
}

} // namespace ns3
