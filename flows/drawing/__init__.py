"""A flow as a picture: boxes for steps and arrows for what leads to what, drawn by the server as SVG."""

from flows.drawing.markup import NOT_REACHED, draw
from flows.drawing.text import anchor

__all__ = ["NOT_REACHED", "anchor", "draw"]
