/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "image-name.h"

#include "vm-error.h"

#include <climits>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ns3qemu
{

namespace
{

std::string
GetEnvironment(const char* name)
{
    const char* value = std::getenv(name);
    return value ? value : "";
}

std::string
GetHome()
{
    if (const auto home = GetEnvironment("HOME"); !home.empty())
    {
        return home;
    }
    const passwd* user = getpwuid(getuid());
    return user ? user->pw_dir : "/";
}

bool
IsDirectory(const std::string& path)
{
    struct stat status = {};
    return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

/* As names.py: all that is special in a path or a shell becomes %XX. */
std::string
Escape(const std::string& name)
{
    const std::string digits = "0123456789ABCDEF";
    const std::string plain =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:,=+";
    std::string escaped;
    for (const char c : name)
    {
        if (plain.find(c) != std::string::npos)
        {
            escaped += c;
            continue;
        }
        const auto byte = static_cast<uint8_t>(c);
        escaped += '%';
        escaped += digits[byte >> 4];
        escaped += digits[byte & 15];
    }
    return escaped;
}

/* What builds the image of that name. */
std::string
GetCommand(const std::string& name)
{
    const bool isKernel = name.find(':') != std::string::npos;
    return "\n\n    ns3-qemu image build " +
           (isKernel ? "--kernel '" + name + "'" : "--name '" + name + "' ...") +
           "\n\nThe program ns3-qemu comes with the Python package of that name.";
}

using Entry = std::map<std::string, std::string>;

Entry
ReadEntry(const std::string& path)
{
    Entry entry;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
    {
        if (const size_t equals = line.find('='); equals != std::string::npos)
        {
            entry[line.substr(0, equals)] = line.substr(equals + 1);
        }
    }
    return entry;
}

/* Whether a kernel of the user's own is still the file that the image was made of. */
bool
IsSameKernel(const Entry& entry)
{
    const auto path = entry.find("kernel");
    const auto time = entry.find("kernel-mtime-ns");
    if (path == entry.end() || time == entry.end())
    {
        return true;
    }
    struct stat status = {};
    return stat(path->second.c_str(), &status) == 0 &&
           time->second ==
               std::to_string(static_cast<int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 +
                              status.st_mtim.tv_nsec);
}

void
MarkUsed(const std::string& directory)
{
    /* It may be somebody else's cache: then it is for him to say what goes. */
    const int file = open((directory + "/used").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file >= 0)
    {
        futimens(file, nullptr);
        close(file);
    }
}

} // namespace

std::string
GetCacheDirectory()
{
    if (const auto home = GetEnvironment("NS3_QEMU_HOME"); !home.empty())
    {
        return home;
    }
    const auto cache = GetEnvironment("XDG_CACHE_HOME");
    /* The XDG specification says that a relative path there is to be ignored. */
    return (cache.substr(0, 1) == "/" ? cache : GetHome() + "/.cache") + "/ns3-qemu";
}

std::string
FindImage(const std::string& image)
{
    if (IsDirectory(image) || image.find_first_of("/.") == 0)
    {
        return image;
    }
    const auto cache = GetCacheDirectory();
    auto entry = ReadEntry(cache + "/names/" + Escape(image));
    const auto directory = entry["directory"];
    if (directory.empty() || !IsDirectory(directory))
    {
        throw VmError("there is no image '" + image + "' in " + cache +
                      ". This builds it:" + GetCommand(image));
    }
    if (entry["format"] != std::to_string(IMAGE_FORMAT))
    {
        throw VmError(
            "the image '" + image + "' was built by another version (format " + entry["format"] +
            ", not " + std::to_string(IMAGE_FORMAT) +
            "). This builds it again, once both are of the same version:" + GetCommand(image));
    }
    if (!IsSameKernel(entry))
    {
        throw VmError("the image '" + image + "' was built when " + entry["kernel"] +
                      " was another file. This builds it again:" + GetCommand(image));
    }
    MarkUsed(directory);
    return directory;
}

} // namespace ns3qemu
