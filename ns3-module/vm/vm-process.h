/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * One QEMU process: started, watched and ended. POSIX only: it knows neither ns-3 nor the wire.
 */
#ifndef NS3_QEMU_VM_PROCESS_H
#define NS3_QEMU_VM_PROCESS_H

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace ns3qemu
{

/**
 * A child process that cannot outlive this one.
 *
 * It gets /dev/null as standard input, a process group of its own (so that Ctrl-C reaches only the
 * simulator, which then ends its VMs in order), and is killed by the kernel when the thread that
 * started it ends. Its output is kept for diagnoses. Children that are forked later leave it alone.
 * Of a process that was made otherwise, who makes it sees to that.
 */
class VmProcess
{
  public:
    /** The number that the first inherited file descriptor has in the child: the sim-link's. */
    static constexpr int LINK_FD = 3;

    /**
     * Start a process.
     * @param arguments the program's path and its arguments
     * @param descriptors that the child inherits as LINK_FD, LINK_FD + 1, ...
     * @param writable all the files and directories that it may change, see ProcessRules; nothing:
     *        it may do what this process may
     * @throw VmError if it cannot be started
     */
    VmProcess(const std::vector<std::string>& arguments,
              const std::vector<int>& descriptors,
              const std::optional<std::vector<std::string>>& writable = std::nullopt);

    /**
     * Take over a child that somebody else makes for this process.
     * @param make is given the descriptor of the file for the process's output, and returns its id
     * @throw VmError if it cannot be watched
     */
    explicit VmProcess(const std::function<pid_t(int output)>& make);

    /** Kills the process if it still runs. */
    ~VmProcess();
    VmProcess(const VmProcess&) = delete;
    VmProcess& operator=(const VmProcess&) = delete;

    pid_t GetPid() const;

    /**
     * @return false in a child that this process has forked since: what is shared with the VM is
     *         still the parent's
     */
    bool IsOurs() const;

    /** @return true while the process runs */
    bool IsAlive();

    /**
     * Wait for the process to exit of itself, then kill it.
     * @param grace how long to wait, in ms of wall time
     */
    void End(int grace);

    /** Send the process a signal. */
    void Signal(int number) const;
    /** @return its state as in /proc: 'R', 'S', 'T' (stopped), ..., or '?' */
    char GetState() const;
    /** @return ns of CPU time that it has had */
    int64_t GetCpuTime() const;

    /** @return how the process ended, for people: "exited with status 1", "was killed by signal 9"
     */
    std::string DescribeExit();

    /** @return the end of what the process has written to its standard output and error */
    std::string GetMessages() const;

  private:
    void MakeOutput();
    void Watch();
    bool Reap(int timeout);

    pid_t m_pid{-1};
    int m_pidFd{-1};
    int m_outputFd{-1};
    unsigned m_forks{0}; // how often this process had been forked when it was started
    bool m_exited{false};
    int m_status{0};
};

} // namespace ns3qemu

#endif /* NS3_QEMU_VM_PROCESS_H */
