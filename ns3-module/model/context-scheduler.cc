/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "context-scheduler.h"

#include "ns3/assert.h"
#include "ns3/event-impl.h"
#include "ns3/object-factory.h"
#include "ns3/simulator.h"

#include <algorithm>

namespace ns3
{

NS_OBJECT_ENSURE_REGISTERED(ContextScheduler);

namespace
{

/* ns-3 makes schedulers by their type's name, and tells nobody which one it has. */
ContextScheduler* g_installed = nullptr;

} // namespace

TypeId
ContextScheduler::GetTypeId()
{
    static TypeId tid = TypeId("ns3::ContextScheduler")
                            .SetParent<MapScheduler>()
                            .SetGroupName("Qemu")
                            .AddConstructor<ContextScheduler>();
    return tid;
}

ContextScheduler::ContextScheduler()
    : m_rest(std::make_unique<Pending>())
{
    g_installed = this;
}

ContextScheduler::~ContextScheduler()
{
    if (g_installed == this)
    {
        g_installed = nullptr;
    }
}

void
ContextScheduler::Install()
{
    Simulator::SetScheduler(ObjectFactory("ns3::ContextScheduler"));
}

ContextScheduler*
ContextScheduler::Get()
{
    return g_installed;
}

std::unique_ptr<ContextScheduler::Pending>&
ContextScheduler::Slot(uint32_t context)
{
    if (context == Simulator::NO_CONTEXT)
    {
        return m_rest;
    }
    if (context >= m_nodes.size())
    {
        m_nodes.resize(context + 1);
    }
    return m_nodes[context];
}

ContextScheduler::Pending*
ContextScheduler::Find(uint32_t context) const
{
    if (context == Simulator::NO_CONTEXT)
    {
        return m_rest.get();
    }
    return context < m_nodes.size() ? m_nodes[context].get() : nullptr;
}

/* The list itself is MapScheduler's own: take all out and put them back. */
std::vector<Scheduler::Event>
ContextScheduler::LookAtAll()
{
    std::vector<Scheduler::Event> all;
    while (!IsEmpty())
    {
        all.push_back(MapScheduler::RemoveNext());
    }
    for (const auto& event : all)
    {
        MapScheduler::Insert(event);
    }
    return all;
}

size_t
ContextScheduler::CountPending()
{
    const auto all = LookAtAll();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [](const auto& event) {
        return !event.impl->IsCancelled();
    }));
}

void
ContextScheduler::Follow(uint32_t context)
{
    auto& slot = Slot(context);
    if (slot)
    {
        return;
    }
    slot = std::make_unique<Pending>();
    for (const auto& event : LookAtAll())
    {
        if (event.key.m_context == context)
        {
            slot->emplace(event.key, event.impl);
        }
    }
}

const ContextScheduler::Pending&
ContextScheduler::GetPending(uint32_t context) const
{
    const auto* pending = Find(context);
    NS_ASSERT_MSG(pending, "context " << context << " is not followed");
    return *pending;
}

void
ContextScheduler::Forget(const Scheduler::EventKey& key)
{
    if (auto* pending = Find(key.m_context))
    {
        pending->erase(key);
    }
}

void
ContextScheduler::Insert(const Scheduler::Event& ev)
{
    MapScheduler::Insert(ev);
    if (auto* pending = Find(ev.key.m_context))
    {
        pending->emplace(ev.key, ev.impl);
    }
}

Scheduler::Event
ContextScheduler::RemoveNext()
{
    const auto event = MapScheduler::RemoveNext();
    Forget(event.key);
    return event;
}

void
ContextScheduler::Remove(const Scheduler::Event& ev)
{
    Forget(ev.key);
    MapScheduler::Remove(ev);
}

} // namespace ns3
