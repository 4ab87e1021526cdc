"""A flow's steps and trigger events as nodes and edges."""

from dataclasses import dataclass, field
from typing import Literal

from flows.definition import FlowOutline, StepOutline
from flows.diagram.layout import Edge


@dataclass(frozen=True)
class Node:
    """A box: a step, an event that starts the flow, or the id of a missing step."""

    kind: Literal["step", "event", "missing"]
    label: str
    step: StepOutline | None = None


@dataclass
class Graph:
    """Nodes by their numbers, and edges between the numbers."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)

    def add_node(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1


def build_graph(flow: FlowOutline) -> Graph:
    """Build the graph of a flow. Steps come first, in order; events and missing steps once each, at their first use."""
    graph = Graph([Node("step", step.id, step) for step in flow.steps])
    node_numbers: dict[str, int] = {}
    for number, step in enumerate(flow.steps):
        node_numbers.setdefault(step.id, number)
    event_numbers: dict[str, int] = {}
    for number, step in enumerate(flow.steps):
        if step.is_trigger and step.event:
            event_name = step.event.full_name
            if event_name not in event_numbers:
                event_numbers[event_name] = graph.add_node(Node("event", event_name))
            graph.edges.append((event_numbers[event_name], number))
        for dependency in step.depends_on:
            if dependency not in node_numbers:
                node_numbers[dependency] = graph.add_node(Node("missing", dependency))
            graph.edges.append((node_numbers[dependency], number))
    return graph
