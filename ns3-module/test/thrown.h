/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_TEST_THROWN_H
#define NS3_QEMU_TEST_THROWN_H

#include <string>

/** @return what function() throws as an E, or "" */
template <typename E, typename F>
std::string
Thrown(F function)
{
    try
    {
        function();
    }
    catch (const E& error)
    {
        return error.what();
    }
    return "";
}

#endif /* NS3_QEMU_TEST_THROWN_H */
