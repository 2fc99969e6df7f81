# SPDX-License-Identifier: GPL-2.0-only
"""A picture of an experiment's topology."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
from matplotlib.figure import Figure

from .addresses import plan
from .model import Experiment, Link
from .quantities import rate_text, time_text

_HOST, _ROUTER, _SEGMENT = "#4477aa", "#228833", "#bbbbbb"
_LARGEST = 14.0  # inches


def write_topology(experiment: Experiment, file: Path) -> None:
    """Draw hosts, routers and links, with rates, delays and addresses; the suffix says the form."""
    addresses = plan(experiment)
    graph = nx.Graph()
    for name in experiment.all_nodes:
        graph.add_node(name)
    edges: dict[tuple[str, str], str] = {}
    for name, link in experiment.links.items():
        if len(link.between) == 2:
            # Two links between the same nodes have one line, and a label each.
            ends = (link.between[0], link.between[1])
            key = ends if ends in edges or ends[::-1] not in edges else ends[::-1]
            edges[key] = "\n".join(filter(None, (edges.get(key), _label(name, link))))
            graph.add_edge(*key)
            continue
        segment = f"link {name}"
        graph.add_node(segment)
        for node in link.between:
            graph.add_edge(segment, node)
    # The same picture each time.
    places = nx.spring_layout(graph, seed=1, iterations=300)
    size = min(_LARGEST, 4.5 + len(graph) ** 0.5 * 1.5)
    figure = Figure(figsize=(size, size * 0.7), layout="constrained")
    axes = figure.subplots()
    for kind, names, shape in (
        (_HOST, list(experiment.hosts), "o"),
        (_ROUTER, list(experiment.routers), "s"),
    ):
        nx.draw_networkx_nodes(
            graph, places, names, node_size=900, node_color=kind, node_shape=shape, ax=axes
        )
    nx.draw_networkx_edges(graph, places, ax=axes, edge_color="#666666")
    nx.draw_networkx_edge_labels(graph, places, edges, font_size=7, ax=axes)
    for name in experiment.all_nodes:
        x, y = places[name]
        axes.text(x, y, name, ha="center", va="center", color="white", fontsize=8)
        lines = [f"{each.name} {each.with_prefix}" for each in addresses.of(name)]
        axes.annotate(
            "\n".join(lines),
            (x, y),
            (0, -20),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=6,
        )
    for name, link in experiment.links.items():
        if len(link.between) != 2:
            x, y = places[f"link {name}"]
            box = {"boxstyle": "round", "facecolor": _SEGMENT}
            axes.text(x, y, _label(name, link), ha="center", va="center", fontsize=7, bbox=box)
    axes.set_title(experiment.title or file.stem)
    axes.margins(0.2)
    axes.set_axis_off()
    figure.savefig(file, dpi=150)


def _label(name: str, link: Link) -> str:
    words = [rate_text(link.rate)] if link.rate is not None else [link.type]
    words += [time_text(link.delay)] if link.delay is not None else []
    words += [f"{link.queue[:-1]} packets"] if link.queue and link.queue.endswith("p") else []
    words += [link.queue_disc.type] if link.queue_disc is not None else []
    return f"{name}\n{', '.join(words)}"
