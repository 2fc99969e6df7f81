# SPDX-License-Identifier: GPL-2.0-only
"""Python's functions as callbacks of a simulation: trace sinks, and events at a simulated time."""

from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from .simulated_time import to_time
from .simulation import guard, load

__all__ = ["Event", "at", "trace"]

_numbers = count()
_events: dict[int, Callable[[], object]] = {}
_sinks: dict[int, Callable[..., object]] = {}
_forgetting = False


@cache
def _glue() -> Any:
    ns = load()
    ns.cppyy.include(str(Path(__file__).with_name("callbacks.h")))
    glue = ns.cppyy.gbl.ns3qemu.python
    glue.Calls.SetFunction(_make_call)
    return glue


def _make_call(number: int) -> None:
    function = _events.pop(number, None)
    if function is not None:
        function()


def _tell(number: int, *values: Any) -> None:
    sink = _sinks.get(number)
    if sink is not None:
        sink(*map(_kept, values))


# Classes of C++ that cannot be copied, by name.
_uncopyable: set[str] = set()


def _kept(value: Any) -> Any:
    """Return a value of C++ as one of Python's own, or a copy: the original is gone soon."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind = type(value).__name__
    if kind in _uncopyable:
        return value
    try:
        return _glue().Keep(value)
    except TypeError:
        _uncopyable.add(kind)
        return value


def _forget_at_the_end() -> None:
    """Let what a simulation has registered go with it."""
    global _forgetting
    if _forgetting:
        return
    _forgetting = True

    def forget() -> None:
        global _forgetting
        _forgetting = False
        _events.clear()
        _sinks.clear()

    number = next(_numbers)
    _events[number] = forget
    _glue().Calls.ScheduleDestroy(number)


class Event:
    """A call that is to be made at a simulated time, see `at`."""

    def __init__(self, number: int) -> None:
        self._number = number

    @property
    def pending(self) -> bool:
        """Whether the call is still to be made."""
        return self._number in _events

    def cancel(self) -> None:
        """Let the call not be made; nothing if it has been."""
        _events.pop(self._number, None)


def at(time: Any, function: Callable[..., object], *args: Any) -> Event:
    """Call `function(*args)` at a simulated time.

    `time`: in s since the beginning of the simulation, a text with a unit ("10ms"), or an
    `ns.Time`. It may be called before `Run`, and by callbacks while the simulation runs.

    An exception that the function lets go ends the run: `Run` raises it.

    Raises ValueError for a time that is over, or none.
    """
    ns = load()
    delay = to_time(time) - ns.Simulator.Now()
    if delay.IsStrictlyNegative():
        message = f"{time} is over: it is {ns.Simulator.Now().GetSeconds()} s"
        raise ValueError(message)
    _forget_at_the_end()
    number = next(_numbers)
    _events[number] = guard(lambda: function(*args))
    _glue().Calls.Schedule(delay, number)
    return Event(number)


@cache
def _sinks_of(kind: str) -> Any:
    """Return what connects sinks to sources of a C++ type, which takes time to make."""
    # By a name of its own: in the names of templates cppyy knows "const T" only, not "T const".
    name = f"Sinks{next(_numbers)}"
    text = f"namespace ns3qemu::python {{ struct {name} : Sinks<{kind}> {{}}; }}"
    if not load().cppyy.cppdef(text):
        raise TypeError(kind)
    sinks = getattr(_glue(), name)
    if not sinks.HasFunction():
        sinks.SetFunction(_tell)
    return sinks


def _source_kind(accessor: str) -> str:
    """Return the type of a source, the second argument of the template that made its accessor."""
    depth, begin = 0, 0
    for i, letter in enumerate(accessor):
        if letter in "<(":
            depth += 1
        elif letter in ")>":
            depth -= 1
            if depth == 0 and begin:
                return accessor[begin:i].strip()
        elif letter == "," and depth == 1 and not begin:
            begin = i + 1
    return ""


def _connect(target: Any, source: str, sink: Callable[..., object]) -> None:
    owner = str(target.GetInstanceTypeId().GetName())
    accessor = str(_glue().GetSourceAccessor(target, source))
    if not accessor:
        message = f"{owner} has no trace source {source!r}; it has {_sources(target)}"
        raise ValueError(message)
    kind = _source_kind(accessor)
    try:
        sinks = _sinks_of(kind)
    except Exception:  # noqa: BLE001 - whatever the interpreter of C++ raises
        message = (
            f"what the trace source {source!r} of {owner} tells ({kind}) is beyond ns-3's Python"
            " bindings: connect a sink in C++ (ns.cppyy.cppdef)"
        )
        raise ValueError(message) from None
    number = next(_numbers)
    _sinks[number] = guard(sink)
    sinks.Connect(target, source, number)


def _sources(target: Any) -> str:
    names = []
    kind = target.GetInstanceTypeId()
    while True:
        names += [str(kind.GetTraceSource(i).name) for i in range(kind.GetTraceSourceN())]
        if not kind.HasParent():
            return ", ".join(sorted(names)) or "none"
        kind = kind.GetParent()


def trace(where: Any, source: str, callback: Callable[..., object]) -> None:
    """Let `callback` be called whenever a trace source of ns-3 has something to tell.

    ::

        ns3_qemu.trace(sink, "Rx", lambda packet, sender: print(packet.GetSize()))
        ns3_qemu.trace("/NodeList/*/DeviceList/*", "MacTx", lambda path, packet: print(path))

    `where`: an object, or a path as ns-3's `Config.Connect` takes, which may match several objects.
    `source`: the name of the trace source. The callback gets what the source tells, for most of
    them (`old`, `new`); with a path, the path of the source that tells is the first argument.
    Numbers, texts and truth values are Python's, all else is a copy that may be kept, or a pointer
    (`ns.Packet`).

    A socket that does not exist yet cannot be traced: do it at a time at which it does, see `at`.

    An exception that the callback lets go ends the run: `Run` raises it.

    Raises ValueError if there is no such object or source, or if the arguments of the source's
    callback are not known.
    """
    ns = load()
    _forget_at_the_end()
    if not isinstance(where, str):
        _connect(where, source, callback)
        return
    path = where.rstrip("/")
    matches = ns.Config.LookupMatches(path)
    if matches.GetN() == 0:
        message = (
            f"nothing matches {path!r} at {ns.Simulator.Now().GetSeconds()} s; what is made later,"
            " as sockets are, can be traced from then on only: use ns3_qemu.at(time, ...)"
        )
        raise ValueError(message)
    for i in range(matches.GetN()):
        context = f"{str(matches.GetMatchedPath(i)).rstrip('/')}/{source}"
        _connect(
            matches.Get(i), source, lambda *values, context=context: callback(context, *values)
        )
