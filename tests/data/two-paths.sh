#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: two-paths.sh [PATHS]
#
# Two network namespaces, and two links of 10 Mbit/s and 10 ms between them: the round trips over the
# first, then how long 2 MB take with MPTCP over so many of them.
set -e
ip netns add client
ip netns add server
for link in 1 2; do
    ip link add client$link netns client type veth peer name server$link netns server
    for host in client server; do
        [ $host = client ] && last=1 || last=2
        ip -n $host address add "10.0.$link.$last/24" dev $host$link
        ip -n $host link set $host$link up
        tc -n $host qdisc add dev $host$link root netem delay 10ms rate 10mbit
    done
done
sleep 2 # until nothing else is sent: IPv6 looks for other hosts
# Who is to be asked is known.
ip netns exec client ping -c 1 10.0.1.2 >/dev/null
ip netns exec client two-hosts round-trips 10.0.1.2 5

[ "${1:-1}" = 1 ] || ip -n client mptcp endpoint add 10.0.2.1 dev client2 subflow
for host in client server; do
    ip -n $host mptcp limits set subflow 2 add_addr_accepted 2
done
ip netns exec server two-hosts serve &
sleep 0.1
ip netns exec client two-hosts send 10.0.1.2 2000000
wait
