/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "side-by-side.h"

#include "vm-error.h"

#include <algorithm>
#include <cerrno>
#include <cxxabi.h>
#include <deque>
#include <exception>
#include <memory>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <utility>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace ns3qemu
{

namespace
{

constexpr size_t STACK_SIZE = 1024 * 1024;

/* Memory for a stack, and below it a page that nothing may touch. */
class Stack
{
  public:
    Stack()
        : m_guard(static_cast<size_t>(sysconf(_SC_PAGESIZE)))
    {
        m_memory = mmap(nullptr,
                        m_guard + STACK_SIZE,
                        PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
                        -1,
                        0);
        if (m_memory == MAP_FAILED)
        {
            throw VmError("cannot map a stack: " + DescribeErrno(errno));
        }
        mprotect(m_memory, m_guard, PROT_NONE);
    }

    ~Stack()
    {
        munmap(m_memory, m_guard + STACK_SIZE);
    }

    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;

    void* Get() const
    {
        return static_cast<char*>(m_memory) + m_guard;
    }

  private:
    size_t m_guard;
    void* m_memory;
};

/* The exceptions that are being handled, which the C++ ABI (2.2.2, __cxa_eh_globals) keeps for each
 * thread: but who waits may do so in the midst of a handler. */
struct Handled
{
    void* caught{nullptr};
    unsigned int uncaught{0};

    void Exchange()
    {
        std::swap(*this, *reinterpret_cast<Handled*>(abi::__cxa_get_globals()));
    }
};

/* @return what it has thrown, or null */
std::exception_ptr
Catch(const std::function<void()>& action)
{
    try
    {
        action();
    }
    catch (...)
    {
        return std::current_exception();
    }
    return nullptr;
}

/* A stack that the processor may be on, and where it goes on there. */
struct Side
{
    ucontext_t context{};
    const void* bottom{nullptr};
    size_t size{0};
    void* shadow{nullptr}; // AddressSanitizer's
};

/* Go on at another side, until somebody goes on at this one. */
void
Switch(Side& from, Side& to)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&from.shadow, to.bottom, to.size);
#endif
    swapcontext(&from.context, &to.context);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(from.shadow, &to.bottom, &to.size);
#endif
}

/* At the beginning of a side. */
void
Arrive([[maybe_unused]] Side& from)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(nullptr, &from.bottom, &from.size);
#endif
}

class Strand;

/* Whose task goes on, or null. */
thread_local Strand* t_strand = nullptr;

/* One task, and how far it has got. */
class Strand
{
  public:
    explicit Strand(const SideBySide::Task& task)
        : m_task(task)
    {
        getcontext(&m_inside.context);
        m_inside.bottom = m_stack.Get();
        m_inside.size = STACK_SIZE;
        m_inside.context.uc_stack.ss_sp = m_stack.Get();
        m_inside.context.uc_stack.ss_size = STACK_SIZE;
        makecontext(&m_inside.context, &Strand::Begin, 0);
    }

    Strand(const Strand&) = delete;
    Strand& operator=(const Strand&) = delete;

    /* Do what it waits for, and let it go on to its next wait or its end. */
    void GoOn()
    {
        if (const auto wait = std::exchange(m_wait, nullptr))
        {
            m_failure = Catch(*wait);
        }
        t_strand = this;
        m_handled.Exchange();
        Switch(m_outside, m_inside);
        m_handled.Exchange();
        t_strand = nullptr;
    }

    /* Called within the task. */
    void Wait(const std::function<void()>& wait)
    {
        m_wait = &wait;
        Switch(m_inside, m_outside);
        if (m_failure)
        {
            std::rethrow_exception(std::exchange(m_failure, nullptr));
        }
    }

    bool HasEnded() const
    {
        return m_ended;
    }

    std::exception_ptr GetFailure() const
    {
        return m_failure;
    }

  private:
    /* A context begins without arguments that a pointer would fit into. */
    [[noreturn]] static void Begin()
    {
        t_strand->DoTask();
        std::terminate(); // what has ended does not go on
    }

    void DoTask()
    {
        Arrive(m_outside);
        m_failure = Catch(m_task);
        m_ended = true;
        Switch(m_inside, m_outside);
    }

    const SideBySide::Task& m_task;
    const std::function<void()>* m_wait{nullptr};
    std::exception_ptr m_failure; // of the wait, or of the task
    bool m_ended{false};
    Stack m_stack;
    Handled m_handled; // of the side that does not go on
    Side m_inside;
    Side m_outside;
};

} // namespace

void
SideBySide::Run(const std::vector<Task>& tasks, size_t width)
{
    const bool alone = IsWithin() || width < 2 || tasks.size() < 2;
    std::vector<std::exception_ptr> failures(tasks.size());
    std::deque<std::pair<size_t, std::unique_ptr<Strand>>> underWay;
    size_t next = 0;
    for (; alone && next < tasks.size(); next++)
    {
        failures[next] = Catch(tasks[next]);
    }
    while (next < tasks.size() || !underWay.empty())
    {
        if (next < tasks.size() && underWay.size() < width)
        {
            underWay.emplace_back(next, std::make_unique<Strand>(tasks[next]));
            next++;
        }
        else
        {
            /* Who has waited longest. */
            std::rotate(underWay.begin(), underWay.begin() + 1, underWay.end());
        }
        const auto& [index, strand] = underWay.back();
        strand->GoOn();
        if (strand->HasEnded())
        {
            failures[index] = strand->GetFailure();
            underWay.pop_back();
        }
    }
    for (const auto& failure : failures)
    {
        if (failure)
        {
            std::rethrow_exception(failure);
        }
    }
}

void
SideBySide::Wait(const std::function<void()>& wait)
{
    if (t_strand)
    {
        t_strand->Wait(wait);
    }
    else
    {
        wait();
    }
}

bool
SideBySide::IsWithin()
{
    return t_strand != nullptr;
}

} // namespace ns3qemu
