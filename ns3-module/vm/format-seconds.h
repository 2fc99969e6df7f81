/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_FORMAT_SECONDS_H
#define NS3_QEMU_FORMAT_SECONDS_H

#include <cstdint>
#include <cstdio>
#include <string>

namespace ns3qemu
{

/** @param ns a time in ns, not negative @return it in seconds, exactly: "1.000000001 s" */
inline std::string
FormatSeconds(int64_t ns)
{
    char text[40];
    const int64_t whole = ns / 1'000'000'000;
    std::snprintf(text,
                  sizeof(text),
                  "%lld.%09lld s",
                  static_cast<long long>(whole),
                  static_cast<long long>(ns - whole * 1'000'000'000));
    return text;
}

} // namespace ns3qemu

#endif /* NS3_QEMU_FORMAT_SECONDS_H */
