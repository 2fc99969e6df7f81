/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "guest-watchers.h"

namespace ns3
{

void
GuestWatchers::Attach(ns3qemu::RelayClient& relay)
{
    relay.SetReadyHandler([this](const RelayReady& ready) { OnReady(ready); });
    relay.SetOutputHandler(
        [this](uint32_t process, int stream, const uint8_t* data, size_t length) {
            OnOutput(process, stream, data, length);
        });
    relay.SetExitHandler([this](const RelayProcessExit& end) { OnExit(end); });
}

void
GuestWatchers::Watch(uint32_t handle, ReadyCallback callback)
{
    m_sockets[handle] = callback;
}

void
GuestWatchers::Unwatch(uint32_t handle)
{
    m_sockets.erase(handle);
}

void
GuestWatchers::WatchProcess(uint32_t process, OutputCallback output, ExitCallback exit)
{
    m_processes[process] = {output, exit};
}

void
GuestWatchers::UnwatchProcess(uint32_t process)
{
    m_processes.erase(process);
}

void
GuestWatchers::Clear()
{
    m_sockets.clear();
    m_processes.clear();
}

/* What is called is a copy: it may unwatch itself. */

void
GuestWatchers::OnReady(const RelayReady& ready)
{
    const auto watcher = m_sockets.find(ready.handle);
    if (watcher != m_sockets.end())
    {
        const auto callback = watcher->second;
        callback(ready);
    }
}

void
GuestWatchers::OnOutput(uint32_t process, int stream, const uint8_t* data, size_t length)
{
    const auto watcher = m_processes.find(process);
    if (watcher != m_processes.end() && !watcher->second.output.IsNull())
    {
        const auto callback = watcher->second.output;
        callback(stream, std::string(data, data + length));
    }
}

void
GuestWatchers::OnExit(const RelayProcessExit& end)
{
    const auto watcher = m_processes.find(end.process);
    if (watcher != m_processes.end())
    {
        const auto callback = watcher->second.exit;
        m_processes.erase(watcher);
        if (!callback.IsNull())
        {
            callback(static_cast<int>(end.code), static_cast<int>(end.signal));
        }
    }
}

} // namespace ns3
