/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What QEMU is started with: the image's own command, and what a VM adds to it.
 */
#ifndef NS3_QEMU_VM_COMMAND_H
#define NS3_QEMU_VM_COMMAND_H

#include "vm-disk.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace ns3qemu
{

/** A NIC of a VM. */
struct VmNic
{
    std::string address;  //!< MAC address, "02:00:00:00:00:01"
    uint32_t mtu{1500};   //!< the largest packet that the guest may send or receive, in bytes
    uint32_t txRing{256}; //!< descriptors of its transmit ring: a power of two from 32 to 256
    uint32_t rxRing{256}; //!< descriptors of its receive ring: a power of two from 32 to 1024
    uint32_t queues{1};   //!< pairs of a receive and a transmit queue
    bool offloads{false}; //!< whether it segments, and checks checksums
    uint32_t rxUsecs{0};  //!< us for which it lets an interrupt for a frame wait for others
    uint32_t rxFrames{0}; //!< how many it does not let wait; 0: any number
};

/** What an image says of its machines. */
struct VmImage
{
    std::vector<std::string> command;       //!< QEMU and the arguments that all its VMs share
    std::vector<std::string> boot;          //!< arguments for those that boot, as -kernel
    uint32_t memoryMib{96};                 //!< of each VM
    std::string nicModel{"virtio-net-pci"}; //!< QEMU's name of the NICs' device
    std::string relayPort{"virtio"};        //!< what the relay's port is: "virtio" or "uart"
    int64_t epoch{946'684'800};             //!< its guests' date at time 0, in s since 1970
    std::vector<VmDisk> disks;              //!< in the order in which the guest finds them
};

/**
 * Read an image.
 * @param directory an image: a directory with the files `qemu.args` and `boot.args`, of one
 * argument a line, and `machine.conf`, of lines KEY=VALUE with the keys memory-mib, nic-model,
 *        relay-port and epoch, each of which has a default, and `disk`, a file, for each disk,
 *        followed by disk-size, disk-modified, disk-type, disk-mount, disk-partition and
 *        disk-read-only, which are those of VmDisk
 * @throw VmError that says what is wrong with which file
 */
VmImage ReadImage(const std::string& directory);

/**
 * @return the bytes of a MAC address such as 02:00:00:00:00:01
 * @throw VmError if it is none
 */
std::array<uint8_t, 6> ParseMacAddress(const std::string& text);

/**
 * What makes the machine. All VMs of an image with NICs of the same kind are the same machine,
 * until each is told its addresses and its name.
 * @param image what they have in common
 * @param nics the VM's
 * @return the command, without what only booting needs
 * @throw VmError if the image's NICs cannot be what is asked for
 */
std::vector<std::string> BuildMachineCommand(const VmImage& image, const std::vector<VmNic>& nics);

/** What is one VM's alone, and changes nothing that could be saved. */
struct VmOwnOptions
{
    std::string name;                     //!< the VM's
    uint64_t seed{1};                     //!< of QEMU's own random numbers
    int64_t spin{0};                      //!< ns of wall time to poll before sleeping
    std::string state;                    //!< file that SIM_LINK_SAVE writes, or empty
    std::vector<std::string> linkOptions; //!< "busy-step=1000000": more properties of the sim-link
    std::vector<std::string> diskCopies;  //!< files that it writes in place of disks; empty: none
    bool sandbox{true};                   //!< whether it may do no more than turns need
    bool copies{false};                   //!< ... but for copies of itself
    int monitor{-1}; //!< its descriptor of a listening socket for its monitor, or -1
    int gdb{-1};     //!< its descriptor of a listening socket for a debugger, or -1
    int counts{-1};  //!< its descriptor of a file to count in what it does, or -1
    int zygote{-1};  //!< descriptor of the socket over which VMs are asked for that are forked from
                     //!< it, or -1
};

/**
 * Add what is one VM's alone.
 * @param command of BuildMachineCommand(), or one to save or restore such a machine
 * @param options the VM's
 * @return the command to execute
 */
std::vector<std::string> AddOwnOptions(std::vector<std::string> command,
                                       const VmOwnOptions& options);

/** Escape a text for a place among QEMU's comma-separated properties. */
std::string EscapeQemuProperty(const std::string& text);

/** @return how many bytes the relay's port of such a machine takes at once */
size_t GetRelayChunk(const VmImage& image);

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_COMMAND_H */
