/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Tasks that wait, side by side.
 */
#include "thrown.h"

#include "ns3/side-by-side.h"
#include "ns3/test.h"

#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

using namespace ns3;
using namespace ns3qemu;

namespace
{

/** Tasks that say in a log how far they are. */
class Tasks
{
  public:
    /**
     * Add one.
     * @param name its letter; each part of it adds this to the log
     * @param waits how often it waits; each wait adds a '.'
     */
    void Add(char name, int waits)
    {
        m_tasks.emplace_back([this, name, waits]() {
            log += name;
            for (int i = 0; i < waits; i++)
            {
                SideBySide::Wait([this]() { log += '.'; });
                log += name;
            }
        });
    }

    /** @return what they have said */
    std::string Run(size_t width)
    {
        SideBySide::Run(m_tasks, width);
        return log;
    }

    std::string log;

  private:
    std::vector<SideBySide::Task> m_tasks;
};

void
Nothing()
{
}

void
Throw(const std::string& text)
{
    throw std::runtime_error(text);
}

} // namespace

/** The order of things. */
class SideBySideOrderTestCase : public TestCase
{
  public:
    SideBySideOrderTestCase()
        : TestCase("While a task waits others go on, and at most as many as there is room for")
    {
    }

  private:
    void DoRun() override
    {
        const auto run = [](size_t width) {
            Tasks tasks;
            tasks.Add('a', 2);
            tasks.Add('b', 1);
            tasks.Add('c', 0);
            tasks.Add('d', 1);
            return tasks.Run(width);
        };
        NS_TEST_ASSERT_MSG_EQ(run(4), "abcd.a.b.d.a", "");
        NS_TEST_ASSERT_MSG_EQ(run(2), "ab.a.bcd.a.d", "");
        for (const size_t width : {0, 1})
        {
            NS_TEST_ASSERT_MSG_EQ(run(width), "a.a.ab.bcd.d", "one after the other");
        }
        SideBySide::Run({}, 2);
    }
};

/** Where one is. */
class SideBySideWithinTestCase : public TestCase
{
  public:
    SideBySideWithinTestCase()
        : TestCase("A wait is outside of the tasks, and so is what is no task")
    {
    }

  private:
    void DoRun() override
    {
        bool inTask = false;
        bool inWait = true;
        const auto look = [&]() {
            inTask = SideBySide::IsWithin();
            SideBySide::Wait([&]() { inWait = SideBySide::IsWithin(); });
            inTask = inTask && SideBySide::IsWithin();
        };
        SideBySide::Run({look, Nothing}, 2);
        NS_TEST_ASSERT_MSG_EQ(inTask, true, "");
        NS_TEST_ASSERT_MSG_EQ(inWait, false, "");
        look();
        NS_TEST_ASSERT_MSG_EQ(inTask, false, "no task");
        SideBySide::Run({look}, 2);
        NS_TEST_ASSERT_MSG_EQ(inTask, false, "a single one has nobody beside it");
    }
};

/** Errors. */
class SideBySideFailureTestCase : public TestCase
{
  public:
    SideBySideFailureTestCase()
        : TestCase("What a wait throws is its task's, and what a task throws does not stop others")
    {
    }

  private:
    void DoRun() override
    {
        for (const size_t width : {1, 3})
        {
            std::string inWait;
            bool fourth = false;
            const std::vector<SideBySide::Task> tasks{
                [&]() {
                    inWait = Thrown<std::runtime_error>(
                        []() { SideBySide::Wait([]() { Throw("first"); }); });
                    SideBySide::Wait(Nothing);
                },
                [&]() {
                    SideBySide::Wait(Nothing);
                    Throw("second");
                },
                []() { Throw("third"); },
                [&]() { fourth = true; }};
            const auto thrown =
                Thrown<std::runtime_error>([&]() { SideBySide::Run(tasks, width); });
            NS_TEST_ASSERT_MSG_EQ(thrown, "second", "");
            NS_TEST_ASSERT_MSG_EQ(inWait, "first", "");
            NS_TEST_ASSERT_MSG_EQ(fourth, true, "");
        }
    }
};

/** Handlers of exceptions. */
class SideBySideHandlerTestCase : public TestCase
{
  public:
    SideBySideHandlerTestCase()
        : TestCase("A task that waits while it handles an exception goes on with that one")
    {
    }

  private:
    void DoRun() override
    {
        /* Waits while the stack is unwound, too. */
        struct Scope
        {
            int& uncaught;

            ~Scope()
            {
                SideBySide::Wait(Nothing);
                uncaught = std::uncaught_exceptions();
            }
        };

        std::vector<std::string> said(3);
        std::vector<int> uncaught(3);
        std::vector<SideBySide::Task> tasks;
        for (size_t i = 0; i < said.size(); i++)
        {
            tasks.emplace_back([&said, &uncaught, i]() {
                said[i] = Thrown<std::runtime_error>([&]() {
                    try
                    {
                        const Scope scope{uncaught[i]};
                        Throw(std::to_string(i));
                    }
                    catch (const std::runtime_error&)
                    {
                        for (size_t waits = 0; waits <= i; waits++)
                        {
                            SideBySide::Wait(Nothing);
                        }
                        throw;
                    }
                });
                uncaught[i] += 10 * std::uncaught_exceptions();
            });
        }
        SideBySide::Run(tasks, tasks.size());
        for (size_t i = 0; i < said.size(); i++)
        {
            NS_TEST_ASSERT_MSG_EQ(said[i], std::to_string(i), "");
            NS_TEST_ASSERT_MSG_EQ(uncaught[i], 1, "its own");
        }
    }
};

/** Tasks of tasks. */
class SideBySideNestedTestCase : public TestCase
{
  public:
    SideBySideNestedTestCase()
        : TestCase("A task's own tasks are one after the other, and it waits in each of them")
    {
    }

  private:
    void DoRun() override
    {
        Tasks inner;
        inner.Add('a', 1);
        inner.Add('b', 1);
        const auto other = [&inner]() {
            inner.log += 'x';
            SideBySide::Wait(Nothing);
            inner.log += 'y';
        };
        SideBySide::Run({[&inner]() { inner.Run(2); }, other}, 2);
        NS_TEST_ASSERT_MSG_EQ(inner.log, "ax.aby.b", "");
    }
};

/** Tasks that wait. */
class SideBySideTestSuite : public TestSuite
{
  public:
    SideBySideTestSuite()
        : TestSuite("qemu-side-by-side", Type::UNIT)
    {
        AddTestCase(new SideBySideOrderTestCase());
        AddTestCase(new SideBySideWithinTestCase());
        AddTestCase(new SideBySideFailureTestCase());
        AddTestCase(new SideBySideHandlerTestCase());
        AddTestCase(new SideBySideNestedTestCase());
    }
};

static SideBySideTestSuite g_sideBySideTestSuite;
