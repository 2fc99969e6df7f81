/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What a guest writes to its console: a log, its last lines for diagnoses, and for who listens.
 */
#ifndef NS3_QEMU_VM_CONSOLE_H
#define NS3_QEMU_VM_CONSOLE_H

#include <cstddef>
#include <cstdint>
#include <deque>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace ns3qemu
{

/** The console of one VM. */
class VmConsole
{
  public:
    /** Gets what the guest writes, as it does. */
    using Handler = std::function<void(const uint8_t* data, size_t length)>;

    void SetHandler(Handler handler);

    /**
     * Keep all of it in a file, too.
     * @param path the file; what it held before is gone
     * @throw VmError if it cannot be written
     */
    void OpenLog(const std::string& path);
    void CloseLog();

    /**
     * The guest has written something.
     * @throw VmError if the log does not take it; what follows is not logged
     */
    void Write(const uint8_t* data, size_t length);

    /** @return its last lines, with nothing that a terminal would act on */
    std::vector<std::string> GetTail() const;
    /** @return the same, to put behind a diagnosis; empty, if the guest has said nothing */
    std::string DescribeTail() const;
    /** @return what it has said of a panic of its kernel, however much it said after; or empty */
    const std::string& GetPanic() const;
    /** @return the first line in which its kernel has said that memory is short; or empty */
    const std::string& GetShortage() const;
    /** @return the first line in which its kernel has said that it has a fault; or empty */
    const std::string& GetFault() const;

  private:
    void EndLine();

    Handler m_handler;
    std::ofstream m_log;
    std::string m_path; // of the log
    std::deque<std::string> m_tail;
    std::string m_line;
    std::string m_panic;
    std::string m_shortage;
    std::string m_fault;
};

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_CONSOLE_H */
