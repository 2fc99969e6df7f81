/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_SPLIT_COMMAND_H
#define NS3_QEMU_SPLIT_COMMAND_H

#include <string>
#include <vector>

namespace ns3qemu
{

/**
 * Split a command into words as a shell does: at blanks, but not within '...' or "...", and not
 * after a backslash. Nothing else of a shell is understood: no variables, patterns, redirections.
 * @param text "sh -c 'echo hello'"
 * @return the words
 * @throw std::invalid_argument if a quotation has no end
 */
std::vector<std::string> SplitCommand(const std::string& text);

} // namespace ns3qemu

#endif /* NS3_QEMU_SPLIT_COMMAND_H */
