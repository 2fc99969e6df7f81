/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_UNSENT_FRAMES_H
#define NS3_QEMU_UNSENT_FRAMES_H

#include <cstdint>
#include <map>
#include <string>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Frames that a link cannot carry: counted by the reason, each of which is told once.
 *
 * A device that drops what a real one would send makes wrong results that look right. So it is said
 * on standard error, once for each reason, with what to do.
 */
class UnsentFrames
{
  public:
    /** Frames by the reason. */
    using Counts = std::map<std::string, uint64_t>;

    /**
     * A frame is dropped.
     * @param nic whose it is, for people: "VM 'a', NIC 0"
     * @param reason why
     * @param advice what to do about it
     */
    void Add(const std::string& nic, const std::string& reason, const std::string& advice);

    /** @return what has been dropped so far */
    const Counts& Get() const;

  private:
    Counts m_counts;
};

} // namespace ns3

#endif /* NS3_QEMU_UNSENT_FRAMES_H */
