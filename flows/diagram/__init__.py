"""A flow as a picture: boxes for steps and arrows for what leads to what, drawn by the server as SVG."""

from flows.diagram.svg import NOT_REACHED, render_diagram
from flows.diagram.text import make_step_anchor

__all__ = ["NOT_REACHED", "make_step_anchor", "render_diagram"]
