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
#include <iterator>
#include <type_traits>

namespace ns3qemu
{

/**
 * Elements in a row that somebody else owns: what there is of C++20's std::span here, as long as
 * ns-3 trees are built as C++17.
 */
template <typename T>
class Span
{
  public:
    Span() = default;

    /** @param data the first of the elements, which must outlive this */
    Span(T* data, size_t size)
        : m_data(data),
          m_size(size)
    {
    }

    /** @param elements an array, a vector or a string, which must outlive this */
    template <typename C,
              typename = std::enable_if_t<
                  std::is_convertible_v<decltype(std::data(std::declval<const C&>())), T*>>>
    Span(const C& elements)
        : m_data(std::data(elements)),
          m_size(std::size(elements))
    {
    }

    T* data() const
    {
        return m_data;
    }

    size_t size() const
    {
        return m_size;
    }

    bool empty() const
    {
        return m_size == 0;
    }

    T* begin() const
    {
        return m_data;
    }

    T* end() const
    {
        return m_data + m_size;
    }

    T& front() const
    {
        return *m_data;
    }

    T& back() const
    {
        return m_data[m_size - 1];
    }

    T& operator[](size_t i) const
    {
        return m_data[i];
    }

    /** @param from at most size() */
    Span subspan(size_t from) const
    {
        return {m_data + from, m_size - from};
    }

    /** @param count at most size() - from */
    Span subspan(size_t from, size_t count) const
    {
        return {m_data + from, count};
    }

  private:
    T* m_data{nullptr};
    size_t m_size{0};
};

/** Some bytes of somebody else's. */
using ByteSpan = Span<const uint8_t>;

/** Reads pieces one after the other, as if they were one. It holds no bytes itself. */
class PieceReader
{
  public:
    /** @param pieces they and their bytes must outlive this */
    explicit PieceReader(Span<const ByteSpan> pieces)
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
    Span<const ByteSpan> m_pieces; // to be read: of the first one, what is behind m_at
    size_t m_at{0};
    size_t m_left{0};
};

} // namespace ns3qemu

#endif /* NS3_QEMU_BYTE_PIECES_H */
