# SPDX-License-Identifier: GPL-2.0-only
"""What README.md tells people to do works."""

import re
import subprocess
import sys
from pathlib import Path

from ns3_qemu import scenario

TREE = Path(__file__).resolve().parents[1]
README = (TREE / "README.md").read_text()


def test_the_script_runs(tmp_path: Path) -> None:
    (script,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert (TREE / "docs" / "examples" / "first.py").read_text().endswith(f"\n\n{script}")
    (tmp_path / "script.py").write_text(script)
    run = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    line = r"after 2 s: \d+ bytes\nreceived (\d+) bytes, cwnd (\d+) segments\n"
    printed = re.fullmatch(line, run.stdout)
    assert printed, run.stdout
    # 5 Mbit/s for almost three seconds.
    assert 1_600_000 < int(printed[1]) < 1_875_000
    assert int(printed[2]) > 10, "larger than at the start"
    rows = (tmp_path / "cwnd.csv").read_text().splitlines()
    assert rows[0] == "t,cwnd_seg,ssthresh_seg,srtt_ms"
    assert len(rows) > 100


def test_the_scenario_is_one(tmp_path: Path) -> None:
    page = (TREE / "docs" / "how-to" / "scenarios.md").read_text()
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    file = tmp_path / "short.toml"
    file.write_text(text)
    assert scenario.read(file, ["bottleneck.queue=40p"]).bottleneck.queue == "40p"


def test_the_make_targets_exist() -> None:
    makefile = (TREE / "Makefile").read_text()
    for document in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"(?:`|^    )make (\w+)", (TREE / document).read_text(), re.M):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{document}: make {target}"


def test_the_files_that_are_named_exist() -> None:
    names = ("README.md", "CONTRIBUTING.md", "qemu-patches/README.md", "relay/README.md")
    for name in (*names, *(str(page) for page in (TREE / "docs").glob("*.md"))):
        document = TREE / name
        for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text()):
            assert (document.parent / link).exists(), f"{name} links to {link}"
