"""Layout of a layered diagram, from left to right with few crossings; deterministic.

The method is Sugiyama's: nodes are assigned to layers by their longest path from the left, edges over several layers
pass through waypoints, layers are ordered by the barycenters of their neighbors, and then each node is moved as near to
the middle of its neighbors as the others allow.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

MAX_SWEEPS = 8
BOX_GAP = 26.0
WAYPOINT_GAP = 16.0

Edge = tuple[int, int]


@dataclass
class Vertex:
    """A position in a layer: a node's, or a waypoint of the edges that leave `node` for a later layer."""

    node: int
    layer: int
    height: float
    y: float = 0.0
    predecessors: list["Vertex"] = field(default_factory=list)
    successors: list["Vertex"] = field(default_factory=list)

    @property
    def is_waypoint(self) -> bool:
        return self.height == 0


@dataclass(frozen=True)
class Layout:
    """The vertices of the nodes by number, all vertices, the back edges, and the total size.

    `y` of a vertex is its middle; 0 is the upper edge of the highest box.
    """

    nodes: list[Vertex]
    vertices: list[Vertex]
    back_edges: list[Edge]
    layer_count: int
    height: float


def compute_layout(heights: Sequence[float], edges: Iterable[Edge]) -> Layout:
    """Lay out nodes of these heights; edges are pairs of node numbers. Cycles are cut at their back edges."""
    unique_edges = sorted(set(edges))
    backward_edges = find_back_edges(len(heights), unique_edges)
    forward_edges = [edge for edge in unique_edges if edge not in set(backward_edges)]
    layer_indexes = assign_layers(len(heights), forward_edges)
    nodes = [Vertex(number, layer_indexes[number], height) for number, height in enumerate(heights)]
    vertices = [*nodes, *_insert_waypoints(nodes, forward_edges)]
    layers = _group_by_layer(vertices)
    _reduce_crossings(layers)
    _assign_coordinates(layers)
    top = min((vertex.y - vertex.height / 2 for vertex in vertices), default=0.0)
    for vertex in vertices:
        vertex.y -= top
    return Layout(
        nodes,
        vertices,
        backward_edges,
        len(layers),
        max((vertex.y + vertex.height / 2 for vertex in vertices), default=0.0),
    )


def find_back_edges(count: int, edges: Sequence[Edge]) -> list[Edge]:
    """Find edges that close a cycle, searching from nodes without incoming edges, and then from the remaining ones."""
    targets = _group_by_source(edges)
    reachable_nodes = {target for _, target in edges}
    start_order = sorted(range(count), key=lambda node: (node in reachable_nodes, node))
    result: list[Edge] = []
    visited: set[int] = set()
    for start in start_order:
        _collect_back_edges(start, targets, visited, result)
    return sorted(result)


def _collect_back_edges(
    start: int, targets: Mapping[int, list[int]], visited: set[int], back_edges: list[Edge]
) -> None:
    """Search depth first from `start`, collecting edges that lead back to the current path."""
    if start in visited:
        return
    path = {start}
    stack = [(start, iter(targets.get(start, [])))]
    while stack:
        node, remaining_targets = stack[-1]
        target = next(remaining_targets, None)
        if target is None:
            stack.pop()
            path.discard(node)
            visited.add(node)
        elif target in path:
            back_edges.append((node, target))
        elif target not in visited:
            path.add(target)
            stack.append((target, iter(targets.get(target, []))))


def assign_layers(count: int, edges: Sequence[Edge]) -> list[int]:
    """Return the length of the longest path to each node; `edges` contain no cycle."""
    depths = [0] * count
    unresolved_counts = [0] * count
    for _, target in edges:
        unresolved_counts[target] += 1
    targets = _group_by_source(edges)
    ready = [node for node in range(count) if not unresolved_counts[node]]
    for node in ready:
        for target in targets.get(node, []):
            depths[target] = max(depths[target], depths[node] + 1)
            unresolved_counts[target] -= 1
            if not unresolved_counts[target]:
                ready.append(target)
    return depths


def _group_by_source(edges: Iterable[Edge]) -> dict[int, list[int]]:
    targets: dict[int, list[int]] = {}
    for source, target in edges:
        targets.setdefault(source, []).append(target)
    return targets


def _insert_waypoints(nodes: list[Vertex], edges: Sequence[Edge]) -> list[Vertex]:
    """Link the vertices of each edge; edges of one source share waypoints, which keeps their number small."""
    waypoints: dict[tuple[int, int], Vertex] = {}
    for source, target in edges:
        vertex = nodes[source]
        for layer in range(nodes[source].layer + 1, nodes[target].layer):
            waypoint = waypoints.get((source, layer))
            if waypoint is None:
                waypoint = waypoints[source, layer] = Vertex(source, layer, 0)
                _link_vertices(vertex, waypoint)
            vertex = waypoint
        _link_vertices(vertex, nodes[target])
    return list(waypoints.values())


def _link_vertices(source: Vertex, target: Vertex) -> None:
    source.successors.append(target)
    target.predecessors.append(source)


def _group_by_layer(vertices: list[Vertex]) -> list[list[Vertex]]:
    layers: list[list[Vertex]] = [[] for _ in range(1 + max((vertex.layer for vertex in vertices), default=-1))]
    for vertex in vertices:
        layers[vertex.layer].append(vertex)
    return layers


def _reduce_crossings(layers: list[list[Vertex]]) -> None:
    """Sort each layer by the barycenters of its neighbors, in both directions, and keep the order with the fewest
    crossings.
    """
    best_order, fewest_crossings = [list(layer) for layer in layers], _count_crossings(layers)
    for sweep in range(MAX_SWEEPS):
        if not fewest_crossings:
            break
        is_forward = sweep % 2 == 0
        for layer in layers[1:] if is_forward else layers[-2::-1]:
            _sort_by_barycenter(layer, layers[layer[0].layer + (-1 if is_forward else 1)], is_forward)
        crossing_count = _count_crossings(layers)
        if crossing_count < fewest_crossings:
            best_order, fewest_crossings = [list(layer) for layer in layers], crossing_count
    layers[:] = best_order


def _sort_by_barycenter(layer: list[Vertex], fixed_layer: list[Vertex], is_forward: bool) -> None:
    fixed_indexes = {id(vertex): float(index) for index, vertex in enumerate(fixed_layer)}
    current_indexes = {id(vertex): float(index) for index, vertex in enumerate(layer)}

    def barycenter(vertex: Vertex) -> float:
        neighbors = vertex.predecessors if is_forward else vertex.successors
        return (
            _compute_mean([fixed_indexes[id(neighbor)] for neighbor in neighbors])
            if neighbors
            else current_indexes[id(vertex)]
        )

    layer.sort(key=barycenter)


def _count_crossings(layers: list[list[Vertex]]) -> int:
    """Count crossings of lines between neighboring layers: pairs of lines whose ends are in opposite order."""
    total = 0
    for layer, next_layer in pairwise(layers):
        indexes = {id(vertex): index for index, vertex in enumerate(next_layer)}
        previous_targets: list[int] = []
        for vertex in layer:
            targets = sorted(indexes[id(successor)] for successor in vertex.successors)
            total += sum(len(previous_targets) - bisect_right(previous_targets, target) for target in targets)
            for target in targets:
                insort(previous_targets, target)
    return total


def _assign_coordinates(layers: list[list[Vertex]]) -> None:
    for layer in layers:
        _place_layer(layer, [0.0] * len(layer))
    for _ in range(MAX_SWEEPS):
        for layer in layers[1:]:
            _place_layer(
                layer, [_compute_mean([neighbor.y for neighbor in vertex.predecessors], vertex.y) for vertex in layer]
            )
        for layer in layers[-2::-1]:
            _place_layer(
                layer, [_compute_mean([neighbor.y for neighbor in vertex.successors], vertex.y) for vertex in layer]
            )


def _place_layer(layer: list[Vertex], desired_positions: list[float]) -> None:
    """Move the vertices as near to their desired positions, by least squares, as their order and gaps allow."""
    offsets = [0.0]
    for upper, lower in pairwise(layer):
        gap = WAYPOINT_GAP if upper.is_waypoint and lower.is_waypoint else BOX_GAP
        offsets.append(offsets[-1] + (upper.height + lower.height) / 2 + gap)
    blocks: list[tuple[float, int]] = []
    for desired, offset in zip(desired_positions, offsets, strict=True):
        total, count = desired - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            previous_block = blocks.pop()
            total, count = total + previous_block[0], count + previous_block[1]
        blocks.append((total, count))
    positions = [total / count for total, count in blocks for _ in range(count)]
    for vertex, position, offset in zip(layer, positions, offsets, strict=True):
        vertex.y = position + offset


def _compute_mean(values: Sequence[float], default: float = 0.0) -> float:
    return sum(values) / len(values) if values else default
