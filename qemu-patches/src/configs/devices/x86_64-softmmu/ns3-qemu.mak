# SPDX-License-Identifier: GPL-2.0-only
# The devices that a simulated machine needs, and no others.
CONFIG_I440FX=y
CONFIG_HPET=y
CONFIG_PCI_DEVICES=n
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_E1000_PCI=y
CONFIG_SERIAL_ISA=y
