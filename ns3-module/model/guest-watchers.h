/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_GUEST_WATCHERS_H
#define NS3_QEMU_GUEST_WATCHERS_H

#include "ns3/callback.h"
#include "ns3/relay-client.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Who is told of what a guest's sockets and programs do.
 *
 * A callback may watch and unwatch, itself too.
 */
class GuestWatchers
{
  public:
    using ReadyCallback = Callback<void, const RelayReady&>;
    /** Told with 1 (standard output) or 2 (standard error), and what a program has written. */
    using OutputCallback = Callback<void, int, const std::string&>;
    /** Told with a program's exit code, and the signal that has ended it or 0. */
    using ExitCallback = Callback<void, int, int>;

    /** From now on, tell of this relay's events. This must outlive it, or its events. */
    void Attach(ns3qemu::RelayClient& relay);

    /**
     * Be told what becomes of a socket.
     * @param handle the relay's handle
     * @param callback told of each change
     */
    void Watch(uint32_t handle, ReadyCallback callback);
    /** No longer. */
    void Unwatch(uint32_t handle);

    /**
     * Be told what becomes of a program.
     * @param process its number
     * @param output told what it writes; null: nobody is
     * @param exit told how it has ended, after all its output, and as the last; null: nobody is
     */
    void WatchProcess(uint32_t process, OutputCallback output, ExitCallback exit);
    /** No longer. A program that has ended need not be unwatched. */
    void UnwatchProcess(uint32_t process);

    /** Nobody is told of anything. */
    void Clear();

  private:
    void OnReady(const RelayReady& ready);
    void OnOutput(uint32_t process, int stream, const uint8_t* data, size_t length);
    void OnExit(const RelayProcessExit& end);

    struct ProcessWatcher
    {
        OutputCallback output;
        ExitCallback exit;
    };

    std::map<uint32_t, ReadyCallback> m_sockets;
    std::map<uint32_t, ProcessWatcher> m_processes;
};

} // namespace ns3

#endif /* NS3_QEMU_GUEST_WATCHERS_H */
