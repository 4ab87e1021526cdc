"""Diagrams of flows as SVG: boxes for steps, arrows for events and dependencies."""

from flows.diagram.svg import NOT_REACHED, render_diagram
from flows.diagram.text import make_step_anchor

__all__ = ["NOT_REACHED", "make_step_anchor", "render_diagram"]
