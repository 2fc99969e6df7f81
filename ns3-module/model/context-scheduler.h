/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_CONTEXT_SCHEDULER_H
#define NS3_QEMU_CONTEXT_SCHEDULER_H

#include "ns3/scheduler.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief A scheduler that says which events are pending, and for some contexts which are theirs.
 *
 * A context is a node's number, or Simulator::NO_CONTEXT for what belongs to no node. The order of
 * events is that of any other scheduler.
 */
class ContextScheduler : public Scheduler
{
  public:
    /** @return the TypeId */
    static TypeId GetTypeId();

    ContextScheduler();
    ~ContextScheduler() override;

    /** Make the simulation use one. It is Simulator::SetScheduler that can undo it. */
    static void Install();
    /** @return the one that the simulation uses, or nullptr */
    static ContextScheduler* Get();

    /** Know the events of a context from now on; those that are pending already, too. */
    void Follow(uint32_t context);

    using Pending = std::map<Scheduler::EventKey, EventImpl*>;

    /**
     * @param context one that is followed
     * @return its pending events, also those that have been cancelled, which ns-3 leaves where they
     *         are
     */
    const Pending& GetPending(uint32_t context) const;

    /** @return all pending events, as GetPending() */
    const Pending& GetAll() const;

    /** @return how many events of all contexts are pending and have not been cancelled */
    size_t CountPending() const;

    // Inherited from Scheduler
    void Insert(const Scheduler::Event& ev) override;
    bool IsEmpty() const override;
    Scheduler::Event PeekNext() const override;
    Scheduler::Event RemoveNext() override;
    void Remove(const Scheduler::Event& ev) override;

  private:
    std::unique_ptr<Pending>& Slot(uint32_t context);
    Pending* Find(uint32_t context) const;
    void Forget(const Scheduler::EventKey& key);

    Pending m_all;
    std::vector<std::unique_ptr<Pending>> m_nodes; // by number; null: not followed
    std::unique_ptr<Pending> m_rest;               // of NO_CONTEXT
};

} // namespace ns3

#endif /* NS3_QEMU_CONTEXT_SCHEDULER_H */
