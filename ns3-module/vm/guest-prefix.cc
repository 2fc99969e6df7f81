/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-prefix.h"

#include <algorithm>
#include <stdexcept>

namespace ns3qemu
{

GuestPrefix
GuestPrefix::Parse(const std::string& text)
{
    const size_t slash = text.find('/');
    GuestPrefix prefix;
    prefix.address = GuestAddress::Parse(text.substr(0, slash));
    const std::string digits = slash == std::string::npos ? "" : text.substr(slash + 1);
    const bool isNumber = !digits.empty() && digits.size() <= 3 &&
                          digits.find_first_not_of("0123456789") == std::string::npos;
    const bool isIpv4 = prefix.address.family == RELAY_INET;
    const int length = isNumber ? std::stoi(digits) : -1;
    if (length < 0 || length > (isIpv4 ? 32 : 128))
    {
        throw std::invalid_argument("'" + text + "' needs a prefix length, as in " +
                                    (isIpv4 ? "10.0.1.1/24" : "fd00::1/64"));
    }
    prefix.length = static_cast<uint8_t>(length);
    return prefix;
}

std::string
GuestPrefix::Print() const
{
    return address.Print() + "/" + std::to_string(length);
}

GuestAddress
GuestPrefix::GetNetwork() const
{
    GuestAddress network = address;
    for (size_t i = 0; i < network.bytes.size(); i++)
    {
        const size_t bits = length > i * 8 ? length - i * 8 : 0;
        network.bytes[i] &= static_cast<uint8_t>(0xff00 >> std::min<size_t>(bits, 8));
    }
    return network;
}

} // namespace ns3qemu
