# SPDX-License-Identifier: GPL-2.0-only
"""The cache: what is under its final name is whole."""

import contextlib
import multiprocessing
import os
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from ns3_qemu.cache import Cache, default_root, read_manifest
from ns3_qemu.errors import CacheError
from ns3_qemu.headers import Manifest


def left_over(cache: Cache) -> list[str]:
    """Return what is in the cache, except for locks."""
    paths = [path for path in cache.root.rglob("*") if path.is_file() or path.name.count("@")]
    return [str(path) for path in paths if path.parent.name != "locks"]


def test_the_environment_says_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NS3_QEMU_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root() == tmp_path / ".cache" / "ns3-qemu"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/paths/do/not/count")
    assert default_root() == tmp_path / ".cache" / "ns3-qemu"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_root() == Path("/xdg/ns3-qemu")
    monkeypatch.setenv("NS3_QEMU_HOME", "/mine")
    assert default_root() == Path("/mine")


def test_what_is_built_appears_whole(cache: Cache) -> None:
    final = cache.qemu / "abc"

    def build(result: Path, work: Path) -> None:
        (work / "scratch").write_text("thrown away")
        (result / "one").write_text("1")
        assert not final.exists()
        (result / "two").write_text("2")

    assert cache.produce(final, build) == final
    assert sorted(path.name for path in final.iterdir()) == ["one", "two"]
    assert left_over(cache) == [str(final / "one"), str(final / "two")]


def test_it_is_built_once(cache: Cache) -> None:
    built = []
    for _ in range(2):
        cache.produce(cache.images / "abc", lambda result, _work: built.append(result))
    assert len(built) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_step_leaves_nothing(cache: Cache, error: type[BaseException]) -> None:
    def build(result: Path, work: Path) -> None:
        (result / "half").write_text("made")
        (work / "half").write_text("made")
        raise error

    with pytest.raises(error):
        cache.produce(cache.kernels / "6.1", build)
    assert left_over(cache) == []
    assert not (cache.kernels / "6.1").exists()


def build_until(cache: Cache, started: Event, go_on: Event) -> None:
    def build(result: Path, _work: Path) -> None:
        (result / "half").write_text("made")
        started.set()
        go_on.wait()
        (result / "whole").write_text("made")

    with contextlib.suppress(KeyboardInterrupt):
        cache.produce(cache.qemu / "abc", build)


def test_what_a_killed_process_left_is_swept_away(cache: Cache) -> None:
    started, go_on = multiprocessing.Event(), multiprocessing.Event()
    process = multiprocessing.Process(target=build_until, args=(cache, started, go_on))
    process.start()
    started.wait()
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert left_over(cache) != []
    assert not (cache.qemu / "abc").exists()

    # Whatever is built next.
    cache.produce(cache.images / "other", lambda _result, _work: None)
    assert left_over(cache) == []


def test_a_second_process_waits_and_takes_the_result_of_the_first(cache: Cache) -> None:
    started, go_on = multiprocessing.Event(), multiprocessing.Event()
    process = multiprocessing.Process(target=build_until, args=(cache, started, go_on))
    process.start()
    started.wait()
    waited = []

    def on_wait() -> None:
        waited.append((cache.qemu / "abc").exists())
        go_on.set()

    def build(_result: Path, _work: Path) -> None:
        pytest.fail("the first process has built it")

    cache.produce(cache.qemu / "abc", build, on_wait)
    process.join()
    assert waited == [False]
    assert (cache.qemu / "abc" / "whole").exists()


def test_what_another_process_is_building_is_not_swept_away(cache: Cache) -> None:
    started, go_on = multiprocessing.Event(), multiprocessing.Event()
    process = multiprocessing.Process(target=build_until, args=(cache, started, go_on))
    process.start()
    started.wait()
    cache.produce(cache.images / "other", lambda _result, _work: None)
    go_on.set()
    process.join()
    assert (cache.qemu / "abc" / "whole").exists()


def test_what_is_removed_is_gone(cache: Cache) -> None:
    final = cache.images / "abc"
    cache.produce(final, lambda result, _work: (result / "file").touch())
    cache.remove(final)
    assert not final.exists()
    assert left_over(cache) == []


@pytest.mark.parametrize("text", [b"", b'{"ns3": 1}', b'{"ns3": "\xff"}', b"[" * 5000])
def test_a_damaged_manifest_is_named(tmp_path: Path, text: bytes):
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises(CacheError, match=r"manifest.json cannot be read") as failed:
        read_manifest(tmp_path, Manifest)
    assert str(tmp_path) in failed.value.advice
