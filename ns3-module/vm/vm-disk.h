/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Disks of VMs: files that are never written, and copies of them that are. POSIX only.
 */
#ifndef NS3_QEMU_VM_DISK_H
#define NS3_QEMU_VM_DISK_H

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ns3qemu
{

/** A disk that all VMs of an image have: a file, of which each sees a private copy. */
struct VmDisk
{
    std::string file;    //!< its path
    uint64_t size{0};    //!< in bytes, when the image was built
    int64_t modified{0}; //!< when it was changed last, in ns since 1970, when that was
    std::string type;    //!< its file system, as mount(8) calls it
    std::string mount;   //!< where that is mounted: "/", the guest's root, or another path; empty:
                         //!< nowhere
    uint32_t partition{0}; //!< the one that has the file system; 0: the whole disk
    bool readOnly{false};  //!< whether it is mounted so; a root then has a layer in memory
};

/**
 * Check that a disk is what it was when the image was built.
 * @throw VmError that says what is wrong and what to do
 */
void CheckDisk(const VmDisk& disk);

/** @return the name that Linux gives a machine's disk: "vda", "vdb" ... */
std::string GetDiskName(size_t number);

/** @return QEMU's description of a disk, for -device; its id is GetDiskId() */
std::string DescribeDisk(const VmDisk& disk, size_t number);

/** @return the name by which QEMU's options know a disk */
std::string GetDiskId(size_t number);

/**
 * A copy of a disk that a VM writes: a file beside the one that it is going to be. It is gone at
 * the end unless it is kept.
 */
class DiskCopy
{
  public:
    /**
     * Copy; what is a hole stays one, and where the file system can, no data is moved.
     * @param from the disk's file
     * @param path what the copy is to be when it is kept
     * @throw VmError if it cannot be written
     */
    DiskCopy(const std::string& from, const std::string& path);
    ~DiskCopy();
    DiskCopy(const DiskCopy&) = delete;
    DiskCopy& operator=(const DiskCopy&) = delete;

    /** @return where it is until it is kept */
    const std::string& GetPath() const;

    /** Give it its final name, in place of what has it. */
    void Keep();

  private:
    std::string m_final;
    std::string m_path;
};

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_DISK_H */
