# SPDX-License-Identifier: GPL-2.0-only
"""What tshark, which knows nothing of this project, says of the packets in a capture."""

import subprocess
from pathlib import Path
from typing import NamedTuple

_GOOD = "1"

#: of tshark's expert information: an error
_ERROR = str(0x0080_0000)


class TsharkPacket(NamedTuple):
    number: str
    ip_status: str
    tcp_status: str
    tcp_checksum: str
    tcp_calculated: str
    malformed: str
    severities: str

    @property
    def negative_zero(self) -> bool:
        """Whether the TCP checksum is 0xffff where it comes out 0.

        In ones' complement these are the same, and receivers take both; Linux writes 0xffff (as UDP
        must, and RFC 1624 has it), which tshark calls bad.
        """
        return int(self.tcp_checksum, 16) == 0xFFFF and int(self.tcp_calculated or "1", 16) == 0

    @property
    def right(self) -> bool:
        """Whether nothing is wrong with it, and its checksums have been looked at."""
        if self.malformed or self.ip_status != _GOOD:
            return False
        errors = _ERROR in self.severities.split(",")
        return self.negative_zero or (self.tcp_status == _GOOD and not errors)


def tshark_packets(capture: Path) -> list[TsharkPacket]:
    """Return all packets of a capture."""
    fields = (
        "frame.number",
        "ip.checksum.status",
        "tcp.checksum.status",
        "tcp.checksum",
        "tcp.checksum_calculated",
        "_ws.malformed",
        "_ws.expert.severity",
    )
    command = ["tshark", "-n", "-r", str(capture), "-T", "fields"]
    for protocol in ("ip", "tcp"):
        command += ["-o", f"{protocol}.check_checksum:TRUE"]
    for field in fields:
        command += ["-e", field]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [TsharkPacket(*line.split("\t")) for line in done.stdout.splitlines()]
