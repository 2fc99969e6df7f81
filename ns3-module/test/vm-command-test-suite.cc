/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * What QEMU is started with, what an image says of its machines, and what a console keeps.
 */
#include "ns3/test.h"
#include "ns3/vm-command.h"
#include "ns3/vm-console.h"
#include "ns3/vm-cpus.h"
#include "ns3/vm-error.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

using namespace ns3;
using namespace ns3qemu;

namespace
{

/** A directory of files, which goes with it. */
class TemporaryImage
{
  public:
    explicit TemporaryImage(const std::string& conf)
    {
        std::string pattern = std::filesystem::temp_directory_path() / "vm-command-XXXXXX";
        m_path = mkdtemp(pattern.data());
        std::ofstream(m_path + "/qemu.args") << "/bin/qemu\n-nodefaults\n";
        std::ofstream(m_path + "/boot.args") << "-kernel\n/a kernel\n";
        std::ofstream(m_path + "/machine.conf") << conf;
    }

    ~TemporaryImage()
    {
        std::filesystem::remove_all(m_path);
    }

    std::string m_path; //!< the directory
};

/** @return what reading an image with this machine.conf says is wrong */
std::string
Refusal(const std::string& conf)
{
    const TemporaryImage image(conf);
    try
    {
        ReadImage(image.m_path);
    }
    catch (const VmError& error)
    {
        return error.what();
    }
    return "";
}

bool
Contains(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

} // namespace

/** An image's data. */
class ImageDataTestCase : public TestCase
{
  public:
    ImageDataTestCase()
        : TestCase("What an image says of its machines is read, and nothing else is guessed")
    {
    }

  private:
    void DoRun() override
    {
        const TemporaryImage directory(
            "# comment\n\nmemory-mib=128\nnic-model=e1000\nrelay-port=uart\nepoch=1764201600\n");
        const auto image = ReadImage(directory.m_path);
        NS_TEST_ASSERT_MSG_EQ(image.nicModel, "e1000", "the NICs");
        NS_TEST_ASSERT_MSG_EQ(image.relayPort, "uart", "the relay's port");
        NS_TEST_ASSERT_MSG_EQ(image.memoryMib, 128, "the memory");
        NS_TEST_ASSERT_MSG_EQ(image.epoch, 1'764'201'600, "the date");
        NS_TEST_ASSERT_MSG_EQ(image.command.size(), 2, "the command");
        NS_TEST_ASSERT_MSG_EQ(image.boot.back(), "/a kernel", "what booting needs");
        NS_TEST_ASSERT_MSG_EQ(Contains(Refusal("memory-mib=1G\n"), "memory-mib=1G"), true, "");
        NS_TEST_ASSERT_MSG_EQ(Contains(Refusal("epoch=today\n"), "epoch=today"), true, "");
        NS_TEST_ASSERT_MSG_EQ(Contains(Refusal("relay-port=usb\n"), "'relay-port=usb'"), true, "");
        NS_TEST_ASSERT_MSG_EQ(Contains(Refusal("nic-model=\n"), "machine.conf"), true, "no value");
        NS_TEST_ASSERT_MSG_EQ(Contains(Refusal("nic-model\n"), "KEY=VALUE"), true, "no equals");
        NS_TEST_ASSERT_MSG_EQ(Contains(Refusal("color=red\n"), "image build"), true, "a new key");
        NS_TEST_ASSERT_MSG_EQ(Contains(Refusal(""), "missing or empty"), true, "nothing at all");
    }
};

/** A machine and what is one VM's own. */
class CommandTestCase : public TestCase
{
  public:
    CommandTestCase()
        : TestCase("Machines with the same kinds of NICs are the same, whoever they are")
    {
    }

  private:
    void DoRun() override
    {
        VmImage image;
        image.command = {"/bin/qemu"};
        const VmNic one{"02:00:00:00:00:01"};
        const VmNic other{"02:00:00:00:00:02"};
        const auto machine = BuildMachineCommand(image, {one});
        NS_TEST_ASSERT_MSG_EQ((machine == BuildMachineCommand(image, {other})), true, "addresses");
        NS_TEST_ASSERT_MSG_EQ((machine == BuildMachineCommand(image, {one, other})),
                              false,
                              "another number of NICs");
        const auto command = AddOwnOptions(machine, {"a,b", 7, 0, "", {"busy-step=5"}, {}});
        NS_TEST_ASSERT_MSG_EQ(std::equal(machine.begin(), machine.end(), command.begin()),
                              true,
                              "what is its own comes after the machine");
        const auto has = [&command](const std::string& part) {
            return std::any_of(command.begin(), command.end(), [&part](const auto& argument) {
                return Contains(argument, part);
            });
        };
        NS_TEST_ASSERT_MSG_EQ(has("busy-step=5"), true, "a property of the link");
        NS_TEST_ASSERT_MSG_EQ(has("a,,b"), true, "a name with a comma is escaped");
        NS_TEST_ASSERT_MSG_EQ(has("sandbox"), false, "the sandbox is QEMU's default");
        const auto open =
            AddOwnOptions({"/bin/qemu", "-accel", "tcg"}, {"", 7, 0, "", {}, {}, false});
        NS_TEST_ASSERT_MSG_EQ(Contains(open[2], "tcg,tb-size="), true, "the space for code");
        NS_TEST_ASSERT_MSG_EQ(
            std::any_of(open.begin(),
                        open.end(),
                        [](const auto& argument) { return Contains(argument, "sandbox=off"); }),
            true,
            "no sandbox");
        image.nicModel = "e1000";
        CheckRefused(image, &VmNic::mtu, 9000U, "MTU of 1500");
        CheckRefused(image, &VmNic::rxRing, 64U, "the receive ring");
        CheckRefused(image, &VmNic::rxUsecs, 5U, "for virtio NICs only");
        CheckRefused(image, &VmNic::offloads, true, "for virtio NICs only");
    }

    /** What this model of NIC cannot have. */
    template <typename T>
    void CheckRefused(const VmImage& image, T VmNic::* member, T value, const std::string& reason)
    {
        VmNic nic{"02:00:00:00:00:01"};
        nic.*member = value;
        std::string refusal;
        try
        {
            BuildMachineCommand(image, {nic});
        }
        catch (const VmError& error)
        {
            refusal = error.what();
        }
        NS_TEST_ASSERT_MSG_EQ(Contains(refusal, reason), true, refusal);
    }
};

/** A machine with several CPUs. */
class CpusTestCase : public TestCase
{
  public:
    CpusTestCase()
        : TestCase("A machine with one CPU is as its image says, others are not")
    {
    }

  private:
    void DoRun() override
    {
        const std::vector<std::string> image{"/bin/qemu", "-cpu", "qemu64", "-smp", "1"};
        const std::vector<std::string> boot{"-append", "quiet noapictimer panic=1"};
        auto command = image;
        AddCpus(command, 1);
        NS_TEST_ASSERT_MSG_EQ((command == image), true, "one CPU");
        NS_TEST_ASSERT_MSG_EQ((BuildBootOptions(boot, 1) == boot), true, "a kernel with one");
        AddCpus(command, 4);
        NS_TEST_ASSERT_MSG_EQ(command[4], "4", "four CPUs");
        NS_TEST_ASSERT_MSG_EQ(command.back(), "hpet.timers=7", "a timer for each");
        NS_TEST_ASSERT_MSG_EQ(BuildBootOptions(boot, 4)[1], "quiet panic=1", "their own timers");
        NS_TEST_ASSERT_MSG_EQ(CountCpus("0-3\n"), 4, "a range");
        NS_TEST_ASSERT_MSG_EQ(CountCpus("0-2,5"), 4, "two ranges");
        NS_TEST_ASSERT_MSG_EQ(CountCpus("0"), 1, "one CPU");
        NS_TEST_ASSERT_MSG_EQ(CountCpus("3-1"), 0, "no range");
        NS_TEST_ASSERT_MSG_EQ(CountCpus("all"), 0, "no list");
    }
};

/** What a console keeps. */
class ConsoleTestCase : public TestCase
{
  public:
    ConsoleTestCase()
        : TestCase("A console's last lines are safe to print, and a panic is not forgotten")
    {
    }

  private:
    static void Write(VmConsole& console, const std::string& text)
    {
        console.Write(reinterpret_cast<const uint8_t*>(text.data()), text.size());
    }

    void DoRun() override
    {
        VmConsole console;
        Write(console, "[1.0] Kernel panic - not syncing: x\r\n");
        for (int i = 0; i < 200; i++)
        {
            Write(console, "line\n");
        }
        Write(console, "\x1b[31mred\x07");
        const auto tail = console.GetTail();
        NS_TEST_ASSERT_MSG_EQ(console.GetPanic(), "Kernel panic - not syncing: x", "the panic");
        NS_TEST_ASSERT_MSG_EQ(tail.back(), "[31mred", "what a terminal would act on is left out");
        NS_TEST_ASSERT_MSG_EQ(tail.size(), 51, "fifty lines, and the one that has not ended");
        Write(console, std::string(100'000, 'x'));
        NS_TEST_ASSERT_MSG_LT(console.GetTail().back().size(), 1001, "a line without end");
    }
};

/** A panic that something is known of. */
class ConsoleAdviceTestCase : public TestCase
{
  public:
    ConsoleAdviceTestCase()
        : TestCase("A kernel that divides by an HPET's period of 1 ns is told another")
    {
    }

  private:
    void DoRun() override
    {
        VmConsole console;
        const std::string text = "divide error: 0000 [1] SMP\n"
                                 "RIP: 0010:[<ffffffff80254c5f>]  clockevent_delta2ns+0x1f/0x50\n"
                                 "Kernel panic - not syncing: Attempted to kill the idle task!\n";
        console.Write(reinterpret_cast<const uint8_t*>(text.data()), text.size());
        NS_TEST_ASSERT_MSG_EQ(Contains(console.GetPanic(), "hpet_period_ns=16"),
                              true,
                              console.GetPanic());
    }
};

/** Command, image and console. */
class VmCommandTestSuite : public TestSuite
{
  public:
    VmCommandTestSuite()
        : TestSuite("qemu-vm-command", Type::UNIT)
    {
        AddTestCase(new ImageDataTestCase());
        AddTestCase(new CommandTestCase());
        AddTestCase(new CpusTestCase());
        AddTestCase(new ConsoleTestCase());
        AddTestCase(new ConsoleAdviceTestCase());
    }
};

static VmCommandTestSuite g_vmCommandTestSuite;
