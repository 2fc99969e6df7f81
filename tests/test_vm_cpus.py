# SPDX-License-Identifier: GPL-2.0-only
"""Machines with several CPUs: they share a turn, and what they do is the same each time."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ns3_qemu._vm import SINK, SOURCE, Vm, VmError, VmImage
from vm_tools import GUEST_MAC, MILLISECOND, SECOND, other_machine

SOURCE_FILE = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static atomic_int token;
static int passes;
static int polite;

static long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000l + t.tv_nsec;
}

static void stay(long cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) != 0 || sched_getcpu() != cpu)
        exit(1);
}

static void *pass(void *self)
{
    long me = (long)self;
    stay(me);
    for (int i = 0; i < passes; i++) {
        while (atomic_load(&token) != me)
            if (polite)
                __builtin_ia32_pause();
        atomic_store(&token, 1 - me);
    }
    return NULL;
}

/* When a thread of its own wakes up on a CPU that is told to be somewhere at a time. */
static void *sleep_on(void *self)
{
    long cpu = (long)self, when;
    struct timespec t;
    stay(cpu);
    when = (now() / 1000000 + 2) * 1000000 + cpu * 1000;
    t = (struct timespec){when / 1000000000, when % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    return (void *)(now() - when);
}

static void run(int threads, void *(*what)(void *), void **results)
{
    pthread_t ids[8];
    for (long i = 0; i < threads; i++)
        pthread_create(&ids[i], NULL, what, (void *)i);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], &results[i]);
}

int main(int count, char **words)
{
    void *results[8];
    int number = atoi(words[2]);
    long begin = now();
    if (count == 3 && strcmp(words[1], "timers") == 0) {
        run(number, sleep_on, results);
        for (int i = 0; i < number; i++)
            printf("%ld\n", (long)results[i]);
        return 0;
    }
    passes = number;
    polite = strcmp(words[1], "polite") == 0;
    run(2, pass, results);
    printf("%d %ld\n", atomic_load(&token), now() - begin);
    return 0;
}
"""

PASSES = 500
SLICE = 10_000


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    built: Path = tmp_path_factory.mktemp("cpus") / "cpus"
    command = ("gcc", "-O2", "-static", "-pthread", "-x", "c", "-o", str(built), "-")
    subprocess.run(command, input=SOURCE_FILE, text=True, check=True)
    return built.read_bytes()


@pytest.fixture(scope="module")
def vm(boot: Callable[..., Vm], program: bytes) -> Iterator[Vm]:
    machine = boot(cpus=4)
    machine.relay.write_file("/run/cpus", program, 0o755)
    yield machine
    machine.end()


def run(vm: Vm, *words: str) -> list[list[int]]:
    """Run the program; return the numbers that it prints."""
    vm.relay.start_process(["/run/cpus", *words])
    vm.run_until(vm.time + 10 * MILLISECOND)
    assert [end[1:] for end in vm.take_exits()] == [(0, 0)]
    output = b"".join(data for _, _, data in vm.take_output())
    return [[int(number) for number in line.split()] for line in output.splitlines()]


def interrupts(vm: Vm) -> dict[str, list[int]]:
    """Return how many interrupts of each kind each CPU has had, by all words that name the kind."""
    lines = vm.relay.read_file("/proc/interrupts").decode().splitlines()
    cpus = len(lines[0].split())
    counts = {}
    for line in lines[1:]:
        name, *words = line.split()
        if len(words) >= cpus:
            counts[" ".join((name, *words[cpus:]))] = [int(word) for word in words[:cpus]]
    return counts


def find(counts: dict[str, list[int]], what: str) -> list[list[int]]:
    return [count for name, count in counts.items() if what in name]


def test_the_guest_has_as_many_cpus_as_it_is_given(vm: Vm):
    lines = vm.relay.read_file("/proc/cpuinfo").decode().splitlines()
    assert sum(line.startswith("processor") for line in lines) == 4


def test_two_threads_pass_a_token_within_one_turn(vm: Vm):
    before = vm.instructions
    assert run(vm, "rude", str(PASSES)) == [[0, 0]]
    rude = vm.instructions - before
    # Each waits for the other's slice at most.
    assert rude < 2 * PASSES * SLICE * 1.5

    before = vm.instructions
    assert run(vm, "polite", str(PASSES)) == [[0, 0]]
    # PAUSE ends a slice, so almost nothing is executed in vain.
    assert vm.instructions - before < rude / 5


def test_the_timers_of_all_cpus_are_exact(vm: Vm):
    late = [number for (number,) in run(vm, "timers", "4")]
    # A period of the HPET, and the rounding of the kernel's conversion into its periods.
    assert len(late) == 4
    assert all(0 <= each <= 20 for each in late), late
    own = find(interrupts(vm), "HPET")
    assert sum(max(count) > 0 for count in own) >= 4, own


def live(vm: Vm, program: bytes) -> dict[str, Any]:
    """Give a machine something to do on all CPUs; return what can be seen of it."""
    relay = vm.relay
    relay.write_file("/run/cpus", program, 0o755)
    for words in (("rude", "100"), ("polite", "100"), ("timers", "2")):
        relay.start_process(["/run/cpus", *words])
    listening = relay.socket(2, 1)
    relay.bind(listening, "127.0.0.1", 80)
    relay.listen(listening)
    sending = relay.socket(2, 1)
    relay.connect(sending, "127.0.0.1", 80)
    connection, peer = relay.accept(listening)
    relay.stream(connection, SINK)
    relay.stream(sending, SOURCE, 1_000_000)
    vm.run_until(vm.time + SECOND)
    return {
        "peer": peer,
        "received": relay.stream_stat(connection),
        "output": sorted(vm.take_output()),
        "interrupts": relay.read_file("/proc/interrupts"),
        "statistics": relay.read_file("/proc/stat"),
        "memory": relay.read_file("/proc/vmstat"),
        "turns": vm.turns,
        "instructions": vm.instructions,
        "deadline": vm.deadline,
    }


@pytest.mark.parametrize("cpus", [2, 4])
def test_a_machine_lives_the_same_life_whoever_looks_at_it(
    boot: Callable[..., Vm], program: bytes, cpus: int, capfd: pytest.CaptureFixture[str]
):
    lives = []
    # A look interrupts the CPU that runs, at times that are the host's.
    for watchdog in (0, 2 * MILLISECOND):
        vm = boot(cpus=cpus, watchdog=watchdog)
        lives.append(live(vm, program))
        vm.end()
    assert lives[0] == lives[1]
    assert lives[0]["received"] == (1_000_000, 0)
    assert "has kept its turn" in capfd.readouterr().err


@pytest.mark.parametrize("cpus", [0, 9])
def test_a_machine_cannot_have_any_number_of_cpus(vm_machine: VmImage, cpus: int):
    with pytest.raises(VmError, match=f"{cpus} CPUs; a machine may have 1 to 8"):
        Vm(vm_machine, cpus=cpus).start()


@pytest.mark.parametrize("queues", [0, 3])
def test_a_nic_cannot_have_any_number_of_queues(vm_machine: VmImage, queues: int):
    with pytest.raises(VmError, match=rf"cannot have {queues} queues \(Queues\): .* 1 to 2"):
        Vm(vm_machine, cpus=2, nics=[GUEST_MAC], queues=queues).start()


def test_a_nic_that_has_one_queue_cannot_have_two(vm_machine: VmImage):
    machine = other_machine(vm_machine, nic_model="e1000")
    with pytest.raises(VmError, match="e1000 has one queue; use virtio, or set Queues to 1"):
        Vm(machine, cpus=2, nics=[GUEST_MAC], queues=2).start()


def test_a_kernel_that_leaves_cpus_off_is_told_of(vm_machine: VmImage):
    line = vm_machine.boot[vm_machine.boot.index("-append") + 1]
    machine = other_machine(vm_machine, boot={"-append": f"{line} maxcpus=1"})
    with pytest.raises(VmError, match="has brought up 1 of 2 CPUs"):
        Vm(machine, cpus=2).finish_boot()
