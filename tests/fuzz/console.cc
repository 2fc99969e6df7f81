/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What is made of a guest's console, and of what its programs print.
 */
#include "input.h"
#include "program-output.h"
#include "vm-console.h"

#include <cstdlib>

using namespace ns3qemu;

namespace
{

constexpr size_t ADVICE_MAX = 1000; // what is said of a panic besides

} // namespace

int
LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    Input input(data, size);
    VmConsole console;
    ProgramOutput output;
    size_t seen = 0;
    const auto handler = [&seen](const std::string& line) { seen += line.size(); };
    while (!input.IsEmpty())
    {
        const auto bytes = input.TakeSome();
        console.Write(bytes.data(), bytes.size());
        output.Add({bytes.begin(), bytes.end()}, 1000, handler);
    }
    output.Finish(handler);
    for (const auto& line : console.GetTail())
    {
        for (const char c : line)
        {
            /* A terminal would act on it. */
            if (static_cast<unsigned char>(c) < ' ' && c != '\t')
            {
                std::abort();
            }
        }
    }
    console.DescribeTail();
    if (seen > size || output.GetText().size() > 1000 || console.GetPanic().size() > size + ADVICE_MAX)
    {
        std::abort();
    }
    return 0;
}
