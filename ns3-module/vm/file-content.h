/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Large files that are read but seldom looked at as a whole. POSIX only.
 */
#ifndef NS3_QEMU_FILE_CONTENT_H
#define NS3_QEMU_FILE_CONTENT_H

#include <cstdint>
#include <string>

namespace ns3qemu
{

/**
 * Read all of a file, several GB in a second.
 * @return a checksum, against accidents: any one word that differs makes it another
 * @throw VmError if it cannot be read
 */
uint64_t SumFile(const std::string& path);

/**
 * @return what changes with each change of the file that is made by way of its file system: the
 *         boot of this host, inode, size, and times
 * @throw VmError if there is no such file
 */
std::string DescribeFile(const std::string& path);

/**
 * Take room for a whole file now, where the file system can. Who writes to it by way of its memory
 * is killed if there is none.
 * @param path it is made if need be
 * @param size in bytes
 * @throw VmError if there is no room
 */
void ReserveFile(const std::string& path, uint64_t size);

/** Give back the room of what holds zeros only. If that is impossible nothing is lost. */
void DigHoles(const std::string& path);

} // namespace ns3qemu

#endif /* NS3_QEMU_FILE_CONTENT_H */
