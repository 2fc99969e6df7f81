# SPDX-License-Identifier: GPL-2.0-only
"""A picture of an experiment's topology."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
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
    places = _places(graph)
    size = min(_LARGEST, 5.5 + len(graph) ** 0.5 * 1.8)
    figure = Figure(figsize=(size, size * 0.55), layout="constrained")
    axes = figure.subplots()
    for kind, names, shape in (
        (_HOST, list(experiment.hosts), "o"),
        (_ROUTER, list(experiment.routers), "s"),
    ):
        nx.draw_networkx_nodes(
            graph, places, names, node_size=900, node_color=kind, node_shape=shape, ax=axes
        )
    nx.draw_networkx_edges(graph, places, ax=axes, edge_color="#666666")
    nx.draw_networkx_edge_labels(graph, places, edges, font_size=7, rotate=False, ax=axes)
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
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )
    for name, link in experiment.links.items():
        if len(link.between) != 2:
            x, y = places[f"link {name}"]
            box = {"boxstyle": "round", "facecolor": _SEGMENT}
            axes.text(x, y, _label(name, link), ha="center", va="center", fontsize=7, bbox=box)
    axes.set_title(experiment.title or file.stem)
    axes.margins(0.2)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()
    figure.savefig(file, dpi=150, bbox_inches="tight")


def _places(graph: nx.Graph) -> dict[str, np.ndarray]:
    """Return where each node is drawn, the same each time: wide rather than high."""
    places = nx.spring_layout(graph, seed=1, iterations=1000, k=2.5 / len(graph) ** 0.5)
    points = np.array([places[node] for node in graph])
    points -= points.mean(axis=0)
    # Along the axis on which they are the furthest apart, the first node at the left.
    _, _, axes = np.linalg.svd(points)
    points = points @ axes.T
    points *= np.where(points[0] > 0, -1, 1)
    return dict(zip(graph, points, strict=True))


def _label(name: str, link: Link) -> str:
    words = [rate_text(link.rate)] if link.rate is not None else [link.type]
    words += [time_text(link.delay)] if link.delay is not None else []
    words += [f"{link.queue[:-1]} packets"] if link.queue and link.queue.endswith("p") else []
    words += [link.queue_disc.type] if link.queue_disc is not None else []
    return f"{name}\n{', '.join(words)}"
