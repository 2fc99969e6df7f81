/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "vm-cpus.h"

#include "vm-error.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

namespace ns3qemu
{

namespace
{

/* The HPET's timers that Linux leaves alone: two replace the PIT and the RTC, and one is for
 * programs. */
constexpr uint32_t HPET_OTHER_TIMERS = 3;

/* @return where the value of an option is, or the end */
std::vector<std::string>::iterator
FindValue(std::vector<std::string>& command, const std::string& option)
{
    const auto found = std::find(command.begin(), command.end(), option);
    return found == command.end() ? found : found + 1;
}

} // namespace

void
AddCpus(std::vector<std::string>& command, uint32_t cpus)
{
    if (cpus < 1 || cpus > CPUS_MAX)
    {
        throw VmError("it cannot have " + std::to_string(cpus) + " CPUs; a machine may have 1 to " +
                      std::to_string(CPUS_MAX));
    }
    if (cpus == 1)
    {
        return;
    }
    const auto number = FindValue(command, "-smp");
    if (number == command.end())
    {
        throw VmError("the image's command does not say how many CPUs it has (-smp): build it anew "
                      "with `ns3-qemu image build`");
    }
    *number = std::to_string(cpus);
    /* A timer of the HPET for each CPU: as exact as the one that a single CPU has. A CPU that says
     * that its APIC's timer always runs would get that one. */
    const auto model = FindValue(command, "-cpu");
    if (model != command.end())
    {
        *model += ",-arat";
    }
    for (const std::string& option :
         {std::string("hpet.msi=on"), "hpet.timers=" + std::to_string(cpus + HPET_OTHER_TIMERS)})
    {
        command.insert(command.end(), {"-global", option});
    }
}

void
CheckQueues(uint32_t queues, uint32_t cpus)
{
    if (queues < 1 || queues > cpus)
    {
        throw VmError("a NIC cannot have " + std::to_string(queues) +
                      " queues (Queues): it may have 1 to " + std::to_string(cpus) +
                      ", as many as the machine has CPUs (Cpus)");
    }
}

std::vector<std::string>
BuildBootOptions(std::vector<std::string> boot, uint32_t cpus)
{
    const auto line = FindValue(boot, "-append");
    if (cpus == 1 || line == boot.end())
    {
        return boot;
    }
    /* A kernel that does not know the HPET's timers for CPUs needs those of the APICs. */
    std::istringstream words(*line);
    std::string kept;
    std::string word;
    while (words >> word)
    {
        if (word != "noapictimer")
        {
            kept += (kept.empty() ? "" : " ") + word;
        }
    }
    *line = kept;
    return boot;
}

uint32_t
CountCpus(const std::string& list)
{
    std::istringstream parts(list);
    std::string part;
    uint32_t count = 0;
    while (std::getline(parts, part, ','))
    {
        unsigned first = 0;
        unsigned last = 0;
        const int read = std::sscanf(part.c_str(), "%4u-%4u", &first, &last);
        if (read < 1 || (read == 2 && last < first))
        {
            return 0;
        }
        count += read == 2 ? last - first + 1 : 1;
    }
    return count;
}

} // namespace ns3qemu
