"""The drawing as SVG, and the same in words.

No element has a style of its own: classes only, which `static/drawing.css` gives their colours, since the console's
Content-Security-Policy lets no inline style through. Whatever comes from the flow is escaped.
"""

from collections.abc import Iterable, Mapping

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from flows.drawing.graph import Graph, Node, graph_of
from flows.drawing.layout import Edge, Layout, Spot, lay_out
from flows.drawing.reading import DrawnFlow, DrawnStep, read
from flows.drawing.text import anchor, clipped, safe, shortened

NOT_REACHED = "not reached"
STATES = {
    "queued": "new",
    "waiting for retry": "new",
    "running": "pending",
    "succeeded": "success",
    "failed": "fatal",
    "cancelled": "cancelled",
    "error": "error",
    NOT_REACHED: "unreached",
}
SYMBOLS = {"new": "…", "pending": "▶", "success": "✓", "fatal": "✕", "cancelled": "⊘", "error": "!", "unreached": "–"}

WIDTH = 236.0
COLUMN = WIDTH + 76.0
MARGIN = 10.0
EVENT_HEIGHT = 34.0
STEP_HEIGHT = 74.0
STATE_HEIGHT = 22.0
ID_COLUMNS = 24
NAME_COLUMNS = 27
BACK_GAP = 16.0


def draw(document: object, states: Mapping[str, str] | None = None, *, links: bool = True) -> SafeString:
    """A flow document as an SVG with the same told in a list below; a document of any shape is drawn as far as it goes.

    `states` are the states of an execution's steps by step id: an action's, `error`, or `NOT_REACHED`, which is also
    what a step has that is not among them; None draws the flow alone. With `links`, each step leads to `#` + `anchor`
    of its id; otherwise the picture is one image.
    """
    flow = read(document)
    shown = None if states is None else {step.id: states.get(step.id, NOT_REACHED) for step in flow.steps}
    return format_html(
        '<figure class="flow-drawing"><div class="flow-canvas">{}</div>{}</figure>',
        _svg(flow, shown, links),
        _in_words(flow, shown, links),
    )


States = Mapping[str, str] | None


def _svg(flow: DrawnFlow, states: States, links: bool) -> SafeString:
    graph = graph_of(flow)
    layout = lay_out([_height(node, states) for node in graph.nodes], graph.edges)
    width = max(layout.layers * COLUMN - (COLUMN - WIDTH), WIDTH) + 2 * MARGIN
    height = max(layout.height, EVENT_HEIGHT) + 2 * MARGIN + len(layout.back) * BACK_GAP
    spots = zip(graph.nodes, layout.nodes, strict=True)
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" class="flow-svg" role="{}" aria-label="{}" width="{}" height="{}"'
        ' viewBox="0 0 {} {}">{}{}{}</svg>',
        # Whoever reads an image to people does not look for links in it.
        "group" if links else "img",
        safe(_label(flow)),
        *(_number(size) for size in (width, height) * 2),
        _lines(graph, layout),
        _joined(_box(node, spot, states, links) for node, spot in spots),
        _joined(_mode(node.step, spot) for node, spot in zip(graph.nodes, layout.nodes, strict=True) if node.step),
    )


def _label(flow: DrawnFlow) -> str:
    count = len(flow.steps) + flow.left_out
    steps = {0: "no steps", 1: "one step"}.get(count, f"{count} steps")
    return f"Flow {flow.name}: {steps}" if flow.name else f"A flow of {steps}"


def _height(node: Node, states: States) -> float:
    if node.kind != "step":
        return EVENT_HEIGHT
    return STEP_HEIGHT if states is None else STEP_HEIGHT + STATE_HEIGHT


def _left(spot: Spot) -> float:
    return MARGIN + spot.layer * COLUMN


def _middle(spot: Spot) -> float:
    return MARGIN + spot.y


# Lines


def _lines(graph: Graph, layout: Layout) -> SafeString:
    """Every line once, also where several edges of one node share it."""
    parts = [_line(one, other) for one in layout.spots for other in one.after]
    bottom = MARGIN + max(layout.height, EVENT_HEIGHT)
    parts += [_back_line(layout, edge, bottom, place) for place, edge in enumerate(layout.back, start=1)]
    return format_html('<g class="flow-lines">{}</g>', _joined(parts))


def _line(one: Spot, other: Spot) -> SafeString:
    """From the right side of one spot to the left side of the next; through a waypoint's whole column."""
    x, y, to_x, to_y = _left(one) + WIDTH, _middle(one), _left(other), _middle(other)
    half = (x + to_x) / 2
    end = f"H{_number(to_x + WIDTH)}" if other.is_waypoint else ""
    way = f"M{_point(x, y)} C{_point(half, y)} {_point(half, to_y)} {_point(to_x, to_y)}{end}"
    head = mark_safe("") if other.is_waypoint else _arrowhead(to_x, to_y)
    return format_html('<path class="flow-line" d="{}"/>{}', way, head)


def _back_line(layout: Layout, edge: Edge, bottom: float, place: int) -> SafeString:
    """An edge against the direction of reading runs below all boxes, and up and down between the columns."""
    source, target = (layout.nodes[number] for number in edge)
    right, left = _left(source) + WIDTH, _left(target)
    y, to_y, below = _middle(source), _middle(target), bottom + place * BACK_GAP - BACK_GAP / 2
    out, back = right + 6 + 3 * (place % 4), max(left - 30 - 3 * (place % 4), MARGIN / 2)
    way = f"M{_point(right, y)} H{_number(out)} V{_number(below)} H{_number(back)} V{_number(to_y)} H{_number(left)}"
    return format_html('<path class="flow-line flow-line-back" d="{}"/>{}', way, _arrowhead(left, to_y))


def _arrowhead(x: float, y: float) -> SafeString:
    corners = f"M{_point(x, y)} L{_point(x - 8, y - 4)} V{_number(y + 4)} Z"
    return format_html('<path class="flow-arrowhead" d="{}"/>', corners)


def _mode(step: DrawnStep, spot: Spot) -> SafeString:
    """A mark before a step that waits for several: whether for any of them or for all."""
    if len(step.depends_on) < 2:
        return mark_safe("")
    told = "when all of them have finished" if step.mode == "all" else "when any of them has finished"
    return format_html(
        '<g class="flow-mode flow-mode-{}"><title>{}</title>'
        '<rect x="{}" y="{}" width="30" height="18" rx="9"/><text x="{}" y="{}">{}</text></g>',
        step.mode,
        told,
        _number(_left(spot) - 40),
        _number(_middle(spot) - 9),
        _number(_left(spot) - 25),
        _number(_middle(spot) + 4),
        step.mode,
    )


# Boxes


def _box(node: Node, spot: Spot, states: States, links: bool) -> SafeString:
    if node.step:
        return _step_box(node.step, spot, states, links)
    told = f"the event {node.text}" if node.kind == "event" else f"there is no step {node.text!r}"
    return format_html(
        '<g class="flow-{}"><title>{}</title>{}{}</g>',
        node.kind,
        safe(shortened(told)),
        _rect(spot, rounded=EVENT_HEIGHT / 2),
        _words("flow-name", spot, 16, 4, clipped(node.text, NAME_COLUMNS)),
    )


def _step_box(step: DrawnStep, spot: Spot, states: States, links: bool) -> SafeString:
    top = -spot.height / 2
    state = states[step.id] if states is not None else ""
    inside = _joined(
        [
            format_html("<title>{}</title>", safe(_sentence(step, state))),
            _rect(spot, rounded=6),
            _words("flow-id", spot, 14, top + 22, clipped(step.id, ID_COLUMNS - (4 if step.criteria else 0))),
            _words("flow-name", spot, 14, top + 43, clipped(f"on {step.event or '?'}", NAME_COLUMNS + 1)),
            _words("flow-name", spot, 14, top + 62, clipped(f"do {step.command}", NAME_COLUMNS + 1)),
            _criteria(step, spot) if step.criteria else mark_safe(""),
            _state(state, spot) if state else mark_safe(""),
        ]
    )
    box = format_html('<g class="{}">{}</g>', _step_class(state), inside)
    if not links:
        return box
    return format_html(
        '<a href="#{}" class="flow-link" aria-label="{}">{}</a>', anchor(step.id), safe(_sentence(step, state)), box
    )


def _step_class(state: str) -> str:
    return f"flow-step flow-step-{STATES.get(state, 'other')}" if state else "flow-step"


def _criteria(step: DrawnStep, spot: Spot) -> SafeString:
    right, top = _left(spot) + WIDTH - 10, _middle(spot) - spot.height / 2 + 9
    return format_html(
        '<g class="flow-criteria"><title>{}</title><rect x="{}" y="{}" width="26" height="18" rx="9"/>'
        '<text x="{}" y="{}">if</text></g>',
        safe(f"only if {shortened(step.criteria)}"),
        *(_number(value) for value in (right - 26, top, right - 13, top + 13)),
    )


def _state(state: str, spot: Spot) -> SafeString:
    words = f"{SYMBOLS.get(STATES.get(state, ''), '?')} {clipped(state, NAME_COLUMNS)}"
    return _words("flow-state", spot, 14, spot.height / 2 - 11, words)


def _rect(spot: Spot, rounded: float) -> SafeString:
    place = (_left(spot), _middle(spot) - spot.height / 2, WIDTH, spot.height, rounded)
    return format_html(
        '<rect class="flow-box" x="{}" y="{}" width="{}" height="{}" rx="{}"/>', *(_number(value) for value in place)
    )


def _words(css_class: str, spot: Spot, right: float, down: float, words: str) -> SafeString:
    """A line of text, `right` of its box's left side and `down` from its middle."""
    x, y = _number(_left(spot) + right), _number(_middle(spot) + down)
    return format_html('<text class="{}" x="{}" y="{}">{}</text>', css_class, x, y, safe(words))


# The same in words


def _in_words(flow: DrawnFlow, states: States, links: bool) -> SafeString:
    items = format_html_join(
        "", "<li>{}{}</li>", ((_name(step, links), safe(_rest(step, _state_of(step, states)))) for step in flow.steps)
    )
    more = f"{flow.left_out} more steps are not drawn." if flow.left_out else ""
    return format_html(
        '<figcaption><details class="flow-words"><summary>In words</summary>{}{}</details></figcaption>',
        format_html("<ol>{}</ol>", items) if items else mark_safe("<p>The flow has no steps.</p>"),
        format_html("<p>{}</p>", more) if more else mark_safe(""),
    )


def _state_of(step: DrawnStep, states: States) -> str:
    return "" if states is None else states[step.id]


def _name(step: DrawnStep, links: bool) -> SafeString:
    name = format_html("<b>{}</b>", safe(step.id))
    return format_html('<a href="#{}">{}</a>', anchor(step.id), name) if links else name


def _sentence(step: DrawnStep, state: str) -> str:
    return f"Step {shortened(step.id)}{_rest(step, state)}"


def _rest(step: DrawnStep, state: str) -> str:
    """What a sentence about a step says behind its name."""
    told = [f" waits for {step.event or 'no event'}"]
    if step.labels:
        told.append(f" of a pack with {shortened(step.labels)}")
    if step.depends_on:
        word = " and " if step.mode == "all" else " or "
        told.append(f" when {shortened(word.join(step.depends_on))} {_have(step)} finished")
    if step.criteria:
        told.append(f", only if {shortened(step.criteria)}")
    told.append(f", then gives {step.command}.")
    return "".join(told) + (f" Status: {state}." if state else "")


def _have(step: DrawnStep) -> str:
    return "have" if step.mode == "all" and len(step.depends_on) > 1 else "has"


def _joined(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))


def _point(x: float, y: float) -> str:
    return f"{_number(x)},{_number(y)}"


def _number(value: float) -> str:
    """Short, and without a minus before nought: one digit behind the point at most."""
    return f"{round(value, 1) + 0:.1f}".removesuffix(".0")
