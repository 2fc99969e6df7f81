# SPDX-License-Identifier: GPL-2.0-only
"""Where ns-3's Python bindings are, and whether they can be loaded from there."""

from importlib.util import find_spec
from pathlib import Path

from .errors import BindingsError

# They leave out ns-3's own test libraries, and so each library that has this anywhere in its path.
_LEFT_OUT = "test"


def directory() -> Path | None:
    """Return the directory of the package ns3, or None if there is none.

    Raises BindingsError if it cannot be loaded from there.
    """
    spec = find_spec("ns3")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        return None
    check(Path(places[0]))
    return Path(places[0])


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
