"""The layout of a layered drawing: positions of boxes and lines.

After Sugiyama, Tagawa and Toda (1981): boxes are put in layers below what they read, long lines get a bend in every
layer they pass, the order within layers is improved by barycentres, and the coordinates are those that keep lines
straightest (least squares, by pooling adjacent violators) without boxes overlapping.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import fmean

import networkx as nx

type Point = tuple[float, float]
type _Node = tuple[str, ...]  # (name,) of a box, (producer, consumer, layer) of a bend
type _Layers = list[list[_Node]]
type _Neighbours = dict[_Node, list[_Node]]

_GAP = 28.0
"""Between boxes side by side, in the unit of the boxes' sizes."""
_BEND = 14.0
"""The width of a line that passes a layer."""
_FAN = 22.0
"""The greatest distance between the ends of lines at one box."""
_SWEEPS = 12
_MOST_BENDS = 100
"""The most layers that a line passes with a bend in each; longer ones are straight, for they would have too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Positions in a drawing; (0, 0) is the upper left corner.

    Attributes
    ----------
    centres : mapping of str to point
        The middle of each box.
    routes : mapping of (str, str) to points
        The points of each line, from the lower edge of the producer's box to the upper edge of the consumer's.
    width, height : float
        Of the whole drawing.
    """

    centres: Mapping[str, Point]
    routes: Mapping[tuple[str, str], Sequence[Point]]
    width: float
    height: float


def layered(
    sizes: Mapping[str, tuple[float, float]],
    edges: Sequence[tuple[str, str]],
    *,
    between_layers: float,
) -> Layout:
    """Return the layout of boxes of these ``sizes`` (width, height), producers above their consumers.

    Parameters
    ----------
    sizes : mapping of str to (float, float)
        In topological order.
    edges : sequence of (producer, consumer)
        Each pair once.
    between_layers : float
        Free height between layers.
    """
    if not sizes:
        return Layout(centres={}, routes={}, width=0.0, height=0.0)
    ranks = _ranks(sizes, edges)
    layers, chains = _with_bends(ranks, edges)
    above, below = _neighbours(chains.values(), ranks)
    layers = _ordered(layers, above, below)
    widths = {
        node: sizes[node[0]][0] if len(node) == 1 else _BEND for row in layers for node in row
    }
    xs = _columns(layers, above, below, widths)
    heights = [max((sizes[n[0]][1] for n in row if len(n) == 1), default=0.0) for row in layers]
    tops = list(accumulate((height + between_layers for height in heights[:-1]), initial=0.0))
    bands = {n: (tops[i], tops[i] + heights[i]) for i, row in enumerate(layers) for n in row}
    centres = {name: (xs[name,], fmean(bands[name,])) for name in sizes}
    routes = {
        (producer, consumer): [
            _edge_of(centres[producer], sizes[producer], 0.5),
            # Straight down past the boxes of a layer: lines turn between layers only.
            *((xs[bend], y) for bend in bends for y in bands[bend]),
            _edge_of(centres[consumer], sizes[consumer], -0.5),
        ]
        for (producer, consumer), (_, *bends, _) in chains.items()
    }
    return Layout(
        centres=centres,
        routes=_fanned(routes, sizes),
        width=max(xs[n] + widths[n] / 2 for n in xs),
        height=tops[-1] + heights[-1],
    )


def _edge_of(centre: Point, size: tuple[float, float], side: float) -> Point:
    return centre[0], centre[1] + side * size[1]


def _ranks(names: Mapping[str, object], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return each box's layer: below all it reads, and sources right above their first readers."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from(edges)
    ranks = {n: i for i, row in enumerate(nx.topological_generations(graph)) for n in row}
    for name in names:
        if not graph.in_degree(name) and graph.out_degree(name):
            ranks[name] = min(ranks[reader] for reader in graph.successors(name)) - 1
    return ranks


def _with_bends(
    ranks: Mapping[str, int], edges: Sequence[tuple[str, str]]
) -> tuple[_Layers, dict[tuple[str, str], list[_Node]]]:
    """Return the layers with a bend wherever a line passes, and each line as a chain of neighbours."""
    layers: _Layers = [[] for _ in range(1 + max(ranks.values()))]
    for name, rank in ranks.items():
        layers[rank].append((name,))
    chains: dict[tuple[str, str], list[_Node]] = {}
    for producer, consumer in edges:
        passed = range(ranks[producer] + 1, ranks[consumer])
        if len(passed) > _MOST_BENDS:
            passed = range(0)
        bends: list[_Node] = [(producer, consumer, str(rank)) for rank in passed]
        for rank, bend in zip(passed, bends, strict=True):
            layers[rank].append(bend)
        chains[producer, consumer] = [(producer,), *bends, (consumer,)]
    return layers, chains


def _neighbours(
    chains: Iterable[Sequence[_Node]], ranks: Mapping[str, int]
) -> tuple[_Neighbours, _Neighbours]:
    """Return the nodes that each node is joined with in the layer above, and in the layer below."""
    above: _Neighbours = defaultdict(list)
    below: _Neighbours = defaultdict(list)
    for chain in chains:
        if len(chain) == 2 and ranks[chain[1][0]] > ranks[chain[0][0]] + 1:
            # A straight line, which has nothing in the layers between.
            continue
        for upper, lower in pairwise(chain):
            below[upper].append(lower)
            above[lower].append(upper)
    return above, below


def _ordered(layers: _Layers, above: _Neighbours, below: _Neighbours) -> _Layers:
    """Return the layers in the order with the fewest crossings that the sweeps find."""
    best, fewest = layers, _crossings(layers, below)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        layers = [list(row) for row in layers]
        rows = layers if down else layers[::-1]
        for fixed, row in pairwise(rows):
            _sort(row, fixed, above if down else below)
        crossings = _crossings(layers, below)
        if crossings < fewest:
            best, fewest = layers, crossings
    return best


def _sort(row: list[_Node], fixed: list[_Node], neighbours: _Neighbours) -> None:
    """Sort ``row`` by the mean position of its neighbours in ``fixed``; a box without any stays about where it is."""
    position = {node: i / max(len(fixed), 1) for i, node in enumerate(fixed)}
    own = {node: i / max(len(row), 1) for i, node in enumerate(row)}
    means = {n: fmean([position[m] for m in neighbours[n]] or [own[n]]) for n in row}
    row.sort(key=means.__getitem__)


def _crossings(layers: _Layers, below: _Neighbours) -> int:
    """Return the number of pairs of lines that cross: inversions, row by row."""
    count = 0
    for upper, lower in pairwise(layers):
        position = {node: i for i, node in enumerate(lower)}
        seen: list[int] = []
        for node in upper:
            ends = sorted(position[n] for n in below[node])
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _columns(
    layers: _Layers, above: _Neighbours, below: _Neighbours, widths: Mapping[_Node, float]
) -> dict[_Node, float]:
    """Return the middle of every node, the leftmost box at 0."""
    xs: dict[_Node, float] = {}
    for row in layers:
        xs.update(_spread(row, dict.fromkeys(row, 0.0), widths))
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in layers if down else layers[::-1]:
            near = above if down else below
            # The last sweeps use both sides, so that a box ends up between its producers and its readers.
            both = sweep >= _SWEEPS - 2
            joined = {
                n: [*near[n], *(below[n] if down else above[n])] if both else near[n] for n in row
            }
            wished = {n: fmean([xs[m] for m in joined[n]] or [xs[n]]) for n in row}
            xs.update(_spread(row, wished, widths))
    left = min(xs[n] - widths[n] / 2 for n in xs)
    return {node: x - left for node, x in xs.items()}


def _spread(
    row: Sequence[_Node], wished: Mapping[_Node, float], widths: Mapping[_Node, float]
) -> dict[_Node, float]:
    """Return the coordinates nearest to ``wished``, in this order and without overlap."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (widths[left] + widths[right]) / 2 + _GAP)
    # Blocks of neighbours that touch: their number, and the mean of the starts they wish for.
    blocks: list[tuple[int, float]] = []
    for node, offset in zip(row, offsets, strict=True):
        count, start = 1, wished[node] - offset
        while blocks and blocks[-1][1] > start:
            others, earlier = blocks.pop()
            start = (others * earlier + count * start) / (others + count)
            count += others
        blocks.append((count, start))
    starts = (start for count, start in blocks for _ in range(count))
    return {n: start + offset for n, start, offset in zip(row, starts, offsets, strict=True)}


def _fanned(
    routes: Mapping[tuple[str, str], Sequence[Point]], sizes: Mapping[str, tuple[float, float]]
) -> dict[tuple[str, str], list[Point]]:
    """Return the routes with their ends spread along the boxes, in the order of where they come from."""
    fanned = {edge: list(points) for edge, points in routes.items()}
    for end, towards in ((0, 1), (-1, -2)):
        meeting: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for edge in routes:
            meeting[edge[end]].append(edge)
        for name, edges in meeting.items():
            edges.sort(key=lambda edge: routes[edge][towards][0])
            apart = min(_FAN, 0.8 * sizes[name][0] / len(edges))
            for i, edge in enumerate(edges):
                x, y = routes[edge][end]
                fanned[edge][end] = (x + (i - (len(edges) - 1) / 2) * apart, y)
    return fanned
