"""Locations of the parts of a document in its text."""

import json

import pytest

from flows.definition.editor.locations import MAX_LOCATIONS, SourceMap

pytestmark = pytest.mark.unit

YAML = """\
name: x
steps:
  - id: a
    criteria: "{{ bad }}"
    context: {"a b": '{{ c }}', plain: {{}: 1}
    command:
      input:
        text: |
          one
          two
        folded: >
          three
          four
- odd
"""
FLOW = """\
name: x
steps:
  - id: a
    criteria: "{{ bad }}"
    context: {"a b": '{{ c }}'}
    command:
      input:
        text: |

          one
            two
        folded: >
          three
          four
  - id: b
"""


@pytest.mark.parametrize(
    ("path", "inside", "location"),
    [
        ("name", (0, 0), (1, 1)),
        ("steps[0]", (0, 0), (3, 5)),
        ("steps[0].criteria", (0, 0), (4, 5)),
        ("steps[0].criteria", (1, 4), (4, 19)),
        ('steps[0].context["a b"]', (1, 1), (5, 23)),
        ("steps[0].context.a b", (0, 0), (5, 15)),
        ("steps[0].command.input.text", (2, 1), (10, 11)),
        ("steps[0].command.input.text", (3, 3), (11, 13)),
        ("steps[0].command.input.folded", (1, 3), (12, 19)),
        ("steps[1].event.name", (0, 0), (15, 5)),
        ("steps[7].event", (0, 0), (2, 1)),
        ("nothing", (0, 0), (1, 1)),
        ("", (0, 0), (1, 1)),
    ],
)
def test_a_part_of_yaml_is_located(path: str, inside: tuple[int, int], location: tuple[int, int]) -> None:
    assert SourceMap(FLOW, is_json=False).locate(path, *inside) == location


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_a_part_of_json_is_located_at_its_key(indent: int | None) -> None:
    value = {"name": 'a "b" \\', "a b": [1, {"c": [[], {}, "d"]}, "e"], "\u00e9": {"f": None}, "empty": {}}
    text = json.dumps(value, indent=indent)
    source_map, lines = SourceMap(text, is_json=True), text.split("\n")
    for path, begin in [
        ("name", '"name"'),
        ('["a b"]', '"a b"'),
        ('["a b"][0]', "1"),
        ('["a b"][1].c', '"c"'),
        ('["a b"][1].c[2]', '"d"'),
        ('["a b"][2]', '"e"'),
        ('["\u00e9"].f', '"f"'),
        ("empty", '"empty"'),
    ]:
        line, column = source_map.locate(path)
        assert lines[line - 1][column - 1 :].startswith(begin), path


@pytest.mark.parametrize("text", ["", "{", '{"a"', '{"a":', "[", "]", '"', "{]", "a: [", "\x00", YAML])
def test_text_with_syntax_errors_has_no_locations(text: str) -> None:
    for is_json in (True, False):
        assert SourceMap(text, is_json=is_json).locate("a.b[3]", 5, 5)[0] >= 1


def test_nested_aliases_are_limited() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    places = SourceMap("\n".join(lines), is_json=False)
    assert len(places._locations) <= MAX_LOCATIONS
    assert places.locate("a0[1]") == (1, 13)
