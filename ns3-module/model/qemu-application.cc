/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#include "qemu-application.h"

#include "run-monitor.h"

#include "ns3/boolean.h"
#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/relay-client.h"
#include "ns3/simulator.h"
#include "ns3/split-command.h"
#include "ns3/string.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>
#include <stdexcept>

namespace ns3
{

NS_LOG_COMPONENT_DEFINE("QemuApplication");

NS_OBJECT_ENSURE_REGISTERED(QemuApplication);

namespace
{

/* As a shell says that there is no such program, and that it cannot be executed. */
constexpr int EXIT_NOT_FOUND = 127;
constexpr int EXIT_NOT_EXECUTABLE = 126;
constexpr int EXIT_BY_SIGNAL = 128;

/* Programs expect these. */
constexpr const char* DEFAULT_ENVIRONMENT[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
};

std::string
NameOfVariable(const std::string& variable)
{
    return variable.substr(0, variable.find('='));
}

} // namespace

TypeId
QemuApplication::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::QemuApplication")
            .SetParent<Application>()
            .SetGroupName("Qemu")
            .AddConstructor<QemuApplication>()
            .AddAttribute(
                "Command",
                "The program and its arguments, split into words as a shell does, but "
                "for variables, patterns and redirections: \"iperf3 -c 10.0.0.2\". For "
                "the rest of a shell: \"sh -c '...'\".",
                StringValue(""),
                MakeStringAccessor(&QemuApplication::SetCommand, &QemuApplication::GetCommand),
                MakeStringChecker())
            .AddAttribute("Environment",
                          "Variables of the program's environment besides PATH and HOME, which "
                          "they may replace: \"LANG=C.UTF-8 NAME='two words'\".",
                          StringValue(""),
                          MakeStringAccessor(&QemuApplication::SetEnvironment,
                                             &QemuApplication::GetEnvironment),
                          MakeStringChecker())
            .AddAttribute("WorkingDirectory",
                          "The directory in the guest that the program starts in.",
                          StringValue("/"),
                          MakeStringAccessor(&QemuApplication::m_directory),
                          MakeStringChecker())
            .AddAttribute("Input",
                          "What the program reads from its standard input, before an end of file.",
                          StringValue(""),
                          MakeStringAccessor(&QemuApplication::m_input),
                          MakeStringChecker())
            .AddAttribute("KeepInput",
                          "Whether no end of file follows Input, so that WriteInput can add more.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&QemuApplication::m_keepInput),
                          MakeBooleanChecker())
            .AddAttribute("MergeErrors",
                          "Whether standard error goes where standard output goes, in the order "
                          "in which both are written.",
                          BooleanValue(false),
                          MakeBooleanAccessor(&QemuApplication::m_mergeErrors),
                          MakeBooleanChecker())
            .AddAttribute("Required",
                          "Whether the run ends with an error if the program cannot be started.",
                          BooleanValue(true),
                          MakeBooleanAccessor(&QemuApplication::m_required),
                          MakeBooleanChecker())
            .AddAttribute("StopSignal",
                          "The signal that the program gets at StopTime; 15 is SIGTERM, 2 SIGINT.",
                          UintegerValue(SIGTERM),
                          MakeUintegerAccessor(&QemuApplication::m_stopSignal),
                          MakeUintegerChecker<uint32_t>(1, 64))
            .AddAttribute("KillDelay",
                          "How long after StopTime a program that still runs gets SIGKILL.",
                          TimeValue(Seconds(5)),
                          MakeTimeAccessor(&QemuApplication::m_killDelay),
                          MakeTimeChecker(Seconds(0)))
            .AddAttribute("OutputLimit",
                          "How many bytes of each stream are kept for GetOutput and "
                          "GetErrorOutput. What comes later is traced, and not kept.",
                          UintegerValue(1024 * 1024),
                          MakeUintegerAccessor(&QemuApplication::m_outputLimit),
                          MakeUintegerChecker<uint64_t>())
            .AddTraceSource("Output",
                            "The program has written a line.",
                            MakeTraceSourceAccessor(&QemuApplication::m_outputTrace),
                            "ns3::QemuApplication::OutputTracedCallback")
            .AddTraceSource("Exit",
                            "The program has ended.",
                            MakeTraceSourceAccessor(&QemuApplication::m_exitTrace),
                            "ns3::QemuApplication::ExitTracedCallback");
    return tid;
}

QemuApplication::QemuApplication()
{
    NS_LOG_FUNCTION(this);
}

QemuApplication::~QemuApplication()
{
    NS_LOG_FUNCTION(this);
}

void
QemuApplication::DoDispose()
{
    NS_LOG_FUNCTION(this);
    m_killEvent.Cancel();
    m_machine = nullptr;
    m_outputHandlers.clear();
    m_exitHandlers.clear();
    Application::DoDispose();
}

/* ---- what to run ---- */

void
QemuApplication::SetCommand(const std::string& command)
{
    m_arguments = ns3qemu::SplitCommand(command);
    m_command = command;
}

std::string
QemuApplication::GetCommand() const
{
    return m_command;
}

void
QemuApplication::SetArguments(const std::vector<std::string>& arguments)
{
    m_arguments = arguments;
    m_command.clear();
}

const std::vector<std::string>&
QemuApplication::GetArguments() const
{
    return m_arguments;
}

void
QemuApplication::SetEnvironment(const std::string& environment)
{
    const auto variables = ns3qemu::SplitCommand(environment);
    for (const auto& variable : variables)
    {
        if (variable.find('=') == std::string::npos || variable[0] == '=')
        {
            throw std::invalid_argument("not a variable of an environment, NAME=value: " +
                                        variable);
        }
    }
    m_environment = variables;
    m_environmentText = environment;
}

std::string
QemuApplication::GetEnvironment() const
{
    return m_environmentText;
}

void
QemuApplication::SetVariable(const std::string& name, const std::string& value)
{
    if (name.empty() || name.find('=') != std::string::npos)
    {
        throw std::invalid_argument("not the name of a variable: '" + name + "'");
    }
    m_environment.push_back(name + "=" + value);
}

std::vector<std::string>
QemuApplication::BuildEnvironment() const
{
    std::vector<std::string> all(std::begin(DEFAULT_ENVIRONMENT), std::end(DEFAULT_ENVIRONMENT));
    for (const auto& variable : m_environment)
    {
        const auto name = NameOfVariable(variable);
        const auto same = std::find_if(all.begin(), all.end(), [&name](const std::string& other) {
            return NameOfVariable(other) == name;
        });
        if (same == all.end())
        {
            all.push_back(variable);
        }
        else
        {
            *same = variable;
        }
    }
    return all;
}

/* ---- its life ---- */

void
QemuApplication::StartApplication()
{
    NS_LOG_FUNCTION(this);
    m_machine = VirtualMachine::Of(m_node);
    if (!m_machine)
    {
        throw std::logic_error("QemuApplication on node " + std::to_string(m_node->GetId()) +
                               ", which has no VirtualMachine; use QemuHelper");
    }
    if (m_arguments.empty())
    {
        throw std::logic_error("QemuApplication on VM '" + m_machine->GetName() +
                               "' has no program; set the attribute Command");
    }
    if (m_machine->IsRunning() && m_state == State::NEW)
    {
        StartProgram();
    }
}

void
QemuApplication::StartProgram()
{
    ns3qemu::GuestProgram program;
    program.arguments = m_arguments;
    program.environment = BuildEnvironment();
    program.directory = m_directory;
    program.input = m_keepInput || !m_input.empty();
    program.mergeErrors = m_mergeErrors;
    bool started = false;
    try
    {
        m_machine->Request([&](ns3qemu::RelayClient& relay) {
            m_process = relay.StartProcess(program);
            started = true;
            m_state = State::RUNNING;
            m_machine->WatchProcess(m_process,
                                    MakeCallback(&QemuApplication::OnProgramOutput, this),
                                    MakeCallback(&QemuApplication::OnProgramExit, this));
            if (!m_input.empty())
            {
                relay.WriteProcess(m_process,
                                   reinterpret_cast<const uint8_t*>(m_input.data()),
                                   m_input.size());
            }
            if (program.input && !m_keepInput)
            {
                relay.CloseProcessInput(m_process);
            }
        });
    }
    catch (const ns3qemu::GuestError& error)
    {
        if (started)
        {
            return; // it has ended before it took its input
        }
        Failed(error.GetErrno(), error.what());
    }
}

void
QemuApplication::Failed(int error, const std::string& reason)
{
    m_state = State::ENDED;
    m_errno = error;
    if (m_required)
    {
        std::ostringstream text;
        text << "VM '" << m_machine->GetName() << "' at simulated time "
             << Simulator::Now().As(Time::S) << ": cannot run " << m_arguments[0] << ": "
             << std::strerror(error) << " (" << reason << ")";
        if (error == ENOENT)
        {
            text << "\nIs it in the machine's image, with its interpreter and in PATH? In Python: "
                    "image.add(\"/usr/bin/...\")";
        }
        RunMonitor::Fail(text.str());
    }
    NS_LOG_WARN("cannot run " << m_arguments[0] << ": " << std::strerror(error));
    TellExit(error == ENOENT || error == ENOTDIR ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE, 0);
}

void
QemuApplication::StopApplication()
{
    NS_LOG_FUNCTION(this);
    if (m_state != State::RUNNING || !m_machine->IsRunning())
    {
        return;
    }
    m_killEvent = Simulator::Schedule(m_killDelay, &QemuApplication::Kill, this);
    Signal(static_cast<int>(m_stopSignal));
}

void
QemuApplication::Kill()
{
    NS_LOG_FUNCTION(this);
    Signal(SIGKILL);
}

void
QemuApplication::Signal(int signal)
{
    NS_LOG_FUNCTION(this << signal);
    if (m_state != State::RUNNING || !m_machine->IsRunning())
    {
        return;
    }
    try
    {
        m_machine->Request(
            [&](ns3qemu::RelayClient& relay) { relay.SignalProcess(m_process, signal); });
    }
    catch (const ns3qemu::GuestError& error)
    {
        /* It has ended, and its end is about to be told. */
        if (error.GetErrno() != ESRCH)
        {
            throw;
        }
    }
}

void
QemuApplication::WriteInput(const std::string& data)
{
    NS_LOG_FUNCTION(this << data.size());
    if (!m_keepInput)
    {
        throw std::logic_error("the program's input has been closed; set the attribute KeepInput");
    }
    if (m_state == State::RUNNING && !data.empty())
    {
        m_machine->Request([&](ns3qemu::RelayClient& relay) {
            relay.WriteProcess(m_process,
                               reinterpret_cast<const uint8_t*>(data.data()),
                               data.size());
        });
    }
}

void
QemuApplication::CloseInput()
{
    NS_LOG_FUNCTION(this);
    if (m_state == State::RUNNING && m_keepInput)
    {
        m_machine->Request(
            [&](ns3qemu::RelayClient& relay) { relay.CloseProcessInput(m_process); });
    }
}

/* ---- what it tells ---- */

void
QemuApplication::OnOutput(std::function<void(const std::string& line, int stream)> handler)
{
    m_outputHandlers.push_back(std::move(handler));
}

void
QemuApplication::OnExit(std::function<void(int code, int signal)> handler)
{
    m_exitHandlers.push_back(std::move(handler));
}

void
QemuApplication::TellLine(const std::string& line, int stream)
{
    m_outputTrace(line, stream);
    for (const auto& handler : m_outputHandlers)
    {
        handler(line, stream);
    }
}

void
QemuApplication::TellExit(int code, int signal)
{
    m_code = signal ? EXIT_BY_SIGNAL + signal : code;
    m_signal = signal;
    m_exitTrace(code, signal);
    for (const auto& handler : m_exitHandlers)
    {
        handler(code, signal);
    }
}

void
QemuApplication::OnProgramOutput(int stream, const std::string& bytes)
{
    NS_LOG_FUNCTION(this << stream << bytes.size());
    if (stream == OUT || stream == ERR)
    {
        m_output[stream - 1].Add(bytes, m_outputLimit, [this, stream](const std::string& line) {
            TellLine(line, stream);
        });
    }
}

void
QemuApplication::OnProgramExit(int code, int signal)
{
    NS_LOG_FUNCTION(this << code << signal);
    for (const int stream : {OUT, ERR})
    {
        m_output[stream - 1].Finish(
            [this, stream](const std::string& line) { TellLine(line, stream); });
    }
    m_killEvent.Cancel();
    m_state = State::ENDED;
    TellExit(code, signal);
}

bool
QemuApplication::IsProgramRunning() const
{
    return m_state == State::RUNNING;
}

void
QemuApplication::CheckHere() const
{
    if (m_machine)
    {
        m_machine->CheckHere();
    }
}

bool
QemuApplication::HasExited() const
{
    CheckHere();
    return m_state == State::ENDED;
}

int
QemuApplication::GetExitCode() const
{
    CheckHere();
    return m_code;
}

int
QemuApplication::GetExitSignal() const
{
    CheckHere();
    return m_signal;
}

int
QemuApplication::GetErrno() const
{
    CheckHere();
    return m_errno;
}

const std::string&
QemuApplication::GetOutput() const
{
    CheckHere();
    return m_output[OUT - 1].GetText();
}

const std::string&
QemuApplication::GetErrorOutput() const
{
    CheckHere();
    return m_output[ERR - 1].GetText();
}

bool
QemuApplication::IsOutputCut() const
{
    CheckHere();
    return m_output[OUT - 1].IsCut() || m_output[ERR - 1].IsCut();
}

} // namespace ns3
