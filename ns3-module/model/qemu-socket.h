/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_SOCKET_H
#define NS3_QEMU_SOCKET_H

#include "guest-access.h"

#include "ns3/address.h"
#include "ns3/node.h"
#include "ns3/relay-client.h"
#include "ns3/socket.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ns3
{

/**
 * @ingroup qemu
 * @brief The sockets of one factory, from their creation until they are closed: it keeps those that
 * nobody else holds any more, as ns-3's own protocols do.
 */
struct QemuSocketList
{
    std::vector<Ptr<Socket>> sockets; //!< in the order in which they were made
};

/**
 * @ingroup qemu
 * @brief What all sockets on a guest's socket have in common.
 *
 * The guest's socket is opened when it is first needed. Until the machine runs, that is, before the
 * simulation begins, what is asked of the socket is noted, and carried out in the same order when
 * it does; if the guest refuses a Bind or Listen then, the run ends.
 *
 * Callbacks come in an event of their own, never from within a call; a call or callback may do with
 * the socket what it likes, and drop it.
 *
 * @tparam Parent TcpSocket, UdpSocket or Socket
 */
template <typename Parent>
class QemuSocket : public Parent
{
  public:
    QemuSocket();
    ~QemuSocket() override;

    /**
     * For the factory.
     * @param node the node, which has a VirtualMachine, or what answers for one
     * @param list where the socket is kept until it is closed
     */
    void Attach(Ptr<Node> node, std::shared_ptr<QemuSocketList> list);

    /** @return the guest's errno of the last call that failed, or of the error that ended the
     * connection; 0 if there was none */
    int GetGuestErrno() const;
    /** @return the relay's handle of the guest's socket; 0 if it is not open */
    uint32_t GetHandle() const;

    /**
     * Set any option of the guest's socket.
     * @param level such as SOL_SOCKET, by its number in Linux
     * @param name by its number in Linux
     * @param value its bytes
     * @return 0, or -1: see GetGuestErrno(). While the socket is not open the option is noted; if
     * the guest refuses it when it is opened, the run ends. One of the other family has no effect.
     */
    int SetOption(int level, int name, const std::vector<uint8_t>& value);
    /** The same with the bytes of an int. */
    int SetOption(int level, int name, int value);
    /**
     * @param level such as SOL_SOCKET, by its number in Linux
     * @param name by its number in Linux
     * @param length of the value, at most, in bytes
     * @return its bytes; none if there is an error, or the socket is not open
     */
    std::vector<uint8_t> GetOption(int level, int name, uint32_t length) const;

    // Inherited from Socket
    Socket::SocketErrno GetErrno() const override;
    Ptr<Node> GetNode() const override;
    int Bind(const Address& address) override;
    int Bind() override;
    int Bind6() override;
    int GetSockName(Address& address) const override;
    int GetPeerName(Address& address) const override;
    void BindToNetDevice(Ptr<NetDevice> device) override;
    bool SetAllowBroadcast(bool allow) override;
    bool GetAllowBroadcast() const override;
    void SetIpTtl(uint8_t ttl) override;
    void SetIpv6HopLimit(uint8_t limit) override;

  protected:
    /** A fork of a listening socket: callbacks and settings are the same. It is not open yet. */
    QemuSocket(const QemuSocket& listener);

    void DoDispose() override;

    /** @return true once the application may not use the socket: it, or an error, has closed it */
    virtual bool IsClosed() const = 0;
    /** @return true if the guest's socket is not wanted any more: it may outlive a Close */
    virtual bool IsOver() const;
    /** Open the guest's socket: call OpenAs() with the arguments of socket(2). */
    virtual bool Open(uint16_t family) = 0;
    /** Serve what the guest has told of; in an event of its own. */
    virtual void Serve() = 0;
    /** The guest tells of its socket: note it, and call ServeSoon() if something is to be done. */
    virtual void OnReady(const RelayReady& ready) = 0;

    /** @return true if there is a socket in the guest */
    bool IsOpen() const;
    bool OpenAs(uint16_t family, uint32_t type, uint32_t protocol);
    /** Take over a socket that is open. */
    void Adopt(uint32_t handle, uint16_t family);
    void CloseGuest();
    /** The socket is not known to its factory any more. */
    void Forget();

    void ServeSoon();

    /**
     * Ask something of the guest.
     * @return false if it refused, with the errno set
     */
    bool Ask(const std::function<void(ns3qemu::RelayClient&)>& request) const;
    /** Carry something out now, or when the machine runs. */
    void WhenRunning(std::function<void()> action);
    /** @return true if the machine is still to be started */
    bool IsEarly() const;

    /** Set the errno and @return -1 */
    int Fail(Socket::SocketErrno error) const;
    /** The same with the guest's. */
    int FailInGuest(int error) const;

    /** Carry those options to the guest that have no virtual setter. */
    void SyncOptions();

    /** @return the number of the NIC that is joined to a device, or -1 */
    int64_t FindNic(Ptr<const NetDevice> device) const;
    /** @return the guest's index of the interface of a NIC, or 0 */
    uint32_t GetGuestInterface(uint32_t nic) const;
    /** @return the index that the device of a guest's interface has at its node */
    uint32_t GetDeviceIndex(uint32_t guestInterface) const;

    /* Forgotten when the socket is connected: the kernel chooses an address then. */
    mutable std::optional<ns3qemu::GuestEndpoint> m_local;
    std::optional<ns3qemu::GuestEndpoint> m_peer;

    /* No states of a protocol: any socket may be bound and shut down, before it is connected or
     * not, and the sockets that a listening one accepts are shut down as it is. */
    bool m_bound{false};
    bool m_shutdownSend{false};
    bool m_shutdownReceive{false};

    uint32_t m_handle{0}; // the relay's of the guest's socket; 0: it is not open
    uint16_t m_family{0};

    Ptr<GuestAccess> m_guest;

  private:
    struct Option
    {
        int level;
        int name;
        std::vector<uint8_t> value;
    };

    int BindTo(const ns3qemu::GuestEndpoint& local);
    int SetGuestOption(int level, int name, const std::vector<uint8_t>& value);
    void BindGuestToDevice();
    void DoServe();

    Ptr<Node> m_node;
    std::shared_ptr<QemuSocketList> m_list;
    std::vector<Option> m_options; // to be set when it is opened
    mutable int m_guestErrno{0};
    mutable Socket::SocketErrno m_errno{Socket::ERROR_NOTERROR};
    bool m_allowBroadcast{false}; // an option that is asked for, too
    bool m_serving{false};        // an event is scheduled for it
    /* What the guest has been told. */
    uint8_t m_toldTos{0};
    uint8_t m_toldTrafficClass{0};
    uint8_t m_toldPriority{0};
};

/**
 * @param type a TypeId
 * @param attribute one of its attributes
 * @return true if a script has changed the attribute's default (Config::SetDefault)
 */
bool IsDefaultChanged(TypeId type, const std::string& attribute);

/** @return the bytes of an int, as a guest takes it in an option */
std::vector<uint8_t> ToOption(int value);

} // namespace ns3

#endif /* NS3_QEMU_SOCKET_H */
