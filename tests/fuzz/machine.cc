/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * An image's files, and the command that is made of them.
 */
#include "input.h"
#include "vm-command.h"
#include "vm-error.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace ns3qemu;

namespace
{

std::filesystem::path
MakeDirectory()
{
    auto directory = std::filesystem::temp_directory_path() / "ns3-qemu-fuzz-XXXXXX";
    std::string name = directory.string();
    if (!mkdtemp(name.data()))
    {
        std::abort();
    }
    return name;
}

} // namespace

int
LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static const auto directory = MakeDirectory();
    Input input(data, size);
    for (const char* name : {"qemu.args", "boot.args"})
    {
        const std::string text = input.TakeText();
        std::ofstream(directory / name, std::ios::binary) << text;
    }
    VmNic nic{"02:00:00:00:00:01", input.Take<uint32_t>(), input.Take<uint32_t>()};
    const auto rest = input.TakeRest();
    std::ofstream(directory / "machine.conf", std::ios::binary)
        << std::string(rest.begin(), rest.end());
    try
    {
        const auto image = ReadImage(directory.string());
        VmOwnOptions options;
        options.name = image.nicModel;
        AddOwnOptions(BuildMachineCommand(image, {nic}), options);
        GetRelayChunk(image);
    }
    catch (const VmError&)
    {
    }
    return 0;
}
