# SPDX-License-Identifier: GPL-2.0-only
"""Where ns-3's Python bindings are, and whether they can be loaded from there."""

import importlib.metadata
from importlib.util import find_spec
from pathlib import Path

from .errors import BindingsError

# They leave out ns-3's own test libraries, and so each library that has this anywhere in its path.
_LEFT_OUT = "test"


def directory() -> Path | None:
    """Return the directory of the package ns3, or None if there is none.

    Raises BindingsError if it cannot be loaded from there, or is not what would be loaded.
    """
    spec = find_spec("ns3")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        return None
    found = Path(places[0])
    check(found)
    _check_first(found)
    return found


def require() -> Path:
    """Return the directory of the package ns3, which has to be the one that this one is built for.

    Raises BindingsError if it is not.
    """
    found = directory()
    wanted = required_version()
    try:
        version = importlib.metadata.version("ns3")
    except importlib.metadata.PackageNotFoundError:
        version = None
    if found is None or version is None:
        message = "the Python package ns3 is missing"
    elif version != wanted:
        message = f"the Python package ns3 is {version}, but {wanted} is needed"
    else:
        return found
    raise BindingsError(message, f"pip install ns3=={wanted}")


def required_version() -> str:
    """Return the version of the package ns3 that this one is built for."""
    wanted = next(
        line for line in importlib.metadata.requires("ns3-qemu") or () if line.startswith("ns3==")
    )
    return wanted.removeprefix("ns3==").partition(";")[0].strip()


def check(package: Path) -> None:
    """Raise BindingsError if the package ns3 cannot be loaded from this directory."""
    place = str(package.resolve())
    if _LEFT_OUT in place:
        message = (
            f"ns-3's Python bindings cannot be loaded from {place}: they leave out all libraries"
            f" whose path has the word '{_LEFT_OUT}' in it"
        )
        advice = "Put the virtual environment (the checkout) into a directory without that word."
        raise BindingsError(message, advice)


def _check_first(package: Path) -> None:
    """Raise BindingsError if `from ns import ns` would load, or has loaded, another ns-3.

    A tree of ns-3 has such a module, too: `./ns3 shell` and `./ns3 run` put it before all others,
    and two ns-3s in one process are neither.
    """
    spec = find_spec("ns")
    if spec is None or spec.origin is None:
        return
    other = Path(spec.origin).parent
    # The package's own is ns beside ns3, and ns3/ns once it has been loaded.
    if not other.resolve().is_relative_to(package.parent.resolve()):
        message = (
            f"Python takes ns-3's bindings from {other}, but this package is built for those in"
            f" {package}"
        )
        advice = (
            "Unset PYTHONPATH and run the script by python itself, not by ./ns3. The module can be"
            " built in that tree, too, for programs in C++: make test-ns3 NS3=TREE."
        )
        raise BindingsError(message, advice)
