/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "file-content.h"

#include "open-file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace ns3qemu
{

namespace
{

constexpr size_t CHUNK = 1024 * 1024; // bytes
constexpr size_t HOLE = 64 * 1024;    // bytes

/* Read it in chunks: what is behind the last one is zeros. */
void
ForEachChunk(const OpenFile& file,
             const std::string& path,
             const std::function<void(off_t at, const std::vector<uint64_t>& words)>& take)
{
    std::vector<uint64_t> words(CHUNK / sizeof(uint64_t));
    for (off_t at = 0;; at += CHUNK)
    {
        auto* bytes = reinterpret_cast<char*>(words.data());
        size_t length = 0;
        while (length < CHUNK)
        {
            const ssize_t got =
                pread(file.Get(), bytes + length, CHUNK - length, at + static_cast<off_t>(length));
            if (got < 0 && errno != EINTR)
            {
                FailOnFile("read", path);
            }
            if (got == 0)
            {
                break;
            }
            length += static_cast<size_t>(std::max<ssize_t>(got, 0));
        }
        if (length == 0)
        {
            return;
        }
        std::memset(bytes + length, 0, CHUNK - length);
        take(at, words);
    }
}

} // namespace

uint64_t
SumFile(const std::string& path)
{
    /* FNV-1a on words, in lanes that do not wait for each other. */
    constexpr uint64_t prime = 0x100000001b3;
    std::array<uint64_t, 8> lanes{};
    lanes.fill(0xcbf29ce484222325);
    const OpenFile file(path, O_RDONLY);
    ForEachChunk(file, path, [&](off_t, const std::vector<uint64_t>& words) {
        for (size_t i = 0; i < words.size(); i += lanes.size())
        {
            for (size_t lane = 0; lane < lanes.size(); lane++)
            {
                lanes[lane] = (lanes[lane] ^ words[i + lane]) * prime;
            }
        }
    });
    uint64_t sum = 0xcbf29ce484222325;
    for (const uint64_t lane : lanes)
    {
        sum = (sum ^ lane) * prime;
    }
    return sum;
}

std::string
DescribeFile(const std::string& path)
{
    struct stat status{};
    if (stat(path.c_str(), &status) != 0)
    {
        FailOnFile("use", path);
    }
    std::string boot;
    std::ifstream("/proc/sys/kernel/random/boot_id") >> boot;
    const auto time = [](const timespec& ts) {
        return " " + std::to_string(ts.tv_sec) + "." + std::to_string(ts.tv_nsec);
    };
    return boot + " " + std::to_string(status.st_dev) + " " + std::to_string(status.st_ino) + " " +
           std::to_string(status.st_size) + time(status.st_mtim) + time(status.st_ctim);
}

void
ReserveFile(const std::string& path, uint64_t size)
{
    const OpenFile file(path, O_RDWR | O_CREAT);
    if (fallocate(file.Get(), 0, 0, static_cast<off_t>(size)) != 0 && errno != EOPNOTSUPP &&
        errno != ENOSYS)
    {
        FailOnFile("write", path);
    }
}

void
DigHoles(const std::string& path)
{
    const OpenFile file(path, O_RDWR);
    ForEachChunk(file, path, [&](off_t at, const std::vector<uint64_t>& words) {
        constexpr size_t part = HOLE / sizeof(uint64_t);
        for (size_t i = 0; i < words.size(); i += part)
        {
            const auto* begin = words.data() + i;
            if (std::all_of(begin, begin + part, [](uint64_t word) { return word == 0; }))
            {
                /* It may be beyond the end, where there is nothing to give back. */
                (void)fallocate(file.Get(),
                                FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                at + static_cast<off_t>(i * sizeof(uint64_t)),
                                HOLE);
            }
        }
    });
}

} // namespace ns3qemu
