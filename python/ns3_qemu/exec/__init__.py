# SPDX-License-Identifier: GPL-2.0-only
"""`ns3-qemu exec`: a command in a guest, in simulated time, as if it ran here. It needs no ns-3.

`machine` runs a command once, `session` on several kernels and several times, and compares; `tap`
understands what test programs print, `fetch` brings files back, `toolbox` is what each guest has.
"""
