/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "same-cpu.h"

#include "wall-clock.h"

#include <cstdlib>
#include <dirent.h>
#include <string>

namespace ns3qemu
{

namespace
{

/* ns of wall time, after which the kernel says anew where there is room. It often says the other
 * CPU, whose caches have nothing of the machine. */
constexpr int64_t TIME_IN_PLACE = 250'000'000;

/* When it was asked last where this thread may be, ns of wall time. Not for each machine: of many,
 * each has so few turns that it would be moved for all of them. */
thread_local int64_t t_placed{0};

} // namespace

SameCpu::SameCpu(pid_t pid)
    : m_pid(pid)
{
}

void
SameCpu::Hold()
{
    const int64_t now = WallClock();
    if (now - t_placed >= TIME_IN_PLACE)
    {
        t_placed = now;
        ReleaseBoth();
        return;
    }
    const int cpu = sched_getcpu();
    if (m_refused || m_holds || cpu < 0 || cpu >= CPU_SETSIZE ||
        sched_getaffinity(0, sizeof(m_allowed), &m_allowed) != 0)
    {
        return;
    }
    CPU_ZERO(&m_held);
    CPU_SET(cpu, &m_held);
    if (m_cpu != cpu)
    {
        m_refused = !MoveMachine(m_held);
        m_cpu = cpu;
    }
    /* It may be that one CPU is all that this thread has. */
    m_holds = !m_refused && !CPU_EQUAL(&m_allowed, &m_held) &&
              sched_setaffinity(0, sizeof(m_held), &m_held) == 0;
}

void
SameCpu::Release()
{
    if (!m_holds)
    {
        return;
    }
    m_holds = false;
    /* Somebody may have said meanwhile which CPUs it is to have. */
    cpu_set_t now;
    if (sched_getaffinity(0, sizeof(now), &now) == 0 && CPU_EQUAL(&now, &m_held))
    {
        sched_setaffinity(0, sizeof(m_allowed), &m_allowed);
    }
}

void
SameCpu::ReleaseBoth()
{
    Release();
    if (m_cpu >= 0)
    {
        m_cpu = -1;
        m_refused = !MoveMachine(m_allowed);
    }
}

/* All its threads. @return whether that could be done */
bool
SameCpu::MoveMachine(const cpu_set_t& cpus)
{
    const std::string path = "/proc/" + std::to_string(m_pid) + "/task";
    DIR* tasks = opendir(path.c_str());
    if (!tasks)
    {
        return false;
    }
    bool moved = true;
    while (const dirent* entry = readdir(tasks))
    {
        const int tid = std::atoi(entry->d_name);
        moved = (tid == 0 || sched_setaffinity(tid, sizeof(cpus), &cpus) == 0) && moved;
    }
    closedir(tasks);
    return moved;
}

} // namespace ns3qemu
