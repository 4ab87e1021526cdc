"""Rendering of diagrams as SVG, with a description in words.

Elements have classes and no inline styles; `static/diagram.css` defines the colors, since the console's
Content-Security-Policy forbids inline styles. All text from the flow is escaped.
"""

from collections.abc import Iterable, Mapping

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from flows.definition import FlowOutline, PartOutline, StepOutline, read_outline
from flows.diagram.graph import Graph, Node, build_graph
from flows.diagram.layout import Edge, Layout, Vertex, compute_layout
from flows.diagram.text import clip_text, escape_xml, make_step_anchor, truncate_tooltip

MAX_STEPS = 100
NOT_REACHED = "not reached"
STATE_CLASSES = {
    "queued": "new",
    "waiting for retry": "new",
    "running": "pending",
    "succeeded": "success",
    "failed": "fatal",
    "cancelled": "cancelled",
    "error": "error",
    NOT_REACHED: "unreached",
}
STATE_SYMBOLS = {
    "new": "…",
    "pending": "▶",
    "success": "✓",
    "fatal": "✕",
    "cancelled": "⊘",
    "error": "!",
    "unreached": "–",
}

BOX_WIDTH = 236.0
COLUMN_WIDTH = BOX_WIDTH + 76.0
MARGIN = 10.0
EVENT_HEIGHT = 34.0
STEP_HEIGHT = 74.0
STATE_HEIGHT = 22.0
MAX_ID_COLUMNS = 24
MAX_NAME_COLUMNS = 27
BACK_EDGE_GAP = 16.0


def render_diagram(document: object, states: Mapping[str, str] | None = None, *, links: bool = True) -> SafeString:
    """Render a flow document of any shape as an SVG, with a description in words below.

    `states` maps step ids to the states of an execution: an action's state, `error`, or `NOT_REACHED`, the default;
    None draws only the flow. With `links`, each step links to its anchor on the page; otherwise the picture is one
    image.
    """
    flow = read_outline(document).limit_steps(MAX_STEPS)
    step_states = None if states is None else {step.id: states.get(step.id, NOT_REACHED) for step in flow.steps}
    return format_html(
        '<figure class="flow-diagram"><div class="flow-canvas">{}</div>{}</figure>',
        _render_svg(flow, step_states, links),
        _render_description(flow, step_states, links),
    )


StepStates = Mapping[str, str] | None


def _render_svg(flow: FlowOutline, states: StepStates, links: bool) -> SafeString:
    graph = build_graph(flow)
    layout = compute_layout([_get_height(node, states) for node in graph.nodes], graph.edges)
    width = max(layout.layer_count * COLUMN_WIDTH - (COLUMN_WIDTH - BOX_WIDTH), BOX_WIDTH) + 2 * MARGIN
    height = max(layout.height, EVENT_HEIGHT) + 2 * MARGIN + len(layout.back_edges) * BACK_EDGE_GAP
    positioned_nodes = zip(graph.nodes, layout.nodes, strict=True)
    return format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" class="flow-svg" role="{}" aria-label="{}" width="{}" height="{}"'
        ' viewBox="0 0 {} {}">{}{}{}</svg>',
        # Screen readers do not search an image for links.
        "group" if links else "img",
        escape_xml(_format_label(flow)),
        *(_format_number(size) for size in (width, height) * 2),
        _render_edges(graph, layout),
        _join_fragments(_render_node(node, vertex, states, links) for node, vertex in positioned_nodes),
        _join_fragments(
            _render_mode(node.step, vertex) for node, vertex in zip(graph.nodes, layout.nodes, strict=True) if node.step
        ),
    )


def _format_label(flow: FlowOutline) -> str:
    count = len(flow.steps) + flow.omitted_steps
    step_count = {0: "no steps", 1: "one step"}.get(count, f"{count} steps")
    return f"Flow {flow.name}: {step_count}" if flow.name else f"A flow of {step_count}"


def _get_height(node: Node, states: StepStates) -> float:
    if node.kind != "step":
        return EVENT_HEIGHT
    return STEP_HEIGHT if states is None else STEP_HEIGHT + STATE_HEIGHT


def _get_left(vertex: Vertex) -> float:
    return MARGIN + vertex.layer * COLUMN_WIDTH


def _get_middle(vertex: Vertex) -> float:
    return MARGIN + vertex.y


# Lines


def _render_edges(graph: Graph, layout: Layout) -> SafeString:
    """Draw every line once, even if several edges of a node share it."""
    parts = [_render_edge(source, target) for source in layout.vertices for target in source.successors]
    bottom = MARGIN + max(layout.height, EVENT_HEIGHT)
    parts += [_render_back_edge(layout, edge, bottom, index) for index, edge in enumerate(layout.back_edges, start=1)]
    return format_html('<g class="flow-lines">{}</g>', _join_fragments(parts))


def _render_edge(source: Vertex, target: Vertex) -> SafeString:
    """Draw from the right side of one vertex to the left side of the next; through a waypoint's whole column."""
    x, y, to_x, to_y = _get_left(source) + BOX_WIDTH, _get_middle(source), _get_left(target), _get_middle(target)
    middle_x = (x + to_x) / 2
    waypoint_segment = f"H{_format_number(to_x + BOX_WIDTH)}" if target.is_waypoint else ""
    start, end = _format_point(x, y), _format_point(to_x, to_y)
    control_points = f"{_format_point(middle_x, y)} {_format_point(middle_x, to_y)}"
    path_data = f"M{start} C{control_points} {end}{waypoint_segment}"
    arrowhead = mark_safe("") if target.is_waypoint else _render_arrowhead(to_x, to_y)
    return format_html('<path class="flow-line" d="{}"/>{}', path_data, arrowhead)


def _render_back_edge(layout: Layout, edge: Edge, bottom: float, index: int) -> SafeString:
    """Draw an edge against the reading direction below all boxes, and up and down between the columns."""
    source, target = (layout.nodes[node_number] for node_number in edge)
    right, left = _get_left(source) + BOX_WIDTH, _get_left(target)
    y, to_y, below_y = _get_middle(source), _get_middle(target), bottom + index * BACK_EDGE_GAP - BACK_EDGE_GAP / 2
    out_x, back_x = right + 6 + 3 * (index % 4), max(left - 30 - 3 * (index % 4), MARGIN / 2)
    below = f"H{_format_number(out_x)} V{_format_number(below_y)} H{_format_number(back_x)} V{_format_number(to_y)}"
    path_data = f"M{_format_point(right, y)} {below} H{_format_number(left)}"
    return format_html('<path class="flow-line flow-line-back" d="{}"/>{}', path_data, _render_arrowhead(left, to_y))


def _render_arrowhead(x: float, y: float) -> SafeString:
    path_data = f"M{_format_point(x, y)} L{_format_point(x - 8, y - 4)} V{_format_number(y + 4)} Z"
    return format_html('<path class="flow-arrowhead" d="{}"/>', path_data)


def _render_mode(step: StepOutline, vertex: Vertex) -> SafeString:
    """Draw a mark before a step with several dependencies: any or all."""
    if len(step.depends_on) < 2:
        return mark_safe("")
    title = "when all of them have finished" if step.depends_on_mode == "all" else "when any of them has finished"
    return format_html(
        '<g class="flow-mode flow-mode-{}"><title>{}</title>'
        '<rect x="{}" y="{}" width="30" height="18" rx="9"/><text x="{}" y="{}">{}</text></g>',
        step.depends_on_mode,
        title,
        _format_number(_get_left(vertex) - 40),
        _format_number(_get_middle(vertex) - 9),
        _format_number(_get_left(vertex) - 25),
        _format_number(_get_middle(vertex) + 4),
        step.depends_on_mode,
    )


# Boxes


def _render_node(node: Node, vertex: Vertex, states: StepStates, links: bool) -> SafeString:
    if node.step:
        return _render_step(node.step, vertex, states, links)
    title = f"the event {node.label}" if node.kind == "event" else f"step {node.label!r} not found"
    return format_html(
        '<g class="flow-{}"><title>{}</title>{}{}</g>',
        node.kind,
        escape_xml(truncate_tooltip(title)),
        _render_box(vertex, radius=EVENT_HEIGHT / 2),
        _render_text("flow-name", vertex, 16, 4, clip_text(node.label, MAX_NAME_COLUMNS)),
    )


def _render_step(step: StepOutline, vertex: Vertex, states: StepStates, links: bool) -> SafeString:
    top = -vertex.height / 2
    state = states[step.id] if states is not None else ""
    id_columns = MAX_ID_COLUMNS - (4 if step.criteria.strip() else 0)
    lines = (
        ("flow-id", 22, step.id, id_columns),
        ("flow-name", 43, f"on {_format_event(step, '?')}", MAX_NAME_COLUMNS + 1),
        ("flow-name", 62, f"do {step.command.full_name}", MAX_NAME_COLUMNS + 1),
    )
    content = _join_fragments(
        [
            format_html("<title>{}</title>", escape_xml(_describe_step(step, state))),
            _render_box(vertex, radius=6),
            *(
                _render_text(css_class, vertex, 14, top + offset, clip_text(text, columns))
                for css_class, offset, text, columns in lines
            ),
            _render_criteria(step, vertex) if step.criteria.strip() else mark_safe(""),
            _render_state(state, vertex) if state else mark_safe(""),
        ]
    )
    box = format_html('<g class="{}">{}</g>', _get_step_class(state), content)
    if not links:
        return box
    return format_html(
        '<a href="#{}" class="flow-link" aria-label="{}">{}</a>',
        make_step_anchor(step.id),
        escape_xml(_describe_step(step, state)),
        box,
    )


def _get_step_class(state: str) -> str:
    return f"flow-step flow-step-{STATE_CLASSES.get(state, 'other')}" if state else "flow-step"


def _render_criteria(step: StepOutline, vertex: Vertex) -> SafeString:
    right, top = _get_left(vertex) + BOX_WIDTH - 10, _get_middle(vertex) - vertex.height / 2 + 9
    return format_html(
        '<g class="flow-criteria"><title>{}</title><rect x="{}" y="{}" width="26" height="18" rx="9"/>'
        '<text x="{}" y="{}">if</text></g>',
        escape_xml(f"only if {truncate_tooltip(step.criteria.strip())}"),
        *(_format_number(value) for value in (right - 26, top, right - 13, top + 13)),
    )


def _render_state(state: str, vertex: Vertex) -> SafeString:
    text = f"{STATE_SYMBOLS.get(STATE_CLASSES.get(state, ''), '?')} {clip_text(state, MAX_NAME_COLUMNS)}"
    return _render_text("flow-state", vertex, 14, vertex.height / 2 - 11, text)


def _render_box(vertex: Vertex, radius: float) -> SafeString:
    geometry = (_get_left(vertex), _get_middle(vertex) - vertex.height / 2, BOX_WIDTH, vertex.height, radius)
    return format_html(
        '<rect class="flow-box" x="{}" y="{}" width="{}" height="{}" rx="{}"/>',
        *(_format_number(value) for value in geometry),
    )


def _render_text(css_class: str, vertex: Vertex, offset_x: float, offset_y: float, text: str) -> SafeString:
    """Draw a line of text, `offset_x` from its box's left side and `offset_y` from its middle."""
    x, y = _format_number(_get_left(vertex) + offset_x), _format_number(_get_middle(vertex) + offset_y)
    return format_html('<text class="{}" x="{}" y="{}">{}</text>', css_class, x, y, escape_xml(text))


# Description in words


def _render_description(flow: FlowOutline, states: StepStates, links: bool) -> SafeString:
    items = format_html_join(
        "",
        "<li>{}{}</li>",
        (
            (_render_name(step, links), escape_xml(_describe_conditions(step, _get_state(step, states))))
            for step in flow.steps
        ),
    )
    omitted_message = f"{flow.omitted_steps} more steps are not drawn." if flow.omitted_steps else ""
    return format_html(
        '<figcaption><details class="flow-words"><summary>In words</summary>{}{}</details></figcaption>',
        format_html("<ol>{}</ol>", items) if items else mark_safe("<p>The flow has no steps.</p>"),
        format_html("<p>{}</p>", omitted_message) if omitted_message else mark_safe(""),
    )


def _get_state(step: StepOutline, states: StepStates) -> str:
    return "" if states is None else states[step.id]


def _render_name(step: StepOutline, links: bool) -> SafeString:
    name = format_html("<b>{}</b>", escape_xml(step.id))
    return format_html('<a href="#{}">{}</a>', make_step_anchor(step.id), name) if links else name


def _describe_step(step: StepOutline, state: str) -> str:
    return f"Step {truncate_tooltip(step.id)}{_describe_conditions(step, state)}"


def _describe_conditions(step: StepOutline, state: str) -> str:
    """Return the sentences about a step after its name."""
    dependencies = truncate_tooltip(step.describe_dependencies())
    if step.event:
        parts = [f" waits for {step.event.full_name}{_describe_labels(step.event)}"]
        parts += [f" after {dependencies} {_get_auxiliary_verb(step)} finished"] if dependencies else []
    else:
        parts = [f" has no event{' and depends on ' if dependencies else ''}{dependencies}"]
    if step.criteria.strip():
        parts.append(f". If {truncate_tooltip(step.criteria.strip())} is true, it runs {step.command.full_name}.")
    else:
        parts.append(f"{', then' if step.event else '. It'} runs {step.command.full_name}.")
    return "".join(parts) + (f" Status: {state}." if state else "")


def _describe_labels(event: PartOutline) -> str:
    labels = ", ".join(f"{name}: {value}" for name, value in event.pack_labels.items())
    return f" from a pack with {truncate_tooltip(labels)}" if labels else ""


def _format_event(step: StepOutline, default: str) -> str:
    return step.event.full_name if step.event else default


def _get_auxiliary_verb(step: StepOutline) -> str:
    return "have" if step.depends_on_mode == "all" and len(step.depends_on) > 1 else "has"


def _join_fragments(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))


def _format_point(x: float, y: float) -> str:
    return f"{_format_number(x)},{_format_number(y)}"


def _format_number(value: float) -> str:
    """Format with at most one decimal, and zero without a sign."""
    return f"{round(value, 1) + 0:.1f}".removesuffix(".0")
