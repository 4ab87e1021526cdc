"""The comparison lets through what is alike, and nothing else."""

from typing import Any

import pytest

from tests.contract.comparison import Comparison, JsonText, problem_faults
from tests.contract.recording import NOT_COMPARED, PROBLEM, Answer

pytestmark = pytest.mark.unit

ONE, TWO = "6b012c75686c8261d5a567bc", "6b012c75686c8261d5a567be"
OURS, OTHER = "01a1fd7f184807c44c86a2fa", "01a1fd7f18552789d9bae96d"
PROBLEM_TYPE = {"Content-Type": "application/problem+json; charset=utf-8"}


def compared(wanted: Any, got: Any, comparison: Comparison | None = None) -> list[str]:
    """Differences between two bodies."""
    return (comparison or Comparison("localhost:1")).differences(Answer(200, {}, wanted), Answer(200, {}, got))


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ({"a": 1, "b": [None, True]}, {"b": [None, True], "a": 1}),
        ({"href": "https://H/v1"}, {"href": "https://localhost:1/v1"}),
        ({"time": "2026-11-21T05:30:40.9Z"}, {"time": "2031-01-02T03:04:05.678Z"}),
        ({"createdAt": "2020-01-02T03:04:05.123Z"}, {"createdAt": "2020-01-02T03:04:05.123Z"}),
        ({"p": JsonText({"a": [1], "b": "é"})}, {"p": '{"b":"é","a":[1]}'}),
        (NOT_COMPARED, "whatever"),
    ],
)
def test_what_is_alike_passes(wanted: Any, got: Any) -> None:
    assert compared(wanted, got) == []


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": True}),
        ({"a": 0.0}, {"a": -0.0}),
        ({"a": 1}, {"a": 1, "b": None}),
        ({"a": None}, {}),
        ([1, 2], [2, 1]),
        ([1], [1, 1]),
        ({"href": "http://H/v1"}, {"href": "http://H/v1"}),
        ({"time": "2026-11-21T05:30:40.9Z"}, {"time": "2031-01-02T03:04:05Z"}),
        ({"time": "2026-11-21T05:30:40.9Z"}, {"time": "2031-01-02T03:04:05.678+00:00"}),
        ({"createdAt": "2020-01-02T03:04:05.123Z"}, {"createdAt": "2020-01-02T03:04:05.124Z"}),
        ({"text": "2026-11-21T05:30:40.9Z"}, {"text": "2031-01-02T03:04:05.678Z"}),
        ({"id": ONE}, {"id": "an-id"}),
        ({"p": JsonText({"a": 1})}, {"p": '{"a": 1}'}),
        ({"p": JsonText({"a": 1})}, {"p": {"a": 1}}),
        ("", {}),
    ],
)
def test_what_is_not_alike_is_told(wanted: Any, got: Any) -> None:
    assert compared(wanted, got)


def test_an_id_stands_for_the_same_thing_throughout() -> None:
    comparison = Comparison("localhost:1")
    assert compared({"id": ONE, "href": f"/a/{ONE}/b"}, {"id": OURS, "href": f"/a/{OURS}/b"}, comparison) == []
    assert compared({"id": ONE}, {"id": OTHER}, comparison)
    assert compared({"id": TWO}, {"id": OURS}, comparison)
    assert compared({"id": TWO}, {"id": OTHER}, comparison) == []


def test_an_answer_that_differs_teaches_no_ids() -> None:
    comparison = Comparison("localhost:1")
    assert compared({"id": ONE, "a": 1}, {"id": OURS, "a": 2}, comparison)
    assert compared({"id": ONE}, {"id": OTHER}, comparison) == []


def execution(name: str, second: str) -> dict[str, Any]:
    return {"name": name, "actions": {"a": {"state": {"value": "NEW", "time": f"2026-11-21T05:30:{second}Z"}}}}


def shown(*names: str) -> dict[str, Any]:
    return {"flows": [execution(name, "00.000") for name in names]}


@pytest.mark.parametrize("order", ["cabd", "cbad"])
def test_executions_that_changed_at_once_may_change_places(order: str) -> None:
    recorded = [execution("c", "40.91"), execution("a", "40.9"), execution("b", "40.9"), execution("d", "40.896")]
    assert compared({"flows": recorded}, shown(*order)) == []


@pytest.mark.parametrize("order", ["acbd", "cadb", "caad", "cab"])
def test_other_executions_may_not(order: str) -> None:
    recorded = [execution("c", "40.91"), execution("a", "40.9"), execution("b", "40.9"), execution("d", "40.896")]
    assert compared({"flows": recorded}, shown(*order))


@pytest.mark.parametrize("header", ["Content-Type", "Location", "Allow", "Www-Authenticate"])
def test_a_header_too_many_or_too_few_is_told(header: str) -> None:
    comparison = Comparison("localhost:1")
    bare, dressed = Answer(200), Answer(200, {header: "x"})
    assert comparison.differences(bare, dressed)
    assert comparison.differences(dressed, bare)
    assert comparison.differences(dressed, dressed) == []


def test_a_problem_is_known_by_its_shape() -> None:
    body = {"title": "Bad Request", "status": 400, "detail": "no", "errors": [{"path": "", "message": "no"}]}
    expected = Answer(400, {"Content-Type": "application/problem+json"}, PROBLEM)
    assert Comparison("localhost:1").differences(expected, Answer(400, PROBLEM_TYPE, body)) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        {"title": "Bad Request", "status": 400, "detail": "no"},
        {"title": "Bad Request", "status": 404, "detail": "no", "errors": [{"path": "", "message": "no"}]},
        {"title": "", "status": 400, "detail": "no", "errors": [{"path": "", "message": "no"}]},
        {"title": "Bad Request", "status": 400, "detail": "no", "errors": [{"message": "no"}]},
        {"title": "Bad Request", "status": 400, "detail": "no", "errors": [{"path": "a", "message": ""}]},
    ],
)
def test_a_body_without_that_shape_is_no_problem(body: Any) -> None:
    assert problem_faults(Answer(400, PROBLEM_TYPE, body))
