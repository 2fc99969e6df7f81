/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Runs a fuzz target on the files that are named, where there is no libFuzzer.
 */
#include "input.h"

#include <fstream>
#include <iostream>
#include <iterator>

extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

int
main(int argc, char** argv)
{
    if (LLVMFuzzerInitialize)
    {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    for (int i = 1; i < argc; i++)
    {
        std::ifstream file(argv[i], std::ios::binary);
        if (!file)
        {
            std::cerr << "cannot read " << argv[i] << std::endl;
            return 2;
        }
        const std::vector<char> bytes{std::istreambuf_iterator<char>(file),
                                      std::istreambuf_iterator<char>()};
        std::cerr << argv[i] << std::endl;
        LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    }
    std::cout << argc - 1 << " inputs" << std::endl;
    return 0;
}
