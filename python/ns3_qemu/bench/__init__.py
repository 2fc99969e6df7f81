# SPDX-License-Identifier: GPL-2.0-only
"""How quick it all is: `ns3-qemu bench`.

| module | duty |
| --- | --- |
| figures | a figure: its samples, their statistics, its goal |
| loads | what guests do while they are measured |
| processes | CPU time and memory of processes |
| turns | what a turn costs, of one machine without ns-3 |
| transfer | TCP between two machines in ns-3 |
| machines | an idle machine, its start, its memory |
| scenarios | whole runs, with machines and with ns-3's own TCP |
| coupling | the same guest driven by the simulation and alone |
| network, scaling | many machines in ns-3 |
| cases | runs each measurement in a process of its own |
| suite | which measurements there are, and which figures they give |
| host | what it was measured on |
| report, plot | table, JSON, figure |
| cli | the command |

A case is a function of a measuring module that takes keyword arguments and returns what JSON can
say. `python -m ns3_qemu.bench MODULE.FUNCTION '{"argument": value}'` runs one and prints that.
"""
