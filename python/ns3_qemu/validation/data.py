# SPDX-License-Identifier: GPL-2.0-only
"""The scenarios and reference figures that the package carries."""

from pathlib import Path

from ..errors import ScenarioError

_PACKAGE = Path(__file__).resolve().parent.parent

#: as installed, and in a checkout
_PLACES = (_PACKAGE / "validation-data", _PACKAGE.parent.parent / "validation")


def directory() -> Path:
    """Return the directory with scenarios/ and reference/. Raises ScenarioError without one."""
    for place in _PLACES:
        if (place / "scenarios").is_dir():
            return place
    message = f"the validation's scenarios are not in the installed package ({_PLACES[0]})"
    raise ScenarioError(message, "Install ns3-qemu again (in a checkout: make demo).")


def scenarios() -> dict[str, Path]:
    """Return the file of each scenario by its name."""
    return {file.stem: file for file in sorted((directory() / "scenarios").glob("*.toml"))}


def reference(name: str) -> Path | None:
    """Return the directory with what ns-3 and NSC measured in a scenario; None if there is none."""
    place = directory() / "reference" / "nsc" / name
    return place if place.is_dir() else None
