/*
 * SPDX-License-Identifier: GPL-2.0-only
 *
 * All that the module must know of the differences between versions of ns-3; for those of the build
 * systems see ns3-versions.cmake. What can be said so that every version understands it is said so
 * where it is needed. NS3-VERSION has the versions that have been tried.
 */
#ifndef NS3_QEMU_NS3_VERSIONS_H
#define NS3_QEMU_NS3_VERSIONS_H

#if __has_include("ns3/global-routing.h")
#include "ns3/global-routing.h" // since 3.47
#else
#include "ns3/ipv4-global-routing.h" // up to 3.46
#endif

#include "ns3/callback.h"

#include <memory>
#include <type_traits>
#include <utility>

namespace ns3
{

/**
 * Ipv4 or Ipv6, with the methods by which the attribute of the end system's model asks for it. None
 * of them says "override", since none is in every version.
 */
template <typename Base>
class EndSystemModel : public Base
{
  private:
    /* Ipv4 up to 3.45. */
    virtual void SetWeakEsModel(bool weak)
    {
        ChooseStrongModel(!weak);
    }

    virtual bool GetWeakEsModel() const
    {
        return !IsStrongModel();
    }

    /* Ipv4 and Ipv6 since 3.41. */
    virtual void SetStrongEndSystemModel(bool strong)
    {
        ChooseStrongModel(strong);
    }

    virtual bool GetStrongEndSystemModel() const
    {
        return IsStrongModel();
    }

    /** @param strong whether a packet is only taken for an address of the interface that it came by
     */
    virtual void ChooseStrongModel(bool strong) = 0;
    /** @return whether it has been chosen */
    virtual bool IsStrongModel() const = 0;
};

/**
 * A Callback of a function object, such as what a lambda expression makes.
 * @tparam R what it returns
 * @tparam Args what it gets
 */
template <typename R, typename... Args, typename F>
Callback<R, Args...>
MakeFunctorCallback(F function)
{
    using Result = Callback<R, Args...>;
    if constexpr (std::is_constructible_v<Result, F>)
    {
        return Result(std::move(function)); // since 3.37
    }
    else
    {
        /* Up to 3.36 it is to be one that can be compared. */
        struct Comparable
        {
            R operator()(Args... args) const
            {
                return (*function)(args...);
            }

            bool operator!=(const Comparable& other) const
            {
                return function != other.function;
            }

            std::shared_ptr<F> function;
        };

        return Result(Comparable{std::make_shared<F>(std::move(function))}, true, true);
    }
}

} // namespace ns3

#endif /* NS3_QEMU_NS3_VERSIONS_H */
