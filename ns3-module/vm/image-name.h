/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Images by name, in the cache that the Python package ns3-qemu keeps.
 */
#ifndef NS3_QEMU_IMAGE_NAME_H
#define NS3_QEMU_IMAGE_NAME_H

#include <string>

namespace ns3qemu
{

/** The layout of images that this version understands; names.py writes it beside each name. */
constexpr int IMAGE_FORMAT = 4;

/**
 * Where the Python package keeps what it has built: $NS3_QEMU_HOME, or $XDG_CACHE_HOME/ns3-qemu, or
 * ~/.cache/ns3-qemu.
 */
std::string GetCacheDirectory();

/**
 * Find an image.
 * @param image an image's directory; or the name of one in the cache: its kernel's ("debian:6.1")
 * if it has nothing but that, otherwise what `ns3-qemu image build --name` was given
 * @return its directory, and notes that it is in use, so that others are removed before it
 * @throw VmError if there is none, with the command that builds it
 */
std::string FindImage(const std::string& image);

} // namespace ns3qemu

#endif /* NS3_QEMU_IMAGE_NAME_H */
