# SPDX-License-Identifier: GPL-2.0-only
"""What date it is in an image's guests when a simulation begins.

It is a function of what is in the image, so that a run is the same on another machine and another
day: that of the kernel, or the one from which the newest certificate in the image is valid, or the
one on which a disk of its was written. Times are in seconds since 1970.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

OLDEST = 946_684_800
"""2000-01-01: before this, nothing is believed."""

_LATEST = 6_000_000_000
_DAY = 24 * 3600

# A certificate that is valid only long after the kernel was made is there to test what refuses it.
_YEARS = 10 * 365 * _DAY

_PEM = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END ",
)

_SEQUENCE, _INTEGER, _VERSION = 0x30, 0x02, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


def parse(text: str) -> int:
    """Return what a user says of a date: 2026-11-27 or 2026-11-27T12:00:00, in UTC.

    Raises ValueError for what is none, or before 2000.
    """
    moment = datetime.fromisoformat(text)
    seconds = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    if not OLDEST <= seconds <= _LATEST:
        raise ValueError(text)
    return seconds


def is_date(text: str) -> bool:
    """Say whether a user may say so."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


def text_of(seconds: int) -> str:
    """Return a date as text that `parse` understands."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def of_content(banner: str, files: Iterable[bytes], disks: Iterable[int | None] = ()) -> int:
    """Return the date of an image with a kernel that calls itself so, and these files.

    `disks`: when each of them was written, as far as they say.

    It is a full day, so that what two images have of one set of certificates is valid in both.
    """
    built = max(OLDEST, of_banner(banner) or OLDEST)
    valid = [moment for data in files for moment in of_certificates(data)]
    valid += [moment for moment in disks if moment is not None]
    newest = max((moment for moment in valid if built < moment <= built + _YEARS), default=built)
    return min(_LATEST, -(-newest // _DAY) * _DAY)


def of_banner(banner: str) -> int | None:
    """Return when a kernel was made, of what it says of its version; None if it does not say.

    Debian's say "(2026-07-02)", others "#1 SMP Thu Jul 2 10:00:00 UTC 2026".
    """
    if match := re.search(r"\((\d{4}-\d\d-\d\d)\)", banner):
        text, form = match[1], "%Y-%m-%d"
    elif match := re.search(r"([A-Z][a-z]{2} +\d+ [\d:]{8}) (?:[A-Z]+ )?(\d{4})", banner):
        text, form = f"{match[1]} {match[2]}", "%b %d %H:%M:%S %Y"
    else:
        return None
    try:
        return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def of_certificates(data: bytes) -> Iterator[int]:
    """Yield from when each certificate (X.509, PEM or DER) of a file is valid."""
    bodies = []
    if b"-----BEGIN " in data:
        for match in _PEM.finditer(data):
            try:
                bodies.append(base64.b64decode(match[1]))
            except binascii.Error:
                continue
    elif data[:1] == bytes([_SEQUENCE]):
        bodies.append(data)
    for body in bodies:
        try:
            yield _not_before(body)
        except (ValueError, IndexError):
            continue


def _not_before(certificate: bytes) -> int:
    """Return the first date of a certificate (RFC 5280). Raises ValueError if it is none."""
    to_be_signed, _ = _element(_element(certificate, _SEQUENCE)[0], _SEQUENCE)
    if to_be_signed[0] == _VERSION:
        _, to_be_signed = _element(to_be_signed, _VERSION)
    # Serial number, algorithm, issuer.
    for tag in (_INTEGER, _SEQUENCE, _SEQUENCE):
        _, to_be_signed = _element(to_be_signed, tag)
    validity, _ = _element(to_be_signed, _SEQUENCE)
    if validity[0] == _UTC_TIME:
        text, form = _element(validity, _UTC_TIME)[0], "%y%m%d%H%M%SZ"
    else:
        text, form = _element(validity, _GENERALIZED_TIME)[0], "%Y%m%d%H%M%SZ"
    moment = datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)
    return int(moment.timestamp())


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return what is in the first element of some DER, which has this tag, and what follows it."""
    if data[0] != tag:
        raise ValueError(data[0])
    length, start = data[1], 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[2:start])
    if start + length > len(data):
        raise ValueError(length)
    return data[start : start + length], data[start + length :]
