/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What the fuzz targets share: an input that is taken apart piece by piece.
 */
#ifndef NS3_QEMU_FUZZ_INPUT_H
#define NS3_QEMU_FUZZ_INPUT_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

/** Runs one input. @return 0 */
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

/** Pieces of an input. Where it has no more, they are zeros or empty. */
class Input
{
  public:
    Input(const uint8_t* data, size_t size)
        : m_data(data),
          m_left(size)
    {
    }

    bool IsEmpty() const
    {
        return m_left == 0;
    }

    /** @return a number, or another value of some plain type */
    template <typename T>
    T Take()
    {
        T value{};
        const size_t length = std::min(m_left, sizeof(value));
        std::memcpy(&value, m_data, length);
        Skip(length);
        return value;
    }

    /** @return bytes, at most so many */
    std::vector<uint8_t> TakeBytes(size_t most)
    {
        const size_t length = std::min(m_left, most);
        std::vector<uint8_t> bytes(m_data, m_data + length);
        Skip(length);
        return bytes;
    }

    /** @return bytes, as many as the input says before them */
    std::vector<uint8_t> TakeSome()
    {
        return TakeBytes(Take<uint16_t>());
    }

    std::vector<uint8_t> TakeRest()
    {
        return TakeBytes(m_left);
    }

    std::string TakeText()
    {
        const auto bytes = TakeBytes(Take<uint8_t>());
        return {bytes.begin(), bytes.end()};
    }

  private:
    void Skip(size_t length)
    {
        m_data += length;
        m_left -= length;
    }

    const uint8_t* m_data;
    size_t m_left;
};

#endif /* NS3_QEMU_FUZZ_INPUT_H */
