"""Where boxes and lines of a layered drawing stand: from left to right, few crossings, the same for the same graph.

The method is Sugiyama's: nodes go into layers by their longest way from the left, edges over several layers pass
through waypoints, layers are ordered by the barycenters of their neighbours, and then each is moved as near to the
middle of its neighbours as the others let it.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 8
BOX_GAP = 26.0
WAYPOINT_GAP = 16.0

Edge = tuple[int, int]


@dataclass
class Spot:
    """A place in a layer: a node's, or a waypoint of the edges that leave `node` for a later layer."""

    node: int
    layer: int
    height: float
    y: float = 0.0
    before: list["Spot"] = field(default_factory=list)
    after: list["Spot"] = field(default_factory=list)

    @property
    def is_waypoint(self) -> bool:
        return self.height == 0


@dataclass(frozen=True)
class Layout:
    """The spots of the nodes by their numbers, every spot, the edges that run backward, and the size of the whole.

    `y` of a spot is its middle; 0 is the upper edge of the highest box.
    """

    nodes: list[Spot]
    spots: list[Spot]
    back: list[Edge]
    layers: int
    height: float


def lay_out(heights: Sequence[float], edges: Iterable[Edge]) -> Layout:
    """Lay out nodes of these heights; edges are pairs of their numbers. Circles are cut open where they close."""
    known = sorted(set(edges))
    back = back_edges(len(heights), known)
    forward = [edge for edge in known if edge not in set(back)]
    depths = layer_numbers(len(heights), forward)
    nodes = [Spot(number, depths[number], height) for number, height in enumerate(heights)]
    spots = [*nodes, *_connect(nodes, forward)]
    layers = _by_layer(spots)
    _order(layers)
    _place(layers)
    top = min((spot.y - spot.height / 2 for spot in spots), default=0.0)
    for spot in spots:
        spot.y -= top
    return Layout(nodes, spots, back, len(layers), max((spot.y + spot.height / 2 for spot in spots), default=0.0))


def back_edges(count: int, edges: Sequence[Edge]) -> list[Edge]:
    """Edges that close a circle, walking from nodes that nothing leads to, and then from those left over."""
    targets = _grouped(edges)
    led_to = {target for _, target in edges}
    starts = sorted(range(count), key=lambda node: (node in led_to, node))
    found: list[Edge] = []
    done: set[int] = set()
    for start in starts:
        _walk(start, targets, done, found)
    return sorted(found)


def _walk(start: int, targets: Mapping[int, list[int]], done: set[int], found: list[Edge]) -> None:
    """Go depth first from `start`, noting edges that lead back onto the way one came."""
    if start in done:
        return
    way = {start}
    stack = [(start, iter(targets.get(start, [])))]
    while stack:
        node, rest = stack[-1]
        target = next(rest, None)
        if target is None:
            stack.pop()
            way.discard(node)
            done.add(node)
        elif target in way:
            found.append((node, target))
        elif target not in done:
            way.add(target)
            stack.append((target, iter(targets.get(target, []))))


def layer_numbers(count: int, edges: Sequence[Edge]) -> list[int]:
    """The length of the longest way to each node; `edges` have no circle."""
    depths = [0] * count
    open_edges = [0] * count
    for _, target in edges:
        open_edges[target] += 1
    targets = _grouped(edges)
    ready = [node for node in range(count) if not open_edges[node]]
    for node in ready:
        for target in targets.get(node, []):
            depths[target] = max(depths[target], depths[node] + 1)
            open_edges[target] -= 1
            if not open_edges[target]:
                ready.append(target)
    return depths


def _grouped(edges: Iterable[Edge]) -> dict[int, list[int]]:
    targets: dict[int, list[int]] = {}
    for source, target in edges:
        targets.setdefault(source, []).append(target)
    return targets


def _connect(nodes: list[Spot], edges: Sequence[Edge]) -> list[Spot]:
    """Link the spots of each edge; edges of one source share waypoints, so that their number stays small."""
    waypoints: dict[tuple[int, int], Spot] = {}
    for source, target in edges:
        spot = nodes[source]
        for layer in range(nodes[source].layer + 1, nodes[target].layer):
            following = waypoints.get((source, layer))
            if following is None:
                following = waypoints[source, layer] = Spot(source, layer, 0)
                _link(spot, following)
            spot = following
        _link(spot, nodes[target])
    return list(waypoints.values())


def _link(one: Spot, other: Spot) -> None:
    one.after.append(other)
    other.before.append(one)


def _by_layer(spots: list[Spot]) -> list[list[Spot]]:
    layers: list[list[Spot]] = [[] for _ in range(1 + max((spot.layer for spot in spots), default=-1))]
    for spot in spots:
        layers[spot.layer].append(spot)
    return layers


def _order(layers: list[list[Spot]]) -> None:
    """Sort each layer by the barycenters of its neighbours, to and fro, and keep the order with fewest crossings."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        forward = sweep % 2 == 0
        for layer in layers[1:] if forward else layers[-2::-1]:
            _sort(layer, layers[layer[0].layer + (-1 if forward else 1)], forward)
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _sort(layer: list[Spot], fixed: list[Spot], forward: bool) -> None:
    places = {id(spot): float(place) for place, spot in enumerate(fixed)}
    own = {id(spot): float(place) for place, spot in enumerate(layer)}

    def barycenter(spot: Spot) -> float:
        neighbours = spot.before if forward else spot.after
        return _mean([places[id(one)] for one in neighbours]) if neighbours else own[id(spot)]

    layer.sort(key=barycenter)


def _crossings(layers: list[list[Spot]]) -> int:
    """How often lines between neighbouring layers cross: as often as their ends stand the other way round."""
    total = 0
    for layer, following in pairwise(layers):
        places = {id(spot): place for place, spot in enumerate(following)}
        seen: list[int] = []
        for spot in layer:
            ends = sorted(places[id(one)] for one in spot.after)
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _place(layers: list[list[Spot]]) -> None:
    for layer in layers:
        _settle(layer, [0.0] * len(layer))
    for _ in range(SWEEPS):
        for layer in layers[1:]:
            _settle(layer, [_mean([one.y for one in spot.before], spot.y) for spot in layer])
        for layer in layers[-2::-1]:
            _settle(layer, [_mean([one.y for one in spot.after], spot.y) for spot in layer])


def _settle(layer: list[Spot], wanted: list[float]) -> None:
    """Move the spots as near to where they want to be, by least squares, as their order and gaps allow."""
    offsets = [0.0]
    for upper, lower in pairwise(layer):
        gap = WAYPOINT_GAP if upper.is_waypoint and lower.is_waypoint else BOX_GAP
        offsets.append(offsets[-1] + (upper.height + lower.height) / 2 + gap)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            earlier = blocks.pop()
            total, count = total + earlier[0], count + earlier[1]
        blocks.append((total, count))
    levels = [total / count for total, count in blocks for _ in range(count)]
    for spot, level, offset in zip(layer, levels, offsets, strict=True):
        spot.y = level + offset


def _mean(values: Sequence[float], otherwise: float = 0.0) -> float:
    return sum(values) / len(values) if values else otherwise
