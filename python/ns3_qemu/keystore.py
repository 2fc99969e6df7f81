# SPDX-License-Identifier: GPL-2.0-only
"""The certificates of authorities as Java reads them: a file of the type JKS.

Debian makes it with Java itself when it installs ca-certificates-java. The form is that of
OpenJDK's sun.security.provider.JavaKeyStore.
"""

import base64
import hashlib
import re
import struct
from collections.abc import Mapping

PASSWORD = "changeit"
"""Java's own default; it keeps nothing secret."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END ")
_MAGIC, _VERSION, _TRUSTED = 0xFEEDFEED, 2, 2


def of_certificates(files: Mapping[str, bytes]) -> bytes:
    """Return a key store that trusts these certificates (PEM), by the names of their files."""
    entries = b""
    count = 0
    for name, data in sorted(files.items()):
        match = _PEM.search(data)
        if match:
            certificate = base64.b64decode(match[1])
            # When it was put in, in ms since 1970, is of no consequence.
            entries += struct.pack(">I", _TRUSTED) + _text(f"debian:{name.lower()}")
            entries += struct.pack(">Q", 0) + _text("X.509")
            entries += struct.pack(">I", len(certificate)) + certificate
            count += 1
    content = struct.pack(">III", _MAGIC, _VERSION, count) + entries
    seal = hashlib.sha1(
        PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + content, usedforsecurity=False
    )
    return content + seal.digest()


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data
