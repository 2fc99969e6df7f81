# SPDX-License-Identifier: GPL-2.0-only
"""What a guest refuses is not so: a node's Ipv4 and Ipv6 go on saying what they said before."""

from pathlib import Path
from typing import Any

import pytest

from simulation_tools import run_script

SCRIPT = """
from ns3_qemu import guest

nodes = ns.NodeContainer()
nodes.Create(3)
link = ns.PointToPointHelper()
qemu = helper()
qemu.SetAttribute("Snapshot", ns.BooleanValue(False))
vm = qemu.Install(nodes.Get(0))
devices = []
for i in (1, 2):
    pair = ns.NodeContainer()
    pair.Add(nodes.Get(0))
    pair.Add(nodes.Get(i))
    devices.append(link.Install(pair).Get(0))
    vm.AddAddress(devices[-1], f"10.0.{i}.1/24")
    vm.AddAddress(devices[-1], f"fd00:0:0:{i}::1/64")
vm.WriteFile("/opt/busybox", Path("/bin/busybox").read_bytes(), 0o755)
# Takes the NICs from their driver; the virtio devices are those and the relay's port.
unbinding = ns3_qemu.Program(nodes.Get(0), ["/opt/busybox", "sh", "-c",
    "for i in 0 1 2; do echo virtio$i > /sys/bus/virtio/drivers/virtio_net/unbind; done"], start=2)
stacks = {"IPv4": nodes.Get(0).GetObject[ns.Ipv4](), "IPv6": nodes.Get(0).GetObject[ns.Ipv6]()}

def is_refused(action):
    try:
        action()
    except Exception as error:
        return "the guest's errno" in str(error)
    return False

def state(stack):
    return [stack.IsUp(1), stack.IsForwarding(1), stack.GetNAddresses(1)]

ns.Simulator.Stop(ns.Seconds(1))
ns3_qemu.Run()

# The guest forwards otherwise than it was told, as programs in it may want it.
for version, name, value in ((4, "eth0", 0), (6, "all", 1)):
    sysctl = f"net.ipv{version}.conf.{name}.forwarding"
    vm.SetSysctl(sysctl, str(value))
    before = str(vm.GetSysctl(sysctl))
    stacks[f"IPv{version}"].SetForwarding(1, value == 0)
    RESULT[f"said again, IPv{version}"] = [before, str(vm.GetSysctl(sysctl))]

# A route that has been deleted leaves nothing to the next one to the same place.
vm.AddRoute("10.9.0.0/16", "10.0.1.2", devices[0], 7)
vm.DeleteRoute("10.9.0.0/16", "10.0.1.2", devices[0])
ns.Ipv4StaticRoutingHelper().GetStaticRouting(stacks["IPv4"]).AddNetworkRouteTo(
    ns.Ipv4Address("10.9.0.0"), ns.Ipv4Mask("255.255.0.0"), ns.Ipv4Address("10.0.1.2"), 1)
RESULT["windows"] = [dict(route.attributes) for route in guest.routes(vm)
                     if route.destination == "10.9.0.0/16"]

# From 2 s on the guest has no NICs: whatever is said of them is refused.
ns.Simulator.Stop(ns.Seconds(2))
ns3_qemu.Run()
RESULT["unbinding"] = unbinding.exit_code
for name, stack in stacks.items():
    seen = RESULT[name] = {"before": state(stack), "refused": [], "after": []}
    for action in (
        lambda: stack.SetForwarding(1, not stack.IsForwarding(1)),
        lambda: stack.SetAttribute("IpForward", ns.BooleanValue(not stack.IsForwarding(1))),
        lambda: stack.SetDown(1),
    ):
        seen["refused"].append(is_refused(action))
        seen["after"].append(state(stack))
    forward = ns.BooleanValue()
    stack.GetAttribute("IpForward", forward)
    seen["IpForward"] = forward.Get()
ns.Simulator.Destroy()
finish()
"""


@pytest.fixture(scope="module")
def result(vm_image: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    ended = run_script(SCRIPT, vm_image, tmp_path_factory.mktemp("refusals"))
    assert ended.status == 0, ended.errors
    return ended.result


@pytest.mark.parametrize(
    ("family", "before"), [("IPv4", [True, True, 1]), ("IPv6", [True, False, 2])]
)
def test_what_is_refused_leaves_an_interface_as_it_was(
    result: dict[str, Any], family: str, before: list[Any]
):
    seen = result[family]
    assert seen["before"] == before
    assert seen["refused"] == [True, True, True]
    assert seen["after"] == [before, before, before]
    assert seen["IpForward"] == before[1]


@pytest.mark.parametrize(("family", "values"), [("IPv4", ["0", "1"]), ("IPv6", ["1", "0"])])
def test_forwarding_that_is_said_again_is_told_again(
    result: dict[str, Any], family: str, values: list[str]
):
    assert result[f"said again, {family}"] == values


def test_a_deleted_route_leaves_no_initial_window_behind(result: dict[str, Any]):
    assert result["windows"] == [{}]
