"""Typed inputs: accepted values, conversion and errors."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from typing import Annotated, Any, Literal

import pydantic
import pytest

from flyte_client import Event, Pack
from flyte_client.handlers.input_binding import MAX_FIELD_ERRORS, InputError, build_input_binder
from tests import processes

from .program import ROOT

pytestmark = pytest.mark.unit


class Colour(Enum):
    RED = "red"
    DEEP = 3


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass
class Tree:
    name: str
    children: "list[Tree]" = field(default_factory=list)


@dataclass
class Everything:
    text: str = ""
    count: int = 0
    share: float = 0.0
    wanted: bool = False
    colour: Colour = Colour.RED
    mode: Literal["any", "all", 2] = "any"
    maybe: int | None = None
    either: int | str = ""
    when: datetime | None = None
    day: date | None = None
    points: list[Point] = field(default_factory=list)
    by_name: dict[str, Point] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    pair: tuple[int, ...] = ()
    several: Sequence[int] = ()
    thread_timestamp: str = ""
    anything: Any = None
    raw: dict[str, Any] = field(default_factory=dict)
    nothing: None = None


class Model(pydantic.BaseModel):
    name: str
    size: int = pydantic.Field(default=1, ge=1)
    points: list[Point] = []


@dataclass
class Checked:
    name: str

    def __post_init__(self) -> None:
        if "/" in self.name:
            raise ValueError("a name must have no slash")


def build_binder(annotation: Any) -> Callable[[Any], Any]:
    def handler(raw: Any) -> Event:
        return Event("Done")

    handler.__annotations__["raw"] = annotation
    return build_input_binder(handler)


def bind_errors(annotation: Any, raw: Any) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        build_binder(annotation)(raw)
    return [(fault.path, fault.message) for fault in caught.value.errors]


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("text", "a", "a"),
        ("count", 3, 3),
        ("count", "3", 3),
        ("count", " -3 ", -3),
        ("count", 3.0, 3),
        ("count", "3.000000", 3),
        ("share", 3, 3.0),
        ("share", "0.5", 0.5),
        ("share", "\ufeff-1.5e1\r\n", -15.0),
        ("count", "\ufeff42\n", 42),
        ("wanted", True, True),
        ("wanted", "True", True),
        ("wanted", "false", False),
        ("colour", "red", Colour.RED),
        ("colour", 3, Colour.DEEP),
        ("colour", "3", Colour.DEEP),
        ("mode", "all", "all"),
        ("mode", "2", 2),
        ("mode", "all\n", "all"),
        ("maybe", None, None),
        ("maybe", "", None),
        ("maybe", "5", 5),
        ("either", 5, 5),
        ("either", "5", "5"),
        ("when", "2026-11-21T10:00:00Z", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("when", "Sat, 21 Nov 2026 11:00 +0100 (CET)", datetime(2026, 11, 21, 11, tzinfo=timezone(timedelta(hours=1)))),
        ("when", "2026-11-21 10:00", datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("when", 1795255200, datetime(2026, 11, 21, 10, tzinfo=UTC)),
        ("day", "2026-11-21", date(2026, 11, 21)),
        ("day", "21 Nov 2026", date(2026, 11, 21)),
        ("day", " 2026-11-21\n", date(2026, 11, 21)),
        ("points", [{"x": 1}, {"x": "2", "y": 3}], [Point(1), Point(2, 3)]),
        ("points", '[{"x": 1}]', [Point(1)]),
        ("by_name", {"a": {"x": 1}}, {"a": Point(1)}),
        ("names", ["a", "b", "a"], frozenset("ab")),
        ("pair", [1, "2"], (1, 2)),
        ("several", [1], [1]),
        ("anything", {"a": [None]}, {"a": [None]}),
        ("raw", '{"a": [1]}', {"a": [1]}),
        ("nothing", None, None),
    ],
)
def test_a_value_is_converted_to_the_type_of_its_field(name: str, raw: Any, value: Any) -> None:
    read = getattr(build_binder(Everything)({name: raw}), name)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "raw", "path", "message"),
    [
        ("text", 5, ".text", "must be text, not a number"),
        ("text", None, ".text", "must be text, not null"),
        ("count", "3.5", ".count", "must be a whole number, not text"),
        ("count", "many", ".count", "must be a whole number, not text"),
        ("count", 1.5, ".count", "must be a whole number, not a number"),
        ("count", True, ".count", "must be a whole number, not a boolean"),
        ("count", float("inf"), ".count", "must be a whole number, not a number"),
        ("count", "9" * 5000, ".count", "must be a whole number, not text"),
        ("share", "nan", ".share", "must be a number, not text"),
        ("share", "1_000", ".share", "must be a number, not text"),
        ("share", "\u0664\u0662", ".share", "must be a number, not text"),
        ("share", "1e999", ".share", "must be a number, not text"),
        ("count", "\uff14\uff12", ".count", "must be a whole number, not text"),
        ("share", [], ".share", "must be a number, not a list"),
        ("wanted", "yes", ".wanted", "must be true or false, not text"),
        ("wanted", 1, ".wanted", "must be true or false, not a number"),
        ("colour", "blue", ".colour", "must be one of red, 3"),
        ("mode", True, ".mode", "must be one of any, all, 2"),
        ("maybe", "soon", ".maybe", "must be a whole number, not text"),
        ("when", "soon", ".when", "must be a time, such as 2026-11-21T05:30:00Z, not text"),
        ("when", True, ".when", "must be a time, such as 2026-11-21T05:30:00Z, not a boolean"),
        ("when", "2026-11-21T10:00 IST", ".when", "must be a time, such as 2026-11-21T05:30:00Z, not text"),
        ("day", 5, ".day", "must be a date, such as 2026-11-21, not a number"),
        ("points", {"x": 1}, ".points", "must be a list, not an object"),
        ("points", [{"x": 1}, {}], ".points[1].x", "required"),
        ("points", "[1", ".points", "must be a list, not text"),
        ("by_name", {"a": {"x": []}}, ".by_name.a.x", "must be a whole number, not a list"),
        ("points", "[" * 900 + "]" * 900, ".points", "nested deeper than 100 levels"),
        ("raw", '{"a":' * 101 + "1" + "}" * 101, ".raw", "nested deeper than 100 levels"),
        ("nothing", 0, ".nothing", "must be null, not a number"),
        ("raw", "a", ".raw", "must be an object, not text"),
    ],
)
def test_an_invalid_value_is_reported_with_its_path(name: str, raw: Any, path: str, message: str) -> None:
    assert bind_errors(Everything, {name: raw}) == [(f"input{path}", message)]


def test_all_errors_are_reported_at_once_up_to_a_limit() -> None:
    assert bind_errors(Point, {"y": "b"}) == [
        ("input.x", "required"),
        ("input.y", "must be a whole number, not text"),
    ]
    assert len(bind_errors(list[Point], [{}] * 1000)) == MAX_FIELD_ERRORS


def test_names_can_be_in_camel_case_and_unknown_names_are_ignored() -> None:
    assert build_binder(Everything)({"threadTimestamp": "1.2", "other": 1}).thread_timestamp == "1.2"
    both = {"threadTimestamp": "1.2", "thread_timestamp": "3.4"}
    assert build_binder(Everything)(both).thread_timestamp == "3.4"


def test_a_type_can_be_recursive() -> None:
    raw = {"name": "a", "children": [{"name": "b"}]}
    assert build_binder(Tree)(raw) == Tree("a", [Tree("b")])
    assert bind_errors(Tree, {"name": "a", "children": [{"children": []}]}) == [("input.children[0].name", "required")]


@pytest.mark.parametrize(
    ("annotation", "raw", "value"),
    [
        (Point, '{"x": 1}', Point(1)),
        (Point | None, None, None),
        (Point | None, {"x": 1}, Point(1)),
        (list[Point], [{"x": 1}], [Point(1)]),
        (Annotated[Point, "where"], {"x": 1}, Point(1)),
        (Point | Tree, {"name": "a"}, Tree("a")),
        (Model, {"name": "a", "size": "2", "points": [{"x": 1}]}, Model(name="a", size=2, points=[Point(1)])),
        (Model, '{"name": "a"}', Model(name="a")),
        (list[Model], [{"name": "a"}], [Model(name="a")]),
    ],
)
def test_a_typed_value_can_be_nested(annotation: Any, raw: Any, value: Any) -> None:
    assert build_binder(annotation)(raw) == value


@pytest.mark.parametrize("raw", [None, 5, "a", [], "[]"])
def test_a_dataclass_requires_an_object(raw: Any) -> None:
    ((path, message),) = bind_errors(Point, raw)
    assert path == "input"
    assert message.startswith("must be an object, not ")


def test_pydantic_errors_have_a_path_and_no_value() -> None:
    assert bind_errors(Model, {"size": "secret"}) == [
        ("input.name", "Field required"),
        ("input.size", "Input should be a valid integer, unable to parse string as an integer"),
    ]
    assert bind_errors(list[Model], [{"name": "a", "size": 0}]) == [
        ("input[0].size", "Input should be greater than or equal to 1")
    ]


def test_a_class_can_validate_itself() -> None:
    assert bind_errors(Checked, {"name": "a/b"}) == [("input", "a name must have no slash")]


@pytest.mark.parametrize("annotation", [Any, object, dict, dict[str, Any], list[int], str, int | None, "Any", float])
def test_any_other_annotation_leaves_the_input_unchanged(annotation: Any) -> None:
    raw: Any = {"a": [1, "2"]}
    assert build_binder(annotation)(raw) is raw


def test_without_an_annotation_the_input_is_unchanged() -> None:
    assert build_input_binder(lambda raw: Event("Done"))("5") == "5"
    assert build_input_binder(print)("5") == "5"


@dataclass
class Odd:
    amount: complex


@dataclass
class Keys:
    amounts: dict[int, str]


@dataclass
class Pair:
    both: tuple[int, str]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Odd, "unsupported input type complex"),
        (Keys, "a mapping with keys other than str"),
        (Pair, "a tuple of different types"),
        (list[Callable[[], Point]], "unsupported input type collections.abc.Callable"),
        ("Nowhere", "can't resolve the annotation of .*: name 'Nowhere'"),
    ],
)
def test_an_unsupported_annotation_is_reported_at_declaration(annotation: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        build_binder(annotation)


def test_the_event_for_a_bad_input_is_declared_with_its_command() -> None:
    pack = Pack("Typed")

    @pack.command("Draw", events=["Drawn"], bad_input="DrawFailed")
    def draw(point: Point) -> Event:
        return Event("Drawn")

    assert pack.definition()["commands"] == [{"name": "Draw", "events": ["Drawn", "DrawFailed"]}]
    assert {"name": "DrawFailed"} in pack.definition()["events"]


def test_pydantic_is_not_imported_unless_the_pack_does() -> None:
    code = "import sys, flyte_client; print('pydantic' in sys.modules)"
    done = processes.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"False\n")
