# SPDX-License-Identifier: GPL-2.0-only
"""The CPU that guests have: programs that are built for a level of x86-64 run, or die of SIGILL."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ns3_qemu import cpu, image
from ns3_qemu._vm import Vm, read_image
from vm_tools import SECOND

# Compilers use a level's instructions as they like; these have to be.
SOURCE = r"""
#include <stdio.h>
#include <immintrin.h>

int main(int count, char **words)
{
    (void)words;
#if LEVEL >= 2
    printf("%d %08x\n", (int)_mm_popcnt_u64(123456ul * count), _mm_crc32_u32(0, count));
#endif
#if LEVEL >= 3
    __m256d one = _mm256_set1_pd(count);
    __m256i sum = _mm256_add_epi64(_mm256_set1_epi64x(count), _mm256_set1_epi64x(40));
    printf("%g %d %d\n", _mm256_cvtsd_f64(_mm256_fmadd_pd(one, one, one)),
           (int)_mm256_extract_epi64(sum, 3), (int)_pext_u32(0xabcd, 0xf0 * count));
#endif
    return 0;
}
"""
SIGILL = 4
SAYS = {2: b"6 dd45aab8\n", 3: b"6 dd45aab8\n2 41 12\n"}

# As Linux calls them: what all have, and what each level adds.
COMMON = """
    fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2
    syscall nx lm rep_good nopl cpuid extd_apicid pni cx16 rdrand hypervisor lahf_lm svm
    3dnowprefetch vmmcall
"""
ADDED = {
    2: {"ssse3", "sse4_1", "sse4_2", "popcnt"},
    3: {"fma", "movbe", "xsave", "xsaveopt", "avx", "f16c", "abm", "bmi1", "avx2", "bmi2"},
}


@pytest.fixture(scope="module", params=[1, 2, 3])
def level(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def vm(level: int, boot: Callable[..., Vm]) -> Iterator[Vm]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NS3_QEMU_DEBIAN_MIRROR", "file:///nonexistent/debian")
        directory = image.Image(cpu=f"x86-64-v{level}").build()
    machine = boot(read_image(str(directory)), snapshots=str(directory / "snapshots"))
    yield machine
    machine.end()


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Programs that are built for a level."""
    built = {}
    for level in SAYS:
        built[level] = tmp_path_factory.mktemp("cpu") / f"v{level}"
        options = ("-O2", "-static", f"-march=x86-64-v{level}", f"-DLEVEL={level}")
        subprocess.run(
            ["gcc", *options, "-x", "c", "-o", built[level], "-"],
            input=SOURCE,
            text=True,
            check=True,
        )
    return built


def run(vm: Vm, program: Path) -> tuple[int, int, bytes]:
    """Run a program of this machine in the guest; return exit code, signal, output."""
    vm.relay.write_file("/run/program", program.read_bytes(), 0o755)
    vm.relay.start_process(["/run/program"])
    vm.run_until(vm.time + SECOND)
    ((_, code, signal),) = vm.take_exits()
    return code, signal, b"".join(data for _, _, data in vm.take_output())


@pytest.mark.parametrize("wanted", SAYS)
def test_a_program_runs_on_the_level_that_it_is_built_for(
    vm: Vm, level: int, programs: dict[int, Path], wanted: int
):
    code, signal, output = run(vm, programs[wanted])
    if wanted <= level:
        assert (code, signal, output) == (0, 0, SAYS[wanted])
    else:
        assert signal == SIGILL


def test_the_guest_sees_nothing_of_this_machines_cpu(vm: Vm, level: int):
    lines = vm.relay.read_file("/proc/cpuinfo").decode().splitlines()
    said = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    assert said["vendor_id"] == "AuthenticAMD"
    assert said["model name"] == "QEMU Virtual CPU version 2.5+"
    wanted = set(COMMON.split()).union(*(ADDED[n] for n in ADDED if n <= level))
    assert set(said["flags"].split()) == wanted


def test_usual_machines_have_the_level_of_todays_distributions():
    assert image.Image().cpu == cpu.DEFAULT == "x86-64-v2"
