# SPDX-License-Identifier: GPL-2.0-only
"""The package's errors: one class for one kind, whichever part of it raises them."""

import pytest

import ns3_qemu
from ns3_qemu import _vm, errors


def test_there_is_one_vm_error() -> None:
    assert ns3_qemu.VmError is errors.VmError
    assert _vm.VmError is errors.VmError
    assert issubclass(errors.VmError, errors.Ns3QemuError)


def test_a_user_catches_what_a_machine_without_ns3_raises() -> None:
    with pytest.raises(ns3_qemu.VmError, match="ns3-qemu image build") as caught:
        _vm.read_image("/no/such/image")
    # The command line shows it as any other error.
    assert caught.value.message.startswith("'/no/such/image/qemu.args' is missing or empty")
    assert caught.value.advice == ""


def test_a_guests_refusal_is_an_error_of_the_operating_system() -> None:
    assert issubclass(_vm.GuestError, OSError)
    assert not issubclass(_vm.GuestError, ns3_qemu.VmError)
