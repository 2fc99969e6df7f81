/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Saved machines: what the VMs of one image start from, so that each need not boot. POSIX only.
 */
#ifndef NS3_QEMU_VM_SNAPSHOT_H
#define NS3_QEMU_VM_SNAPSHOT_H

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ns3qemu
{

/**
 * One saved machine: a directory that is there as a whole or not at all.
 *
 *     ram       its memory; VMs map it copy-on-write
 *     state     its CPU and devices, as QEMU saves them
 *     relay     what its relay has said by then
 *     console   what its console has printed by then
 *     manifest  sizes and checksums of the above
 *     blocks    which code its VMs translate: it may be missing, and is made when it is wanted
 *     checked   what the file `ram` looked like from outside when its checksum was last right
 *
 * Several simulations may ask for the same one at once: one makes it, the others wait for that.
 */
class VmSnapshot
{
  public:
    /**
     * @param store directory that holds the snapshots of one image; it is made if need be
     * @param machine QEMU's command: the options that make the machine what it is, and none that
     *        are one VM's own
     * @param boot what is added for a machine that boots
     * @param memory the machine's, in MiB
     */
    VmSnapshot(std::string store,
               std::vector<std::string> machine,
               std::vector<std::string> boot,
               uint32_t memory);

    /**
     * Make it, unless it is there.
     * @param make gets a directory in which the files are to be, all but the manifest
     * @param wait called now and then while somebody else makes it; may throw to end the wait
     * @param report told if there is one that has been damaged
     * @throw VmError if the directory cannot be written
     */
    void Ensure(const std::function<void(const std::string& directory)>& make,
                const std::function<void()>& wait,
                const std::function<void(const std::string&)>& report);

    /** @return QEMU's command for a machine that is going to be saved into a directory */
    std::vector<std::string> BuildSaveCommand(const std::string& directory) const;
    /** @return QEMU's command for a machine that goes on from here */
    std::vector<std::string> BuildRestoreCommand() const;

    /** @return what the file of its memory looks like from outside, see DescribeFile() */
    std::string DescribeMemory() const;

    /** @return the file in which it may be kept which code is worth translating, see VmBlocks */
    std::string GetBlocksPath() const;

    /** @return what the relay had said */
    std::vector<uint8_t> ReadRelay() const;
    /** @return what the console had printed */
    std::vector<uint8_t> ReadConsole() const;

    /** @return the file that QEMU saves CPU and devices into */
    static std::string GetStatePath(const std::string& directory);
    /** Write what the relay has said and what the console has printed. */
    static void Write(const std::string& directory,
                      const std::vector<uint8_t>& relay,
                      const std::vector<uint8_t>& console);

  private:
    bool IsWhole() const;
    bool ReadWhole() const;
    std::string DescribeFiles() const;
    bool HasMemory(const std::string& sum) const;
    std::string Describe(const std::string& directory, const std::string& memory) const;
    std::vector<std::string> BuildMemoryOptions(const std::string& directory, bool save) const;

    std::string m_store;
    std::vector<std::string> m_machine;
    std::vector<std::string> m_boot;
    uint32_t m_memory; // MiB
    std::string m_key;
    std::string m_directory;
};

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_SNAPSHOT_H */
