# SPDX-License-Identifier: GPL-2.0-only
#
# For test.py of an ns-3 tree, which reads the lists by itself, up to the first closing bracket:
# each example with its arguments, a condition for running it, and one for running it with valgrind.
# An example is run if there is the image that it needs, in the cache of ns3-qemu.

cpp_examples = [
    (
        program,
        "os.path.exists(os.path.join(os.environ.get('NS3_QEMU_HOME') or os.path.join("
        "os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'ns3-qemu'), "
        "'names', 'IMAGE'))".replace("IMAGE", image),
        "False",
    )
    for program, image in (
        ("qemu-tcp-bottleneck --duration=2 --pcap=0", "debian:6.1"),
        ("qemu-either-stack --size=1000000", "debian:6.1"),
        ("qemu-kernel-comparison --images=debian:6.1 --duration=2", "debian:6.1"),
        ("qemu-bbr-vs-cubic-fairness --first=reno --duration=2", "debian:6.1"),
        ("qemu-vm-router --packets=10", "debian:6.1"),
        ("qemu-wifi-station --size=100000", "debian:6.1"),
        ("qemu-two-ranks --pairs=1 --duration=2", "debian:6.1"),
        ("qemu-program-in-guest", "iperf3"),
    )
]

python_examples = []
