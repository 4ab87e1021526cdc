"""Diagrams of flows: well-formed, escaped, readable and deterministic."""

import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from typing import Any

import pytest
import yaml
from django.utils.html import escape
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.diagram import NOT_REACHED, make_step_anchor, render_diagram
from flows.diagram.layout import Layout, assign_layers, compute_layout, find_back_edges
from flows.diagram.svg import BOX_WIDTH
from tests.flows.builders import document, follower, step
from tests.flows.example_flows import EXAMPLE_FLOWS

pytestmark = pytest.mark.unit

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '"><script>alert(1)</script><a href="javascript:x" onload=\'y\'>&amp;\x00\x08\ud800\uffff]]>'
ELEMENTS = {"figure", "div", "svg", "g", "path", "rect", "text", "title", "a"}
WORDS = {"figcaption", "details", "summary", "ol", "li", "b", "p"}
ATTRIBUTES = {"class", "role", "aria-label", "width", "height", "viewBox", "d", "x", "y", "rx", "href"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
FLOW_LIKE = st.fixed_dictionaries(
    {},
    optional={
        "name": JSON,
        "steps": st.lists(
            JSON
            | st.fixed_dictionaries(
                {},
                optional={
                    "id": st.sampled_from("abcd") | JSON,
                    "dependsOn": st.lists(st.sampled_from("abcde") | JSON, max_size=4) | JSON,
                    "dependsOnMode": JSON,
                    "event": JSON | st.fixed_dictionaries({"packName": JSON, "name": JSON, "packLabels": JSON}),
                    "command": JSON | st.fixed_dictionaries({"packName": JSON, "name": JSON}),
                    "criteria": JSON,
                },
            ),
            max_size=6,
        ),
    },
)


def render_tree(document: object, *arguments: Any, **options: Any) -> ET.Element:
    return ET.fromstring(render_diagram(document, *arguments, **options))


def all_text(tree: ET.Element) -> str:
    return "".join(tree.itertext())


def texts(tree: ET.Element, css_class: str) -> list[str]:
    return [element.text or "" for element in tree.iter(f"{SVG}text") if element.get("class") == css_class]


def find_by_class(tree: ET.Element, css_class: str) -> list[ET.Element]:
    return [element for element in tree.iter() if css_class in (element.get("class") or "").split()]


def test_a_diagram_shows_events_steps_and_edges() -> None:
    tree = render_tree(document(step(id="one", criteria="{{ true }}"), follower("one", id="two")))
    assert texts(tree, "flow-id") == ["one", "two"]
    assert texts(tree, "flow-name") == ["on Src.Go", "do Wrk.Do", "on Wrk.Done", "do Wrk.Do", "Src.Go"]
    assert len(find_by_class(tree, "flow-line")) == len(find_by_class(tree, "flow-arrowhead")) == 2
    (criteria,) = find_by_class(tree, "flow-criteria")
    assert criteria.findtext(f"{SVG}title") == "only if {{ true }}"
    svg = next(tree.iter(f"{SVG}svg"))
    assert (svg.get("role"), svg.get("aria-label")) == ("group", "Flow flow: 2 steps")


def test_triggers_on_one_event_share_a_box() -> None:
    tree = render_tree(document(step(id="a"), step(id="b"), step(id="c", event={"packName": "Src", "name": "Else"})))
    assert len(find_by_class(tree, "flow-event")) == 2
    assert len(find_by_class(tree, "flow-line")) == 3


@pytest.mark.parametrize(("mode", "description"), [("any", "a or b has finished"), ("all", "a and b have finished")])
def test_a_join_shows_its_mode(mode: str, description: str) -> None:
    tree = render_tree(document(step(id="a"), step(id="b"), follower(["a", "b"], id="c", dependsOnMode=mode)))
    (mark,) = find_by_class(tree, "flow-mode")
    assert mark.findtext(f"{SVG}text") == mode
    assert description in all_text(tree)


def test_a_step_with_one_dependency_shows_no_mode() -> None:
    assert find_by_class(render_tree(document(step(id="a"), follower(["a", "a"], id="b"))), "flow-mode") == []


def test_each_step_links_to_its_anchor_in_picture_and_description() -> None:
    tree = render_tree(document(step(id="one")))
    assert [link.get("href") for link in tree.iter() if link.tag.endswith("a") and link.get("href")] == [
        "#step-one",
        "#step-one",
    ]


def test_a_diagram_without_links_is_one_image() -> None:
    tree = render_tree(document(step(id="one")), links=False)
    assert next(tree.iter(f"{SVG}svg")).get("role") == "img"
    assert not [element for element in tree.iter() if element.get("href")]
    assert "Step one waits for Src.Go, then runs Wrk.Do." in all_text(tree)


def test_a_step_is_described_in_complete_sentences() -> None:
    labels = {"packName": "Src", "name": "Go", "packLabels": {"env": "prod"}}
    draft = {"id": "c", "dependsOn": ["a"], "command": {"name": "Do"}}
    steps = step(id="a", event=labels), step(id="b", dependsOn=["a"], criteria="{{ 1 }}"), draft
    text = all_text(render_tree(document(*steps)))
    assert "a waits for Src.Go from a pack with env: prod, then runs Wrk.Do." in text
    assert "b waits for Src.Go after a has finished. If {{ 1 }} is true, it runs Wrk.Do." in text
    assert "c has no event and depends on a. It runs ?.Do." in text


def test_every_state_has_a_class_and_a_text() -> None:
    states = {"a": "queued", "b": "running", "c": "succeeded", "d": "failed", "e": "cancelled", "f": "error"}
    tree = render_tree(document(*(step(id=name) for name in "abcdefg")), states)
    assert texts(tree, "flow-state") == [
        "… queued", "▶ running", "✓ succeeded", "✕ failed", "⊘ cancelled", "! error", "– not reached",
    ]  # fmt: skip
    for css_class in ("new", "pending", "success", "fatal", "cancelled", "error", "unreached"):
        assert len(find_by_class(tree, f"flow-step-{css_class}")) == 1
    for state in (*states.values(), NOT_REACHED):
        assert f"Status: {state}." in all_text(tree)


def test_a_diagram_without_states_shows_none() -> None:
    assert "Status" not in render_diagram(document(step(id="a")))


@given(document=FLOW_LIKE | JSON, states=st.none() | st.dictionaries(st.sampled_from("abcd"), st.text(max_size=5)))
@settings(deadline=None)
def test_diagrams_of_documents_of_any_shape_are_well_formed(document: Any, states: dict[str, str] | None) -> None:
    svg_text = render_diagram(document, states)
    assert svg_text == render_diagram(document, states)
    check_harmless(ET.fromstring(svg_text))


def check_harmless(tree: ET.Element) -> None:
    for element in tree.iter():
        assert element.tag.removeprefix(SVG) in ELEMENTS | WORDS
        assert set(element.attrib) <= ATTRIBUTES
        assert (element.get("href") or "#").startswith("#")


def test_text_from_the_flow_is_escaped_everywhere() -> None:
    part = {"packName": HOSTILE, "name": HOSTILE, "packLabels": {HOSTILE: HOSTILE}}
    steps = [
        {"id": HOSTILE, "event": part, "criteria": HOSTILE, "command": part},
        {"id": "b", "dependsOn": [HOSTILE, f"no {HOSTILE}"], "dependsOnMode": HOSTILE, "event": part, "command": part},
    ]
    svg_text = render_diagram({"name": HOSTILE, "steps": steps}, {HOSTILE: HOSTILE, "b": HOSTILE})
    svg_text.encode()
    check_harmless(ET.fromstring(svg_text))
    assert "<script" not in svg_text
    assert escape("<script>alert(1)</script>") in svg_text


def test_no_element_has_an_inline_style() -> None:
    svg_text = render_diagram(
        document(step(id="a", criteria="x"), follower("a"), follower(["a", "none"])), {"a": "queued"}
    )
    assert "style" not in svg_text


def test_long_names_are_cut_and_complete_in_the_title() -> None:
    long = "n" * 255
    tree = render_tree(document(step(id=long, command={"packName": "字" * 40, "name": "Do"})))
    assert texts(tree, "flow-id") == ["n" * 23 + "…"]
    assert texts(tree, "flow-name")[1] == f"do {'字' * 12}…"
    assert long in (find_by_class(tree, "flow-step")[0].findtext(f"{SVG}title") or "")


def test_an_unknown_step_is_shown_as_missing() -> None:
    (missing,) = find_by_class(render_tree(document(step(id="a"), follower(["a", "gone"], id="b"))), "flow-missing")
    assert missing.findtext(f"{SVG}title") == "step 'gone' not found"


def test_steps_beyond_a_hundred_are_omitted_with_a_note() -> None:
    tree = render_tree(document(*(step(id=f"s{n}") for n in range(130))))
    assert len(texts(tree, "flow-id")) == 100
    assert "30 more steps are not drawn." in all_text(tree)
    assert next(tree.iter(f"{SVG}svg")).get("aria-label") == "Flow flow: 130 steps"


def test_the_diagram_of_a_flow_without_steps_has_a_note() -> None:
    assert "The flow has no steps." in all_text(render_tree({"name": "x"}))


@pytest.mark.parametrize("path", EXAMPLE_FLOWS, ids=lambda path: path.stem)
def test_every_example_has_a_diagram(path: Any) -> None:
    flow = yaml.safe_load(path.read_text())
    assert len(texts(render_tree(flow), "flow-id")) == len(flow["steps"])


def test_anchors_are_unique_and_have_no_spaces() -> None:
    ids = ["a b", "a.20b", "a-b", "a_b", "ä", "a%20b", "", "\ud800", "#", "A B"]
    anchors = [make_step_anchor(step_id) for step_id in ids]
    assert len(set(anchors)) == len(ids)
    assert anchors[:3] == ["step-a.20b", "step-a.2e20b", "step-a-b"]


# The layout


def complete_graph(count: int) -> list[tuple[int, int]]:
    """Return the edges from every node to every later one."""
    return list(combinations(range(count), 2))


def check_no_overlap(layout: Layout) -> None:
    for layer in {vertex.layer for vertex in layout.vertices}:
        column = sorted((vertex for vertex in layout.vertices if vertex.layer == layer), key=lambda vertex: vertex.y)
        for upper, lower in pairwise(column):
            assert upper.y + upper.height / 2 < lower.y - lower.height / 2


GRAPHS = st.integers(1, 14).flatmap(
    lambda count: st.tuples(
        st.just(count), st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=30)
    )
)


@given(GRAPHS)
@settings(deadline=None)
def test_boxes_never_overlap_and_lines_run_forward(graph: tuple[int, list[tuple[int, int]]]) -> None:
    count, edges = graph
    layout = compute_layout([74.0] * count, edges)
    check_no_overlap(layout)
    assert len(layout.nodes) == count
    assert all(other.layer == vertex.layer + 1 for vertex in layout.vertices for other in vertex.successors)
    assert min(vertex.y - vertex.height / 2 for vertex in layout.vertices) == pytest.approx(0)
    for source, target in set(edges) - set(layout.back_edges):
        assert layout.nodes[source].layer < layout.nodes[target].layer


def test_the_layer_is_the_length_of_the_longest_path() -> None:
    assert assign_layers(4, [(0, 1), (1, 2), (0, 3), (2, 3)]) == [0, 1, 2, 3]


def test_cycles_are_cut_at_their_back_edges() -> None:
    assert find_back_edges(4, [(0, 1), (1, 2), (2, 1), (3, 3)]) == [(2, 1), (3, 3)]


def test_a_cycle_is_drawn_with_a_back_edge() -> None:
    tree = render_tree(document(step(id="a"), follower(["a", "c"], id="b"), follower("b", id="c")))
    assert len(find_by_class(tree, "flow-line-back")) == 1
    assert len(find_by_class(tree, "flow-arrowhead")) == 4


def test_lines_do_not_cross_without_need() -> None:
    layout = compute_layout([50.0] * 6, [(0, 5), (1, 4), (2, 3)])
    assert sorted(range(3), key=lambda node: layout.nodes[node].y) == sorted(
        range(3), key=lambda node: layout.nodes[5 - node].y
    )


def test_a_chain_is_straight() -> None:
    assert {vertex.y for vertex in compute_layout([50.0] * 6, list(pairwise(range(6)))).vertices} == {25.0}


def test_the_densest_flow_needs_few_waypoints() -> None:
    layout = compute_layout([74.0] * 50, complete_graph(50))
    # One waypoint for each source and layer; with one for each edge and layer there would be 19,600.
    assert len(layout.vertices) - 50 == sum(range(48 + 1))
    check_no_overlap(layout)


def test_no_text_is_wider_than_its_box() -> None:
    # A column of 12 px monospace is 7.2 px wide in every font.
    tree = render_tree(document(step(id="W" * 90, command={"packName": "W" * 90, "name": "x"})))
    assert max(map(len, texts(tree, "flow-name"))) * 7.25 + 14 <= BOX_WIDTH
