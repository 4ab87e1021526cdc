"""Work to parse and check hostile documents: it grows in proportion to their size.

Work is counted in calls of functions, of Python and of C. What one call of C does is not seen: such inputs are so large
that quadratic work would run into the suite's time limit.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from flows.definition import MAX_ISSUES, FlowIssue, FlowValidationError, parse_flow
from flows.definition.diff import MAX_COMPARED_LINES, diff_texts
from flows.definition.editor.locations import SourceMap
from flyte_site.http.input.parsing import MAX_EXPANDED_NODES, DocumentError, parse_json, parse_yaml
from tests.flows import builders as b

SIZE = 400


def count_calls(work: Callable[[], object]) -> int:
    """Count the calls of functions while the work is done."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def make_steps(count: int, **fields: Callable[[int], Any]) -> dict[str, Any]:
    return b.document(*(b.step(id=f"s{i}", **{name: make(i) for name, make in fields.items()}) for i in range(count)))


def misspelt_dependencies(size: int) -> dict[str, Any]:
    return make_steps(size, dependsOn=lambda i: [f"step-number-{i}x"])


def misspelt_context_names(size: int) -> dict[str, Any]:
    return make_steps(
        size,
        dependsOn=lambda i: ["s0"] if i else [],
        context=lambda i: {f"number{i}": "{{ Event.Payload.x }}"},
        criteria=lambda i: f"{{{{ Context.nubmer{i} }}}}",
    )


def unknown_variables(size: int) -> dict[str, Any]:
    texts = [f"{{{{ Evnt{i} }}}}" for i in range(size)]
    return b.document(b.step(command={"packName": "Wrk", "name": "Do", "input": texts}))


def unknown_filters(size: int) -> dict[str, Any]:
    texts = [f"{{{{ Event|uper{i} }}}}" for i in range(size)]
    return b.document(b.step(command={"packName": "Wrk", "name": "Do", "input": texts}))


def unknown_keys(size: int) -> dict[str, Any]:
    return {**b.document(b.step()), **{f"desciption{i}": 1 for i in range(size)}}


def reverse_chain(size: int) -> dict[str, Any]:
    return make_steps(size, dependsOn=lambda i: [f"s{i + 1}"] if i + 1 < size else [])


def one_cycle(size: int) -> dict[str, Any]:
    return b.document(
        b.step(id="start"), *(b.step(id=f"s{i}", dependsOn=[f"s{(i + 1) % size}", "start"]) for i in range(size))
    )


def chain_of_event_text(size: int) -> dict[str, Any]:
    return make_steps(
        size,
        dependsOn=lambda i: ["s0"] if i else [],
        context=lambda i: {f"n{i}": f"{{{{ Context.n{i + 1} }}}}" if i + 1 < size else "{{ Event.Payload }}"},
    )


HOSTILE_DOCUMENTS = (
    misspelt_dependencies,
    misspelt_context_names,
    unknown_variables,
    unknown_filters,
    unknown_keys,
    reverse_chain,
    one_cycle,
    chain_of_event_text,
)


def find_issues(document: Mapping[str, Any]) -> Sequence[FlowIssue]:
    try:
        return parse_flow(document).warnings
    except FlowValidationError as error:
        return error.errors


@pytest.mark.parametrize("make", HOSTILE_DOCUMENTS)
def test_the_number_of_issues_is_bounded(make: Callable[[int], Mapping[str, Any]]) -> None:
    assert len(find_issues(make(SIZE))) <= MAX_ISSUES + 1


@pytest.mark.parametrize("make", HOSTILE_DOCUMENTS)
def test_twice_the_document_is_at_most_twice_the_work(make: Callable[[int], Mapping[str, Any]]) -> None:
    small, large = (count_calls(partial(find_issues, make(size))) for size in (SIZE, 2 * SIZE))

    assert large < 2.3 * small


def merge_text(size: int) -> str:
    keys = ", ".join(f"k{i}: 0" for i in range(40))
    return f"t: &t {{{keys}}}\nx: {{<<: [{', '.join(['*t'] * size)}]}}\n"


def test_merges_of_one_mapping_cost_in_proportion_to_their_number() -> None:
    small, large = (count_calls(partial(parse_yaml, merge_text(size))) for size in (SIZE, 2 * SIZE))

    assert large < 2.3 * small


def test_merges_expand_to_a_bounded_number_of_nodes() -> None:
    assert len(parse_yaml(merge_text(10))["x"]) == 40
    with pytest.raises(DocumentError, match="expand to too much data"):
        parse_yaml(merge_text(MAX_EXPANDED_NODES // 20))


def test_the_first_merged_mapping_wins_and_explicit_keys_win_over_all() -> None:
    assert parse_yaml("a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], z: 3}")["c"] == {
        "x": 1,
        "y": 1,
        "z": 3,
    }


def test_a_late_duplicate_among_many_keys_is_named() -> None:
    pairs = ",".join(f'"k{i}":0' for i in range(300_000))

    with pytest.raises(DocumentError, match="duplicate key 'last'"):
        parse_json(f'{{{pairs},"last":1,"last":2}}', unique_keys=True)


def test_only_the_first_errors_are_reported() -> None:
    with pytest.raises(FlowValidationError) as caught:
        parse_flow(misspelt_dependencies(MAX_ISSUES + 5))

    assert len(caught.value.errors) == MAX_ISSUES
    with pytest.raises(FlowValidationError) as caught:
        parse_flow(unknown_filters(MAX_ISSUES + 5) | {"enabled": "yes"})
    assert caught.value.errors[-1].message == f"more errors follow; the first {MAX_ISSUES} are reported"


def test_cycles_are_found_behind_a_long_chain() -> None:
    document = make_steps(3000, dependsOn=lambda i: [f"s{i + 1}"] if i + 1 < 3000 else ["s2998"])
    document["steps"].append(b.step(id="start"))
    document["steps"][2999]["dependsOn"].append("start")

    warnings = parse_flow(document).warnings

    assert {warning.path for warning in warnings} == {"steps[2998].dependsOn", "steps[2999].dependsOn"}


def test_a_diff_of_moved_lines_compares_a_bounded_number_of_them() -> None:
    lines = [f"line {number}" for number in range(MAX_COMPARED_LINES + 1)]

    diff = diff_texts("\n".join(["same", *lines, "end"]), "\n".join(["same", *reversed(lines), "end"]))

    assert [row.kind for row in diff.rows[:2]] == ["same", "changed"]
    assert diff.added_count == diff.removed_count == len(lines)
    assert count_calls(lambda: diff_texts("\n".join(lines), "\n".join(reversed(lines)))) < 50 * len(lines)


def test_each_block_text_of_a_long_document_is_located() -> None:
    text = "".join(f"- |\n  text {number}\n" for number in range(20_000))

    source_map = SourceMap(text, is_json=False)

    assert source_map.locate("[19999]", 1, 3) == (40_000, 5)
