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
                            .SetParent<Scheduler>()
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

size_t
ContextScheduler::CountPending() const
{
    return static_cast<size_t>(std::count_if(m_all.begin(), m_all.end(), [](const auto& event) {
        return !event.second->IsCancelled();
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
    for (const auto& [key, event] : m_all)
    {
        if (key.m_context == context)
        {
            slot->emplace(key, event);
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

const ContextScheduler::Pending&
ContextScheduler::GetAll() const
{
    return m_all;
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
    m_all.emplace(ev.key, ev.impl);
    if (auto* pending = Find(ev.key.m_context))
    {
        pending->emplace(ev.key, ev.impl);
    }
}

bool
ContextScheduler::IsEmpty() const
{
    return m_all.empty();
}

Scheduler::Event
ContextScheduler::PeekNext() const
{
    NS_ASSERT(!m_all.empty());
    const auto& [key, impl] = *m_all.begin();
    return {impl, key};
}

Scheduler::Event
ContextScheduler::RemoveNext()
{
    const auto event = PeekNext();
    m_all.erase(m_all.begin());
    Forget(event.key);
    return event;
}

void
ContextScheduler::Remove(const Scheduler::Event& ev)
{
    Forget(ev.key);
    m_all.erase(ev.key);
}

} // namespace ns3
