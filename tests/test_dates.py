# SPDX-License-Identifier: GPL-2.0-only
"""Which date it is in a guest: a function of what is in its image."""

import base64
from datetime import UTC, datetime

import pytest

from ns3_qemu import dates

# Valid from 2026-11-27 11:17:32 on.
CERTIFICATE = b"""\
-----BEGIN CERTIFICATE-----
MIIBeDCCAR2gAwIBAgIUFj+cyHBUob+M69wwHc4uxNpRxW8wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGc2VydmVyMB4XDTI2MTEyNzExMTczMloXDTI3MTEyNzExMTcz
MlowETEPMA0GA1UEAwwGc2VydmVyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
gt5Ah7qcXvenz2XaGMW70tziguZNL1CGFw7kGFgXEOVsVH83ZFt6LVqrwxeIRvH0
L/eOXOiszHsubQBDngt3XKNTMFEwHQYDVR0OBBYEFDsQLC1hs0GswWMiL8TenIcp
DBpQMB8GA1UdIwQYMBaAFDsQLC1hs0GswWMiL8TenIcpDBpQMA8GA1UdEwEB/wQF
MAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhALw3zf6o6OCqCjOp0U4Utm0inB0kboI/
JscFqcuWbLozAiEA+2PBl30F9+jL2/YaMyKq79JWHR+4jbI4ff9jG18XpBA=
-----END CERTIFICATE-----
"""
VALID = "2026-11-27T11:17:32"
DEBIAN = (
    "6.1.0-50-cloud-amd64 (debian-kernel@lists.debian.org) #1 SMP Debian 6.1.176-1 (2026-07-02)"
)


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("banner", "built"),
    [
        (DEBIAN, "2026-07-02"),
        (
            "6.12.0 (me@here) #3 SMP PREEMPT_DYNAMIC Thu Jul  2 10:11:12 UTC 2026",
            "2026-07-02T10:11:12",
        ),
        ("2.6.26 (me@here) #1 Mon Nov 30 23:59:59 CET 2009", "2009-11-30T23:59:59"),
        ("2.6.26 (me@here) #1 Mon Nov 30 23:59:59 2009", "2009-11-30T23:59:59"),
        ("6.1.0 (builder) #1", None),
        ("6.1.0 (2026-99-99)", None),
    ],
)
def test_a_kernel_says_when_it_was_made(banner: str, built: str | None) -> None:
    assert dates.of_banner(banner) == (seconds(built) if built else None)


@pytest.mark.parametrize("form", ["PEM", "DER", "bundle"])
def test_a_certificate_says_from_when_it_is_valid(form: str) -> None:
    body = CERTIFICATE.partition(b"-----\n")[2].partition(b"-----END")[0]
    data = {
        "PEM": CERTIFICATE,
        "DER": base64.b64decode(body),
        "bundle": b"# Some authority\n" + CERTIFICATE + CERTIFICATE.replace(b"\n", b"\r\n"),
    }[form]
    assert set(dates.of_certificates(data)) == {seconds(VALID)}


@pytest.mark.parametrize(
    "data",
    [b"", b"0", b"0\x82", b"0123456789" * 20, CERTIFICATE[:300] + b"\n-----END CERTIFICATE-----\n"],
)
def test_what_only_looks_like_a_certificate_is_none(data: bytes) -> None:
    assert list(dates.of_certificates(data)) == []


def test_without_certificates_it_is_the_kernels_date() -> None:
    assert dates.of_content(DEBIAN, [b"a file"]) == seconds("2026-07-02")


def test_a_certificate_of_today_is_valid_in_the_guest() -> None:
    assert dates.of_content(DEBIAN, [b"a file", CERTIFICATE]) == seconds("2026-11-28")


def test_a_disk_is_not_newer_than_the_guests_date() -> None:
    written = [None, seconds("2026-09-21T14:13:20"), 0]
    assert dates.of_content(DEBIAN, [b"a file"], written) == seconds("2026-09-22")


def test_an_older_certificate_does_not_take_the_date_back() -> None:
    assert dates.of_content("6.1 (2027-01-01)", [CERTIFICATE]) == seconds("2027-01-01")


def test_a_certificate_of_the_far_future_is_not_believed() -> None:
    assert dates.of_content("2.6.26 (2009-01-01)", [CERTIFICATE]) == seconds("2009-01-01")


def test_a_kernel_that_does_not_say_is_of_2000() -> None:
    assert dates.of_content("6.1.0 (builder) #1", []) == seconds("2000-01-01")


@pytest.mark.parametrize("text", ["2026-11-27", "2026-11-27T12:30:00", "2026-11-27T12:30:00Z"])
def test_a_user_may_say_a_date(text: str) -> None:
    assert dates.parse(text) == seconds(text.removesuffix("Z"))
    assert dates.parse(dates.text_of(dates.parse(text))) == dates.parse(text)


@pytest.mark.parametrize("text", ["today", "1999-12-31", "27.11.2026", "2026-13-01", ""])
def test_what_is_no_date_is_refused(text: str) -> None:
    assert not dates.is_date(text)
