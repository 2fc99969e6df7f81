/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_APPLICATION_H
#define NS3_QEMU_APPLICATION_H

#include "virtual-machine.h"

#include "ns3/application.h"
#include "ns3/event-id.h"
#include "ns3/nstime.h"
#include "ns3/program-output.h"
#include "ns3/traced-callback.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief Runs a program in the guest of a node, from StartTime to StopTime.
 *
 * The program must be in the machine's image. It is started without a shell, as root, in a session
 * of its own. At StopTime it gets the signal StopSignal, and if it has not ended after KillDelay,
 * SIGKILL; so do its children. Times are simulated times: what a program prints is traced at the
 * very time at which it was written.
 *
 * A program that cannot be started ends the run with an error that says why, unless the attribute
 * Required is false: then it is as if a shell had tried, with exit code 127 (no such program) or
 * 126 (it is there, but cannot be executed), and GetErrno() says more.
 */
class QemuApplication : public Application
{
  public:
    /** Standard streams, as the trace source Output names them. */
    enum Stream
    {
        OUT = 1, //!< standard output
        ERR = 2, //!< standard error
    };

    /** @return the TypeId */
    static TypeId GetTypeId();

    QemuApplication();
    ~QemuApplication() override;

    /**
     * Set the program and its arguments.
     * @param command split into words as a shell does, see ns3qemu::SplitCommand
     * @throw std::invalid_argument if a quotation in it has no end
     */
    void SetCommand(const std::string& command);
    /** @return what SetCommand was given */
    std::string GetCommand() const;

    /**
     * Set the program and its arguments, each as it is.
     * @param arguments the program (a path, or a name to look for in PATH), then its arguments
     */
    void SetArguments(const std::vector<std::string>& arguments);
    /** @return the program and its arguments */
    const std::vector<std::string>& GetArguments() const;

    /**
     * Set a variable of the program's environment. Without, it has PATH and HOME.
     * @param name of it
     * @param value of it
     */
    void SetVariable(const std::string& name, const std::string& value);

    /** @return whether it runs now */
    bool IsProgramRunning() const;
    /** @return whether it has ended, or could not be started */
    bool HasExited() const;
    /** @return its exit code; 128 + n if signal n ended it; -1 while there is none */
    int GetExitCode() const;
    /** @return the signal that ended it, or 0 */
    int GetExitSignal() const;
    /** @return the guest's errno if it could not be started, or 0 */
    int GetErrno() const;

    /** @return what it has written to standard output, up to OutputLimit bytes */
    const std::string& GetOutput() const;
    /** @return what it has written to standard error, up to OutputLimit bytes */
    const std::string& GetErrorOutput() const;
    /** @return whether it wrote more to either than is kept */
    bool IsOutputCut() const;

    /**
     * Write to the program's standard input, now. The attribute KeepInput must be true.
     * @param data any bytes
     */
    void WriteInput(const std::string& data);
    /** Let the program read an end of file from its standard input. */
    void CloseInput();
    /** Send the program and its children a signal, now. @param signal 15 is SIGTERM */
    void Signal(int signal);

    /**
     * Be told its lines, as by the trace source Output; for callbacks that are no member functions.
     * @param handler gets a line without its end, and the stream
     */
    void OnOutput(std::function<void(const std::string& line, int stream)> handler);
    /** Be told its end, as by the trace source Exit. @param handler gets exit code and signal */
    void OnExit(std::function<void(int code, int signal)> handler);

    /**
     * TracedCallback signature of a line of output.
     * @param line without its end; any bytes may be in it. At most 65,536 bytes: a longer one is
     *        told in pieces. What has no end of line when the program ends is told then
     * @param stream OUT or ERR
     */
    typedef void (*OutputTracedCallback)(const std::string& line, int stream);

    /**
     * TracedCallback signature of the program's end.
     * @param code its exit code; 0 if a signal ended it
     * @param signal that ended it, or 0
     */
    typedef void (*ExitTracedCallback)(int code, int signal);

  protected:
    void DoDispose() override;

  private:
    enum class State
    {
        NEW,
        RUNNING,
        ENDED,
    };

    void StartApplication() override;
    void StopApplication() override;
    void StartProgram();
    void SetEnvironment(const std::string& environment);
    std::string GetEnvironment() const;
    std::vector<std::string> BuildEnvironment() const;
    void Kill();
    void Failed(int error, const std::string& reason);
    void OnProgramOutput(int stream, const std::string& bytes);
    void CheckHere() const;
    void OnProgramExit(int code, int signal);
    void TellLine(const std::string& line, int stream);
    void TellExit(int code, int signal);

    /* attributes */
    std::string m_command;
    std::vector<std::string> m_arguments;
    std::string m_environmentText;
    std::vector<std::string> m_environment;
    std::string m_directory;
    std::string m_input;
    bool m_keepInput;
    bool m_mergeErrors;
    bool m_required;
    uint32_t m_stopSignal;
    Time m_killDelay;
    uint64_t m_outputLimit;

    Ptr<VirtualMachine> m_machine;
    State m_state{State::NEW};
    uint32_t m_process{0};
    EventId m_killEvent;
    int m_code{-1};
    int m_signal{0};
    int m_errno{0};
    ns3qemu::ProgramOutput m_output[2]; // by stream, less 1
    std::vector<std::function<void(const std::string&, int)>> m_outputHandlers;
    std::vector<std::function<void(int, int)>> m_exitHandlers;
    TracedCallback<const std::string&, int> m_outputTrace;
    TracedCallback<int, int> m_exitTrace;
};

} // namespace ns3

#endif /* NS3_QEMU_APPLICATION_H */
