"""Comparison of responses: only equivalent ones are accepted."""

from typing import Any

import pytest

from tests.contract.comparison import Comparison, JsonText, find_problem_errors
from tests.contract.recording import NOT_COMPARED, PROBLEM, ExchangeResponse

pytestmark = pytest.mark.unit

FIRST_RECORDED, SECOND_RECORDED = "6b012c75686c8261d5a567bc", "6b012c75686c8261d5a567be"
FIRST_ACTUAL, SECOND_ACTUAL = "01a1fd7f184807c44c86a2fa", "01a1fd7f18552789d9bae96d"
PROBLEM_TYPE = {"Content-Type": "application/problem+json; charset=utf-8"}


def compare_bodies(expected: Any, actual: Any, comparison: Comparison | None = None) -> list[str]:
    """Return the differences between two bodies."""
    return (comparison or Comparison("localhost:1")).differences(
        ExchangeResponse(200, {}, expected), ExchangeResponse(200, {}, actual)
    )


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1, "b": [None, True]}, {"b": [None, True], "a": 1}),
        ({"href": "https://H/v1"}, {"href": "https://localhost:1/v1"}),
        ({"time": "2026-11-21T05:30:40.9Z"}, {"time": "2031-01-02T03:04:05.678Z"}),
        ({"createdAt": "2020-01-02T03:04:05.123Z"}, {"createdAt": "2020-01-02T03:04:05.123Z"}),
        ({"p": JsonText({"a": [1], "b": "é"})}, {"p": '{"b":"é","a":[1]}'}),
        (NOT_COMPARED, "whatever"),
    ],
)
def test_equivalent_bodies_have_no_differences(expected: Any, actual: Any) -> None:
    assert compare_bodies(expected, actual) == []


@pytest.mark.parametrize(
    ("expected", "actual"),
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
        ({"id": FIRST_RECORDED}, {"id": "an-id"}),
        ({"p": JsonText({"a": 1})}, {"p": '{"a": 1}'}),
        ({"p": JsonText({"a": 1})}, {"p": {"a": 1}}),
        ("", {}),
    ],
)
def test_different_bodies_are_reported(expected: Any, actual: Any) -> None:
    assert compare_bodies(expected, actual)


def test_an_id_identifies_the_same_object_throughout() -> None:
    comparison = Comparison("localhost:1")
    assert (
        compare_bodies(
            {"id": FIRST_RECORDED, "href": f"/a/{FIRST_RECORDED}/b"},
            {"id": FIRST_ACTUAL, "href": f"/a/{FIRST_ACTUAL}/b"},
            comparison,
        )
        == []
    )
    assert compare_bodies({"id": FIRST_RECORDED}, {"id": SECOND_ACTUAL}, comparison)
    assert compare_bodies({"id": SECOND_RECORDED}, {"id": FIRST_ACTUAL}, comparison)
    assert compare_bodies({"id": SECOND_RECORDED}, {"id": SECOND_ACTUAL}, comparison) == []


def test_a_different_response_binds_no_ids() -> None:
    comparison = Comparison("localhost:1")
    assert compare_bodies({"id": FIRST_RECORDED, "a": 1}, {"id": FIRST_ACTUAL, "a": 2}, comparison)
    assert compare_bodies({"id": FIRST_RECORDED}, {"id": SECOND_ACTUAL}, comparison) == []


def execution(name: str, second: str) -> dict[str, Any]:
    return {"name": name, "actions": {"a": {"state": {"value": "NEW", "time": f"2026-11-21T05:30:{second}Z"}}}}


def list_of_executions(*names: str) -> dict[str, Any]:
    return {"flows": [execution(name, "00.000") for name in names]}


@pytest.mark.parametrize("order", ["cabd", "cbad"])
def test_executions_that_changed_in_the_same_millisecond_can_be_swapped(order: str) -> None:
    recorded = [execution("c", "40.91"), execution("a", "40.9"), execution("b", "40.9"), execution("d", "40.896")]
    assert compare_bodies({"flows": recorded}, list_of_executions(*order)) == []


@pytest.mark.parametrize("order", ["acbd", "cadb", "caad", "cab"])
def test_other_executions_cannot_be_reordered(order: str) -> None:
    recorded = [execution("c", "40.91"), execution("a", "40.9"), execution("b", "40.9"), execution("d", "40.896")]
    assert compare_bodies({"flows": recorded}, list_of_executions(*order))


@pytest.mark.parametrize("header", ["Content-Type", "Location", "Allow", "Www-Authenticate"])
def test_an_additional_or_missing_header_is_reported(header: str) -> None:
    comparison = Comparison("localhost:1")
    bare, dressed = ExchangeResponse(200), ExchangeResponse(200, {header: "x"})
    assert comparison.differences(bare, dressed)
    assert comparison.differences(dressed, bare)
    assert comparison.differences(dressed, dressed) == []


def test_a_problem_is_recognized_by_its_shape() -> None:
    body = {"title": "Bad Request", "status": 400, "detail": "no", "errors": [{"path": "", "message": "no"}]}
    expected = ExchangeResponse(400, {"Content-Type": "application/problem+json"}, PROBLEM)
    assert Comparison("localhost:1").differences(expected, ExchangeResponse(400, PROBLEM_TYPE, body)) == []


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
def test_a_body_without_that_shape_is_not_a_problem(body: Any) -> None:
    assert find_problem_errors(ExchangeResponse(400, PROBLEM_TYPE, body))
