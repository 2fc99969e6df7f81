/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TCP_DEFAULTS_H
#define NS3_QEMU_TCP_DEFAULTS_H

#include "ns3/guest-routes.h"
#include "ns3/type-id.h"

#include <functional>
#include <string>
#include <vector>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief What becomes of the defaults of ns-3's own TCP (Config::SetDefault) on a virtual machine.
 */
class TcpDefaults
{
  public:
    /** What a default becomes. */
    enum class Fate
    {
        SYSCTL,    //!< a parameter of the kernel
        PARAMETER, //!< one of a module of the kernel, below /sys/module
        ROUTE,     //!< a metric of all routes
        SOCKET,    //!< an attribute of QemuTcpSocket, see QemuTcpOptions
        WARNING,   //!< nothing: it is told once what to set instead
        INTERNAL,  //!< it is no setting: a list, a pointer
    };

    /** @return the types of ns-3's TCP that have attributes */
    static std::vector<TypeId> GetTypes();
    /**
     * @param type one of GetTypes()
     * @param attribute one of its own
     * @return what becomes of it. One that is not known here is a WARNING.
     */
    static Fate GetFate(TypeId type, const std::string& attribute);
    /** @return whether it is known here */
    static bool IsKnown(TypeId type, const std::string& attribute);

    /** Sets a parameter of the kernel. @return false if it has none of this name */
    using SetValue = std::function<bool(const std::string& name, const std::string& value)>;

    /**
     * Carry what a script has changed into a guest, and tell once what cannot be.
     * @param setSysctl sets one by its name
     * @param setParameter sets one of a module by the path of its file
     * @param metrics of all routes: what in Linux belongs to one
     */
    static void Apply(const SetValue& setSysctl,
                      const SetValue& setParameter,
                      ns3qemu::RouteMetrics& metrics);
};

} // namespace ns3

#endif /* NS3_QEMU_TCP_DEFAULTS_H */
