/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_INTERFACES_H
#define NS3_QEMU_GUEST_INTERFACES_H

#include "ns3/net-device.h"
#include "ns3/ptr.h"

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief The interfaces of a machine's node, as ns3::Ipv4 or ns3::Ipv6 numbers them: 0 is the
 * loopback interface.
 * @tparam InterfaceAddress Ipv4InterfaceAddress or Ipv6InterfaceAddress
 */
template <typename InterfaceAddress>
class GuestInterfaces
{
  public:
    struct Interface
    {
        Ptr<NetDevice> device;
        std::vector<InterfaceAddress> addresses;
        bool up{false};       //!< SetUp
        bool heldDown{false}; //!< SetDown, and not SetUp since
        bool forwarding{false};
        uint16_t metric{1};
    };

    uint32_t Add(Ptr<NetDevice> device, bool forwarding)
    {
        Interface interface;
        interface.device = device;
        interface.forwarding = forwarding;
        m_interfaces.push_back(interface);
        return GetN() - 1;
    }

    uint32_t GetN() const
    {
        return static_cast<uint32_t>(m_interfaces.size());
    }

    /** @throw std::out_of_range if there is none of this number */
    const Interface& At(uint32_t index) const
    {
        if (index >= m_interfaces.size())
        {
            throw std::out_of_range("interface " + std::to_string(index) +
                                    " does not exist: the node has " + std::to_string(GetN()) +
                                    ", the loopback interface included");
        }
        return m_interfaces[index];
    }

    Interface& At(uint32_t index)
    {
        return const_cast<Interface&>(std::as_const(*this).At(index));
    }

    /**
     * Change an interface, and tell the guest of it. What the guest refuses is not so: if telling
     * it throws, the interface is as it was before.
     */
    template <typename F>
    void Change(uint32_t index, const Interface& changed, F&& tell)
    {
        const Interface before = std::exchange(At(index), changed);
        try
        {
            tell();
        }
        catch (...)
        {
            At(index) = before;
            throw;
        }
    }

    /** @return false if an interface of the device must not be up */
    bool WantsUp(Ptr<const NetDevice> device) const
    {
        const int32_t index = Find(device);
        return index < 0 || !At(static_cast<uint32_t>(index)).heldDown;
    }

    /** @throw std::out_of_range if the interface or its address does not exist */
    const InterfaceAddress& GetAddress(uint32_t index, uint32_t address) const
    {
        const auto& addresses = At(index).addresses;
        if (address >= addresses.size())
        {
            throw std::out_of_range("interface " + std::to_string(index) + " has " +
                                    std::to_string(addresses.size()) +
                                    " addresses, so no address " + std::to_string(address));
        }
        return addresses[address];
    }

    /** @return the number of the device's interface, or -1 */
    int32_t Find(Ptr<const NetDevice> device) const
    {
        for (size_t i = 0; i < m_interfaces.size(); i++)
        {
            if (m_interfaces[i].device == device)
            {
                return static_cast<int32_t>(i);
            }
        }
        return -1;
    }

    /** @return the number of the first interface with an address for which this holds, or -1 */
    template <typename F>
    int32_t FindAddress(F&& holds) const
    {
        for (size_t i = 0; i < m_interfaces.size(); i++)
        {
            for (const auto& address : m_interfaces[i].addresses)
            {
                if (holds(address))
                {
                    return static_cast<int32_t>(i);
                }
            }
        }
        return -1;
    }

    auto begin()
    {
        return m_interfaces.begin();
    }

    auto end()
    {
        return m_interfaces.end();
    }

    auto begin() const
    {
        return m_interfaces.begin();
    }

    auto end() const
    {
        return m_interfaces.end();
    }

    void Clear()
    {
        m_interfaces.clear();
    }

  private:
    std::vector<Interface> m_interfaces;
};

} // namespace ns3

#endif /* NS3_QEMU_GUEST_INTERFACES_H */
