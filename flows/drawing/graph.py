"""A flow's steps, and the events that begin it, as nodes and edges."""

from dataclasses import dataclass, field
from typing import Literal

from flows.drawing.layout import Edge
from flows.drawing.reading import DrawnFlow, DrawnStep


@dataclass(frozen=True)
class Node:
    """A box: a step, an event that begins the flow, or the id of a step that there is not."""

    kind: Literal["step", "event", "missing"]
    text: str
    step: DrawnStep | None = None


@dataclass
class Graph:
    """Nodes by their numbers, and edges between the numbers."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1


def graph_of(flow: DrawnFlow) -> Graph:
    """The graph of a flow. Steps come first, in their order; events and missing steps once each, where first named."""
    graph = Graph([Node("step", step.id, step) for step in flow.steps])
    by_id: dict[str, int] = {}
    for number, step in enumerate(flow.steps):
        by_id.setdefault(step.id, number)
    events: dict[str, int] = {}
    for number, step in enumerate(flow.steps):
        if step.is_trigger and step.event:
            if step.event not in events:
                events[step.event] = graph.add(Node("event", step.event))
            graph.edges.append((events[step.event], number))
        for named in step.depends_on:
            if named not in by_id:
                by_id[named] = graph.add(Node("missing", named))
            graph.edges.append((by_id[named], number))
    return graph
