# SPDX-License-Identifier: GPL-2.0-only
"""Fuzz targets in Python: files that somebody else may have made.

`python_targets.py TARGET OPTION|DIRECTORY...` fuzzes with atheris, whose options are libFuzzer's.
`python_targets.py --corpus TARGET DIRECTORY` only runs what is in the directory.
"""

import contextlib
import importlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

# Imported by main(), for atheris to see what of them is run.
MODULES = ("ns3_qemu.errors", "ns3_qemu.scenario", "ns3_qemu.results.tcp", "ns3_qemu.results.files")


_directory = tempfile.TemporaryDirectory(prefix="ns3-qemu-fuzz-")


def _file(data: bytes, name: str = "input") -> Path:
    path = Path(_directory.name) / name
    path.write_bytes(data)
    return path


def capture(data: bytes) -> None:
    """A pcap file: its packets, their fields, and what is made of its TCP connection."""
    from ns3_qemu.results.capture import read_capture
    from ns3_qemu.results.dissect import one_line, packets
    from ns3_qemu.results.tcp import packet_list

    path = _file(data)
    for fields in packets(read_capture(path, any_link=True)):
        one_line(fields)
    packet_list(read_capture(path))


def scenario(data: bytes) -> None:
    """A scenario's file, and settings of the command line, one in each line after a zero."""
    from ns3_qemu.scenario import read

    text, _, settings = data.partition(b"\0")
    lines = settings.decode(errors="replace").splitlines()
    read(_file(text), lines)


def results(data: bytes) -> None:
    """The files of a run that are read again."""
    from ns3_qemu.results import files

    readers = (
        files.read_packets,
        files.read_cwnd,
        files.read_drops,
        files.read_goodput,
        files.read_summary,
        lambda path: files.read_handshake(path, 0),
    )
    if data:
        readers[data[0] % len(readers)](_file(data[1:]))


def manifest(data: bytes) -> None:
    """What the cache says of images and kernels."""
    from ns3_qemu import image, kernel
    from ns3_qemu.cache import read_manifest
    from ns3_qemu.errors import CacheError

    directory = _file(data, "manifest.json").parent
    with contextlib.suppress(CacheError):
        read_manifest(directory, image.Manifest)
    read_manifest(directory, kernel.Manifest)


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function for function in (capture, scenario, results, manifest)
}


def run(target: str, data: bytes) -> None:
    """Run one input. Errors that tell a user what to do are as they should be."""
    from ns3_qemu.errors import Ns3QemuError

    with contextlib.suppress(Ns3QemuError):
        TARGETS[target](data)


def main() -> None:
    if sys.argv[1] == "--list":
        print(*TARGETS)
    elif sys.argv[1] == "--corpus":
        files = sorted(Path(sys.argv[3]).iterdir())
        for file in files:
            run(sys.argv[2], file.read_bytes())
        print(len(files), "inputs")
    else:
        import atheris

        target = sys.argv.pop(1)
        with atheris.instrument_imports(include=["ns3_qemu"]):
            for module in MODULES:
                importlib.import_module(module)
        atheris.Setup(sys.argv, lambda data: run(target, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
