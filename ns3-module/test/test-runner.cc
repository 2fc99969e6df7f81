/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Runs the module's ns-3 tests where there is no ns-3 tree, whose own test-runner would.
 */
#include "ns3/test.h"

int
main(int argc, char* argv[])
{
    return ns3::TestRunner::Run(argc, argv);
}
