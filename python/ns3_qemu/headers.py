# SPDX-License-Identifier: GPL-2.0-only
"""ns-3's headers, precompiled for the interpreter of its Python bindings.

The bindings read all of ns-3's headers each time they are loaded, and that takes most of the time.
The interpreter (cling) starts from a precompiled header of the standard library anyway; one that
has ns-3's headers, too, spares it the reading. Without it all works the same, but starts later.

What is precompiled is what the bindings include, with the macros that they define and in their
order: they are watched while they load.
"""

import hashlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from . import bindings
from .bundle import OPTIONS_VARIABLE
from .cache import Cache, read_manifest
from .steps import Step, Steps

# By this variable cppyy can be told which precompiled header to take.
VARIABLE = "CLING_STANDARD_PCH"

_FILE = "ns3.pch"

# What cppyy takes if the environment does not say otherwise; it writes that into the environment.
_DEFAULT_OPTIONS = " -O2 -march=native"

_PARTS = ("ns3", "cppyy", "cppyy-backend", "cppyy-cling")

# The compiler's, which are precompiled with ns-3's.
_SYSTEM_HEADERS = ("/usr/include/stdlib.h", "/usr/include/c++/*/vector", "/usr/lib/gcc/*/*/include")


class Manifest(msgspec.Struct, frozen=True):
    """What a precompiled header in the cache was made from: its manifest.json."""

    ns3: str  # the directory of ns-3's package


class _Watched(msgspec.Struct, frozen=True):
    """What the bindings did while they loaded."""

    include_paths: list[str]
    source: list[str]  # directives, in order


def find(cache: Cache) -> Path | None:
    """Return the precompiled header for the present ns-3, interpreter and CPU, if there is one."""
    try:
        file = cache.headers / _key() / _FILE
    except importlib.metadata.PackageNotFoundError:
        return None
    return file if file.is_file() else None


def ensure(cache: Cache, steps: Steps) -> Path:
    """Return the precompiled header, and make it if it is not in the cache.

    Raises StepError (which step, its log, what to do).
    """
    key = _key()
    final = cache.headers / key
    cache.produce(
        final, lambda result, work: _build(result, work, steps), steps.waiting("ns-3's headers")
    )
    _remove_outdated(cache, key)
    steps.ready("ns-3's headers", final)
    return final / _FILE


def _key() -> str:
    return hashlib.sha256("\n".join(_ingredients()).encode()).hexdigest()[:16]


def _ingredients() -> Iterator[str]:
    """Yield all that a precompiled header is good for only as long as it does not change."""
    yield "1"
    for part in _PARTS:
        installed = importlib.metadata.distribution(part)
        yield f"{part} {installed.version}"
    directory = bindings.require()
    yield str(directory)
    for header in sorted((directory / "include" / "ns3").glob("*-module.h")):
        yield f"{header.name} {header.stat().st_mtime_ns}"
    yield os.environ.get(OPTIONS_VARIABLE, _DEFAULT_OPTIONS).strip()
    # The option -march=native, for one, makes other macros on another CPU.
    yield next(
        (line for line in _lines(Path("/proc/cpuinfo")) if line.startswith("flags")), "no flags"
    )
    for pattern in _SYSTEM_HEADERS:
        for header in sorted(Path("/").glob(pattern.lstrip("/"))):
            yield f"{header} {header.stat().st_mtime_ns}"


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:
        return []


def _build(result: Path, work: Path, steps: Steps) -> None:
    title = "Precompiling ns-3's headers for Python"
    with steps.step("headers", title, "Without them scripts start some seconds later.") as step:
        spec = find_spec("cppyy_backend")
        assert spec
        assert spec.origin
        backend = Path(spec.origin).parent
        watched = _watch(step, work)
        source = result / "ns3.h"
        source.write_text("\n".join(watched.source) + "\n")
        step.progress(0.2)
        # The interpreter's own tool, with its own choice of headers and options besides ours.
        step.run(
            [
                sys.executable,
                backend / "etc" / "dictpch" / "makepch.py",
                result / _FILE,
                *(f"-I{path}" for path in (backend / "include", *watched.include_paths)),
                source,
            ],
            cwd=backend,
            env={OPTIONS_VARIABLE: _DEFAULT_OPTIONS, **os.environ},
        )
        _try(step, result / _FILE)
    (result / "manifest.json").write_bytes(msgspec.json.encode(Manifest(str(bindings.require()))))


def _watch(step: Step, work: Path) -> _Watched:
    """Let another process load the bindings, and return what they told the interpreter."""
    output = work / "watched.json"
    step.run([sys.executable, "-m", "ns3_qemu.headers", output], cwd=work)
    return msgspec.json.decode(output.read_bytes(), type=_Watched)


def _try(step: Step, header: Path) -> None:
    """Load ns-3 with the precompiled header, so that one that does not work is not kept."""
    script = "from ns import ns; assert ns.Seconds(1).GetNanoSeconds() == 10**9"
    step.run(
        [sys.executable, "-c", script],
        cwd=bindings.require().parent,
        env={**os.environ, VARIABLE: str(header)},
    )


def _remove_outdated(cache: Cache, present: str) -> None:
    """Remove what was made for this ns-3 as it was before, and for one that has gone."""
    current = bindings.require()
    for file in cache.headers.glob("*/manifest.json"):
        ns3 = Path(read_manifest(file.parent, Manifest).ns3)
        if file.parent.name != present and (ns3 == current or not ns3.is_dir()):
            cache.remove(file.parent)


def _record(output: Path) -> None:
    """Load the bindings, and write down what they tell the interpreter."""
    import cppyy

    include_paths: list[str] = []
    source: list[str] = []

    def watch(name: str, note: Any) -> None:
        original = getattr(cppyy, name)

        def watched(argument: str) -> Any:
            note(argument)
            return original(argument)

        setattr(cppyy, name, watched)

    watch("add_include_path", include_paths.append)
    watch("include", lambda header: source.append(f'#include "{header}"'))
    # Each block of macros is whole in itself.
    watch("cppexec", lambda code: source.extend(line.strip() for line in code.splitlines()))
    os.chdir(bindings.require().parent)  # see simulation.load()
    from ns import ns  # noqa: F401

    output.write_text(json.dumps({"include_paths": include_paths, "source": source}))


if __name__ == "__main__":
    _record(Path(sys.argv[1]))
