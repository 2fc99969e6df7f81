/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * The names of a guest's kernel, for addresses in it.
 */
#ifndef NS3_QEMU_GUEST_SYMBOLS_H
#define NS3_QEMU_GUEST_SYMBOLS_H

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace ns3qemu
{

class VmDriver;

/** A kernel's symbols as it lists them in /proc/kallsyms. What is not in that form is left out. */
class GuestSymbols
{
  public:
    GuestSymbols() = default;
    /** @param text what /proc/kallsyms has */
    explicit GuestSymbols(const std::string& text);

    bool IsEmpty() const;
    /** @return the address of a symbol, if there is one of this name */
    std::optional<uint64_t> Find(const std::string& name) const;
    /** @return "schedule+0x1c", or empty if no function of the kernel is near it */
    std::string Describe(uint64_t address) const;

  private:
    std::map<uint64_t, std::string> m_code;
    std::map<std::string, uint64_t> m_all;
};

/**
 * Read the symbols of a machine's kernel, which takes seconds of wall time.
 * @param vm a machine that is ready, and whose next turn is nobody else's
 * @return none if its kernel lists none
 * @throw VmError if the machine fails
 */
GuestSymbols ReadGuestSymbols(VmDriver& vm);

} // namespace ns3qemu

#endif /* NS3_QEMU_GUEST_SYMBOLS_H */
