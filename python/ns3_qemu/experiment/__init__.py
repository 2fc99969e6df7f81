# SPDX-License-Identifier: GPL-2.0-only
"""Experiments: hosts, routers, links, events and programs as one TOML file, run by one command."""
