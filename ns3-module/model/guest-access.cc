/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-access.h"

namespace ns3
{

NS_OBJECT_ENSURE_REGISTERED(GuestAccess);

TypeId
GuestAccess::GetTypeId()
{
    static TypeId tid = TypeId("ns3::GuestAccess").SetParent<Object>().SetGroupName("Qemu");
    return tid;
}

} // namespace ns3
