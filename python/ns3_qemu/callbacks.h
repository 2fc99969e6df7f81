/*
 * SPDX-License-Identifier: GPL-2.0-only
 */
#ifndef NS3_QEMU_CALLBACKS_H
#define NS3_QEMU_CALLBACKS_H

/* What callbacks.py needs in C++. It is compiled by the interpreter of ns-3's Python bindings: one
 * piece for each signature, and not for each callback, since that takes time. */

#include "ns3/callback.h"
#include "ns3/nstime.h"
#include "ns3/object.h"
#include "ns3/ptr.h"
#include "ns3/sequence-number.h"
#include "ns3/simulator.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/traced-callback.h"
#include "ns3/traced-value.h"
#include "ns3/type-id.h"

#include <cstdint>
#include <cstdlib>
#include <cxxabi.h>
#include <functional>
#include <string>
#include <type_traits>
#include <typeinfo>

namespace ns3qemu
{
namespace python
{

/** Calls that ns-3 makes: each has a number, by which Python knows what to do. */
class Calls
{
  public:
    using Function = std::function<void(uint64_t)>;

    static void SetFunction(Function function)
    {
        Get() = function;
    }

    /** Make a call after a delay, as an event that is no node's. */
    static void Schedule(const ns3::Time& delay, uint64_t number)
    {
        ns3::Simulator::ScheduleWithContext(ns3::Simulator::NO_CONTEXT,
                                            delay,
                                            &Calls::Make,
                                            number);
    }

    /** Make a call when the simulation is destroyed. */
    static void ScheduleDestroy(uint64_t number)
    {
        ns3::Simulator::ScheduleDestroy(&Calls::Make, number);
    }

  private:
    static void Make(uint64_t number)
    {
        Get()(number);
    }

    static Function& Get()
    {
        static Function function;
        return function;
    }
};

/** What Python is given for a value of a type. */
template <typename T, typename = void>
struct Value
{
    using Type = const T&;

    static Type From(const T& value)
    {
        return value;
    }
};

/* Also those of eight bits, which it would take for letters. */
template <typename T>
struct Value<T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>>>
{
    using Type = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;

    static Type From(T value)
    {
        return value;
    }
};

template <typename T>
struct Value<T, std::enable_if_t<std::is_enum_v<T>>>
{
    using Type = int64_t;

    static Type From(T value)
    {
        return static_cast<Type>(value);
    }
};

template <typename T>
struct Value<T, std::enable_if_t<std::is_floating_point_v<T>>>
{
    using Type = double;

    static Type From(T value)
    {
        return value;
    }
};

template <>
struct Value<bool>
{
    using Type = bool;

    static Type From(bool value)
    {
        return value;
    }
};

template <>
struct Value<std::string>
{
    using Type = const char*;

    static Type From(const std::string& value)
    {
        return value.c_str();
    }
};

template <typename T>
struct Value<ns3::Ptr<const T>>
{
    using Type = ns3::Ptr<T>;

    static Type From(const ns3::Ptr<const T>& value)
    {
        return ns3::ConstCast<T>(value);
    }
};

template <typename N, typename S>
struct Value<ns3::SequenceNumber<N, S>>
{
    using Type = uint64_t;

    static Type From(ns3::SequenceNumber<N, S> value)
    {
        return value.GetValue();
    }
};

/** Python's function for sinks that are told values of these types. */
template <typename... Values>
class Teller
{
  public:
    using Function = std::function<void(uint64_t, Values...)>;

    static Function& Get()
    {
        static Function function;
        return function;
    }
};

/**
 * Trace sinks for a kind of trace source.
 * @tparam Source the type of the source: TracedCallback or TracedValue
 */
template <typename Source>
struct Sinks;

template <typename... Args>
struct Sinks<ns3::TracedCallback<Args...>>
{
    using PythonTeller = Teller<typename Value<std::decay_t<Args>>::Type...>;

    static bool HasFunction()
    {
        return static_cast<bool>(PythonTeller::Get());
    }

    static void SetFunction(
        std::function<void(uint64_t, typename Value<std::decay_t<Args>>::Type...)> function)
    {
        PythonTeller::Get() = function;
    }

    static bool Connect(ns3::Ptr<ns3::Object> object, const std::string& source, uint64_t number)
    {
        return object->TraceConnectWithoutContext(source, ns3::MakeBoundCallback(&Tell, number));
    }

  private:
    static void Tell(uint64_t number, Args... args)
    {
        PythonTeller::Get()(number, Value<std::decay_t<Args>>::From(args)...);
    }
};

template <typename T>
struct Sinks<ns3::TracedValue<T>> : Sinks<ns3::TracedCallback<T, T>>
{
};

/**
 * @return the C++ name of what makes a trace source accessible, in which there is its type; empty
 * if the object has no such source. What ns-3 says of its signature is not always so.
 */
inline std::string
GetSourceAccessor(ns3::Ptr<ns3::Object> object, const std::string& source)
{
    const auto accessor = object->GetInstanceTypeId().LookupTraceSourceByName(source);
    if (!accessor)
    {
        return "";
    }
    const ns3::TraceSourceAccessor& of = *accessor;
    int status = 0;
    char* name = abi::__cxa_demangle(typeid(of).name(), nullptr, nullptr, &status);
    std::string result = name ? name : "";
    std::free(name);
    return result;
}

/** @return a copy for Python to keep: what a sink is given is gone when it returns */
template <typename T>
T
Keep(const T& value)
{
    return value;
}

} // namespace python
} // namespace ns3qemu

#endif /* NS3_QEMU_CALLBACKS_H */
