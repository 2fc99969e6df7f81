/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_PROGRAM_OUTPUT_H
#define NS3_QEMU_PROGRAM_OUTPUT_H

#include <cstddef>
#include <functional>
#include <string>

namespace ns3qemu
{

/** What a program writes to one stream: kept up to a limit, and told line by line. */
class ProgramOutput
{
  public:
    /** Gets a line without its end; any bytes may be in it. */
    using LineHandler = std::function<void(const std::string& line)>;

    /** A longer line is told in pieces of this size in bytes. */
    static constexpr size_t LINE_MAX_BYTES = 65536;

    /**
     * Take bytes as they come.
     * @param bytes some of the output
     * @param limit how many bytes to keep in all; what comes later is told, and not kept
     * @param handler is told the lines that have become whole
     */
    void Add(const std::string& bytes, size_t limit, const LineHandler& handler);

    /** No more will come: what has no end of line is a line, too. @param handler is told it */
    void Finish(const LineHandler& handler);

    /** @return what is kept */
    const std::string& GetText() const;
    /** @return whether more came than is kept */
    bool IsCut() const;

  private:
    std::string m_text;
    std::string m_line; // begun, not whole
    bool m_cut{false};
};

} // namespace ns3qemu

#endif /* NS3_QEMU_PROGRAM_OUTPUT_H */
