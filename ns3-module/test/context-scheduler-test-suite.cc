/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The scheduler that knows which events are pending, beside one of ns-3's own.
 */
#include "../model/context-scheduler.h"

#include "ns3/map-scheduler.h"
#include "ns3/nstime.h"
#include "ns3/simulator.h"
#include "ns3/test.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

using namespace ns3;

/** A scheduler that knows what is pending hands out events as any other does. */
class ContextSchedulerTestCase : public TestCase
{
  public:
    ContextSchedulerTestCase()
        : TestCase("Events are in order, and those of some contexts are known")
    {
    }

  private:
    static constexpr uint32_t FOLLOWED = 3;

    static void Nothing()
    {
    }

    static std::string Print(const Scheduler::EventKey& key)
    {
        return std::to_string(key.m_ts) + "/" + std::to_string(key.m_uid) + ";";
    }

    static std::string Print(const ContextScheduler::Pending& pending)
    {
        std::string text;
        for (const auto& [key, event] : pending)
        {
            text += Print(key);
        }
        return text;
    }

    void DoRun() override
    {
        auto scheduler = CreateObject<ContextScheduler>();
        auto other = CreateObject<MapScheduler>();
        NS_TEST_ASSERT_MSG_EQ(PeekPointer(scheduler), ContextScheduler::Get(), "the latest");
        std::vector<Scheduler::Event> all;
        const uint32_t contexts[] = {FOLLOWED, 1, Simulator::NO_CONTEXT, FOLLOWED, 7};
        uint64_t random = 1;
        const auto insert = [&](uint32_t uid) {
            random = random * 6364136223846793005 + 1442695040888963407;
            const Scheduler::Event event{nullptr, {(random >> 33) % 50, uid, contexts[uid % 5]}};
            scheduler->Insert(event);
            other->Insert(event);
            all.push_back(event);
        };
        const auto expected = [&](uint32_t context) {
            std::map<Scheduler::EventKey, EventImpl*> pending;
            for (const auto& event : all)
            {
                if (event.key.m_context == context)
                {
                    pending.emplace(event.key, nullptr);
                }
            }
            return Print(pending);
        };
        const auto check = [&]() {
            for (const uint32_t context : {FOLLOWED, contexts[2]})
            {
                NS_TEST_ASSERT_MSG_EQ(Print(scheduler->GetPending(context)),
                                      expected(context),
                                      "pending events of " << context);
            }
        };
        for (uint32_t uid = 0; uid < 100; uid++)
        {
            insert(uid);
        }
        scheduler->Follow(FOLLOWED); // what is there already counts, too
        check();
        for (uint32_t uid = 100; uid < 200; uid++)
        {
            insert(uid);
        }
        check();
        for (size_t i = 0; i < 50; i++)
        {
            const auto removed = all.begin() + static_cast<std::ptrdiff_t>(i * 2);
            scheduler->Remove(*removed);
            other->Remove(*removed);
            all.erase(removed);
        }
        check();
        while (!other->IsEmpty())
        {
            NS_TEST_ASSERT_MSG_EQ(Print(scheduler->PeekNext().key),
                                  Print(other->PeekNext().key),
                                  "the next event");
            const auto next = scheduler->RemoveNext();
            NS_TEST_ASSERT_MSG_EQ(Print(next.key), Print(other->RemoveNext().key), "its removal");
            all.erase(std::find_if(all.begin(), all.end(), [&](const auto& event) {
                return event.key.m_uid == next.key.m_uid;
            }));
            check();
        }
        NS_TEST_ASSERT_MSG_EQ(scheduler->IsEmpty(), true, "that is all");
        scheduler = nullptr;
        NS_TEST_ASSERT_MSG_EQ(ContextScheduler::Get(),
                              static_cast<ContextScheduler*>(nullptr),
                              "it is gone");

        /* In a simulation: an event that is cancelled stays, one that is removed does not. */
        const auto early = Simulator::ScheduleNow(&Nothing);
        ContextScheduler::Install();
        const auto& none = ContextScheduler::Get()->GetPending(Simulator::NO_CONTEXT);
        NS_TEST_ASSERT_MSG_EQ(none.size(), 1, "what was there before");
        auto cancelled = Simulator::Schedule(Seconds(1), &Nothing);
        auto removed = Simulator::Schedule(Seconds(1), &Nothing);
        NS_TEST_ASSERT_MSG_EQ(none.size(), 3, "three events");
        cancelled.Cancel();
        NS_TEST_ASSERT_MSG_EQ(none.size(), 3, "the cancelled one is still there");
        NS_TEST_ASSERT_MSG_EQ(std::next(none.begin())->second->IsCancelled(), true, "and says so");
        removed.Remove();
        NS_TEST_ASSERT_MSG_EQ(none.size(), 2, "the removed one is not");
        Simulator::Run();
        NS_TEST_ASSERT_MSG_EQ(none.size(), 0, "nothing is left");
        Simulator::Destroy();
        NS_TEST_ASSERT_MSG_EQ(ContextScheduler::Get(),
                              static_cast<ContextScheduler*>(nullptr),
                              "it has gone with its simulation");
    }
};

/** The suite. */
class ContextSchedulerTestSuite : public TestSuite
{
  public:
    ContextSchedulerTestSuite()
        : TestSuite("qemu-context-scheduler", Type::UNIT)
    {
        AddTestCase(new ContextSchedulerTestCase);
    }
};

static ContextSchedulerTestSuite g_contextSchedulerTestSuite; //!< registers itself
