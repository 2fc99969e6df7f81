/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * Bytes that lie in several places and are to be read as one run. A message that is put together of
 * a header, a struct and data is so copied once, to where it goes.
 */
#ifndef NS3_QEMU_BYTE_PIECES_H
#define NS3_QEMU_BYTE_PIECES_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace ns3qemu
{

/** Some bytes of somebody else's. */
using ByteSpan = std::span<const uint8_t>;

/** Reads pieces one after the other, as if they were one. It holds no bytes itself. */
class PieceReader
{
  public:
    /** @param pieces they and their bytes must outlive this */
    explicit PieceReader(std::span<const ByteSpan> pieces)
        : m_pieces(pieces)
    {
        for (const auto& piece : pieces)
        {
            m_left += piece.size();
        }
    }

    /** @return how many bytes are still to be read */
    size_t GetLeft() const
    {
        return m_left;
    }

    /**
     * @param to where the next bytes are copied to
     * @param length how many of them, at most GetLeft()
     */
    void Read(uint8_t* to, size_t length)
    {
        m_left -= length;
        while (length > 0)
        {
            const auto rest = m_pieces.front().subspan(m_at);
            const size_t part = std::min(length, rest.size());
            if (part > 0)
            {
                std::memcpy(to, rest.data(), part);
            }
            to += part;
            length -= part;
            m_at += part;
            if (m_at == m_pieces.front().size())
            {
                m_pieces = m_pieces.subspan(1);
                m_at = 0;
            }
        }
    }

  private:
    std::span<const ByteSpan> m_pieces; // to be read: of the first one, what is behind m_at
    size_t m_at{0};
    size_t m_left{0};
};

} // namespace ns3qemu

#endif /* NS3_QEMU_BYTE_PIECES_H */
