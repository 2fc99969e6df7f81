# SPDX-License-Identifier: GPL-2.0-only
"""Validation: real kernels in ns-3 against ns-3 with NSC, ns-3's own TCP, and other kernels.

| module | duty |
| --- | --- |
| data | the scenarios and reference figures that the package carries |
| network | what links and queues do to packets, by arithmetic |
| rules | what a kernel's rules make of a scenario, by arithmetic |
| evidence | a run or a reference, loaded from its files |
| checks | what has to hold, class by class |
| prose | what differs between two runs, in words with numbers |
| suite | which runs there are; runs them |
| figures, report | for the eye |
| cli | the command `ns3-qemu validate` |

The method is described in validation/README.md.
"""
