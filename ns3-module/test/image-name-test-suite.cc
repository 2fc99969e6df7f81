/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * How an image is found by its name, in a cache that is put together here.
 */
#include "thrown.h"

#include "ns3/image-name.h"
#include "ns3/test.h"
#include "ns3/vm-error.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

using namespace ns3;
using namespace ns3qemu;

namespace
{

/** A cache, which the environment names as long as this exists. */
class TemporaryCache
{
  public:
    TemporaryCache()
    {
        const char* before = std::getenv("NS3_QEMU_HOME");
        m_before = before ? before : "";
        std::string pattern = std::filesystem::temp_directory_path() / "image-name-XXXXXX";
        m_path = mkdtemp(pattern.data());
        std::filesystem::create_directories(m_path + "/images/abc");
        std::filesystem::create_directories(m_path + "/names");
        setenv("NS3_QEMU_HOME", m_path.c_str(), 1);
    }

    ~TemporaryCache()
    {
        if (m_before.empty())
        {
            unsetenv("NS3_QEMU_HOME");
        }
        else
        {
            setenv("NS3_QEMU_HOME", m_before.c_str(), 1);
        }
        std::filesystem::remove_all(m_path);
    }

    /** Let a name's file say this of the image. */
    void Name(const std::string& file, const std::string& more) const
    {
        std::ofstream(m_path + "/names/" + file) << "directory=" << m_path << "/images/abc\n"
                                                 << more;
    }

    std::string m_path; //!< the directory

  private:
    std::string m_before;
};

std::string
Refusal(const std::string& name)
{
    return Thrown<VmError>([&]() { FindImage(name); });
}

bool
Contains(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

const std::string g_format = "format=" + std::to_string(IMAGE_FORMAT) + "\n";

/** What is there. */
class FoundImageTestCase : public TestCase
{
  public:
    FoundImageTestCase()
        : TestCase("an image is found by its name, or is a directory")
    {
    }

  private:
    void DoRun() override
    {
        const TemporaryCache cache;
        const std::string image = cache.m_path + "/images/abc";
        cache.Name("debian:6.1", g_format);
        cache.Name("file:%2Fsome%20where%2FbzImage", g_format);
        NS_TEST_ASSERT_MSG_EQ(GetCacheDirectory(), cache.m_path, "NS3_QEMU_HOME");
        NS_TEST_ASSERT_MSG_EQ(FindImage("debian:6.1"), image, "a kernel's name");
        NS_TEST_ASSERT_MSG_EQ(FindImage("file:/some where/bzImage"), image, "a path's characters");
        NS_TEST_ASSERT_MSG_EQ(FindImage(image), image, "a directory");
        NS_TEST_ASSERT_MSG_EQ(FindImage("/nowhere"), "/nowhere", "a path, whoever reads it");
        NS_TEST_ASSERT_MSG_EQ(std::filesystem::exists(image + "/used"), true, "it is in use");
    }
};

/** What is not there, or is not what it was. */
class MissingImageTestCase : public TestCase
{
  public:
    MissingImageTestCase()
        : TestCase("an image that is not there or has changed is refused with what builds it")
    {
    }

  private:
    void DoRun() override
    {
        const TemporaryCache cache;
        const std::string kernel = "ns3-qemu image build --kernel 'debian:6.1'";
        const auto missing = Refusal("debian:6.1");
        NS_TEST_ASSERT_MSG_EQ(Contains(missing, "no image 'debian:6.1' in " + cache.m_path),
                              true,
                              missing);
        NS_TEST_ASSERT_MSG_EQ(Contains(missing, kernel), true, missing);
        NS_TEST_ASSERT_MSG_EQ(Contains(Refusal("mine"), "image build --name 'mine' ..."),
                              true,
                              "one of the user's own");

        cache.Name("debian:6.1", "format=1\n");
        const auto old = Refusal("debian:6.1");
        NS_TEST_ASSERT_MSG_EQ(Contains(old, "another version (format 1"), true, old);
        NS_TEST_ASSERT_MSG_EQ(Contains(old, kernel), true, old);

        const std::string file = cache.m_path + "/bzImage";
        std::ofstream(file) << "a kernel";
        cache.Name("own", g_format + "kernel=" + file + "\nkernel-mtime-ns=1\n");
        NS_TEST_ASSERT_MSG_EQ(Contains(Refusal("own"), file + " was another file"),
                              true,
                              "another kernel");

        cache.Name("gone", g_format);
        std::filesystem::remove_all(cache.m_path + "/images");
        NS_TEST_ASSERT_MSG_EQ(Contains(Refusal("gone"), "there is no image"), true, "removed");
    }
};

/** How images are found. */
class ImageNameTestSuite : public TestSuite
{
  public:
    ImageNameTestSuite()
        : TestSuite("qemu-image-name", Type::UNIT)
    {
        AddTestCase(new FoundImageTestCase);
        AddTestCase(new MissingImageTestCase);
    }
};

ImageNameTestSuite g_imageNameTestSuite; //!< registers itself

} // namespace
