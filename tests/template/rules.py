"""Intended differences from the original's templates: one function per rule.

Each takes a case and the output expected so far, and returns the output expected under the rule; the same if the rule
does not apply. R1–R18 are explained in docs/reference/templates.md.
"""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import re2  # type: ignore[import-untyped]

from tests.template.recorded import ERROR, Case

Expected = Any
Rule = Callable[[Case, Expected], Expected]

_OF_TWO = re.compile(r"\{\{ (not )?(?P<left>\S+) (?P<operator>==|/|\+|<) (?P<right>\S+) \}\}")
_GO_FLOAT = re.compile(r"-?\d+\.\d{6}")
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?")
_WRAPPED = "-9223372036854775808"


class Numbers(str):
    """A text that matches if its numbers have these values, up to the six decimals that the original printed."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and _by_value(self) == _by_value(other)

    __hash__ = str.__hash__


def _by_value(text: str) -> str:
    return _NUMBER.sub(lambda match: str(round(Decimal(match.group()), 6).normalize()), text)


class JsonOf:
    """A text that matches if it is JSON, of this value if it is known."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        try:
            result = json.loads(other) if isinstance(other, str) else None
        except ValueError:
            return False
        return isinstance(result, list | dict) and self.value in (None, result)

    __hash__ = None  # type: ignore[assignment]


def _kind(case: Case, operand: str) -> str:
    return str(case.ours(f"{{{{ {operand}|stringformat:'%T' }}}}"))


def r1_numbers_keep_their_kind(case: Case, expected: Expected) -> Expected:
    if not isinstance(expected, str):
        return expected
    if re.fullmatch(r"\{\{ \d{19,} \}\}", case.text):
        return case.text[3:-3]
    if expected == _WRAPPED:
        return str(_exact(case))
    if match := _OF_TWO.fullmatch(case.text):
        kinds = {_kind(case, match["left"]), _kind(case, match["right"])}
        if match["operator"] == "==" and kinds <= {"int", "float64"}:
            values = [Decimal(case.ours(f"{{{{ {match[side]} }}}}")) for side in ("left", "right")]
            return str(values[0] == values[1])
    expected = re.sub(r"%!d\(float64=(\d+)\)", r"\1", expected)
    return Numbers(expected) if _GO_FLOAT.search(expected) else expected


def _exact(case: Case) -> int:
    if match := re.fullmatch(r"\{\{ (\d+) \+ (\d+) \}\}", case.text):
        return int(match[1]) + int(match[2])
    return int(float(case.ours(case.text.replace("|integer", ""))))


def r2_division_is_exact(case: Case, expected: Expected) -> Expected:
    match = re.fullmatch(r"\{\{ (-?\d+) / (-?\d+) \}\}", case.text)
    if match is None or int(match[2]) == 0:
        return expected
    quotient = Fraction(int(match[1]), int(match[2]))
    return str(quotient if quotient.denominator == 1 else float(quotient))


def r3_maps_and_lists_print_as_json(case: Case, expected: Expected) -> Expected:
    if not isinstance(expected, str) or not re.fullmatch(r"<.* Value>", expected):
        return expected
    path = re.fullmatch(r"\{\{ ([A-Z][\w.]*) \}\}", case.text)
    value: Any = case.variables if path else None
    for key in path[1].split(".") if path else ():
        value = value[int(key) if isinstance(value, list) else key]
    return JsonOf(None if path and path[1] == "Event" else value)


def r4_null_stays(case: Case, expected: Expected) -> Expected:
    return case.template if not case.text and "null" in json.dumps(case.template) else expected


def r5_lists_and_maps_compare_by_value(case: Case, expected: Expected) -> Expected:
    match = _OF_TWO.fullmatch(case.text)
    if expected != ERROR or match is None or match["operator"] != "==":
        return expected
    return str(case.ours(f"{{{{ {match['left']} }}}}") == case.ours(f"{{{{ {match['right']} }}}}"))


def r6_text_is_joined_and_ordered(case: Case, expected: Expected) -> Expected:
    match = _OF_TWO.fullmatch(case.text)
    if match is None or match["operator"] not in ("+", "<") or expected == ERROR:
        return expected
    left, right = (case.ours(f"{{{{ {match[side]} }}}}") for side in ("left", "right"))
    texts = "string" in {_kind(case, match["left"]), _kind(case, match["right"])}
    if not texts or (_NUMBER.fullmatch(left) and _NUMBER.fullmatch(right)):
        return expected
    return left + right if match["operator"] == "+" else str(left < right)


def r7_not_is_loose_and_gives_a_boolean(case: Case, expected: Expected) -> Expected:
    if match := re.fullmatch(r"\{\{ not (.* (?:==|in) .*) \}\}", case.text):
        return str(case.ours(f"{{{{ {match[1]} }}}}") == "False")
    if re.fullmatch(r"\{\{ !\S+ \}\}", case.text) and _GO_FLOAT.sub("1", str(expected)) == "1":
        return "True"
    return expected


def r8_more_spellings(case: Case, expected: Expected) -> Expected:
    return {"{{ True }}": "True", "{{ False }}": "False", "{{ None }}": ""}.get(case.text, expected)


def r9_other_backslashes_stay(case: Case, expected: Expected) -> Expected:
    lone = re.compile(r"(?<!\\)\\(?![\\\"])")
    return case.ours(lone.sub(r"\\\\", case.text)) if expected == ERROR and lone.search(case.text) else expected


def r10_text_is_characters(case: Case, expected: Expected) -> Expected:
    path = re.fullmatch(r"\{\{ (.*)\.(\d+) \}\}", case.text)
    if path is None or _kind(case, path[1]) != "string" or not str(expected).isdigit():
        return expected
    return chr(int(expected))


def r11_slices_are_pythons(case: Case, expected: Expected) -> Expected:
    match = re.fullmatch(r"\{\{ '(\w*)'\|slice:'(.*)' \}\}", case.text)
    if match is None:
        return expected
    try:
        return match[1][slice(*(int(bound) if bound else None for bound in match[2].split(":")))]
    except ValueError:
        return match[1]  # as in Django: an invalid slice changes nothing


def r12_arguments_and_parentheses(case: Case, expected: Expected) -> Expected:
    if expected != ERROR:
        return expected
    text = re.sub(r"^\{\{ (.*):(-\S+|\(.*\)) \}\}$", r"{% set given = \2 %}{{ \1:given }}", case.text)
    text = re.sub(r"^\{\{ \((.*\|.*)\)\.(\w+) \}\}$", r"{% set given = \1 %}{{ given.\2 }}", text)
    return case.ours(text) if text != case.text else expected


def r13_bad_patterns_are_errors(case: Case, expected: Expected) -> Expected:
    match = re.search(r"\|(?:match|extractMatch):'([^']*)'", case.text)
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(match[1] if match else "", options)
    except re2.error:
        return ERROR
    return expected


def r14_dates_from_text(case: Case, expected: Expected) -> Expected:
    match = re.fullmatch(r"\{\{ (\S+)\|(date|time):('.*') \}\}", case.text)
    value = case.ours(f"{{{{ {match[1]} }}}}") if match else ""
    if match is None or not re.match(r"\d{4}-\d\d-\d\dT", value):
        return expected
    return case.ours(f"{{{{ Event.CreatedAt|{match[2]}:{match[3]} }}}}", CreatedAt=value)


def r15_a_number_is_a_number(case: Case, expected: Expected) -> Expected:
    match = re.fullmatch(r"\{\{ (randomInt|randomAlpha)\(([A-Z]\S+)\) \}\}", case.text)
    return case.ours() if match and _kind(case, match[2]) in ("int", "float64") else expected


def r16_files_are_out_of_reach(case: Case, expected: Expected) -> Expected:
    return ERROR if re.search(r"\{% *(include|ssi|import|extends|block)\b", case.text) else expected


def r17_white_space_around_numbers_is_ignored(case: Case, expected: Expected) -> Expected:
    match = re.fullmatch(r"\{\{ '(\s*)(\S+)(\s*)'\|(integer|float|floatformat) \}\}", case.text)
    if match is None or not match[1] + match[3] or not _NUMBER.fullmatch(match[2]):
        return expected
    return case.ours(f"{{{{ '{match[2]}'|{match[4]} }}}}")


def r18_more_filters(case: Case, expected: Expected) -> Expected:
    match = re.fullmatch(r"\{\{ '([^'\\]*)'\|trim \}\}", case.text)
    return match[1].strip() if expected == ERROR and match else expected


def any_json_in_the_datastore(case: Case, expected: Expected) -> Expected:
    """Allow any JSON in the datastore, not only objects; a rule of the datastore, not of the language."""
    match = re.fullmatch(r"\{\{ datastore\('(\w+)'\) \}\}", case.text)
    item = case.datastore.get(match[1]) if match else None
    if expected != ERROR or not isinstance(item, dict) or not item.get("value", "").startswith("["):
        return expected
    return item["value"]


RULES: tuple[Rule, ...] = (
    r1_numbers_keep_their_kind,
    r2_division_is_exact,
    r3_maps_and_lists_print_as_json,
    r4_null_stays,
    r5_lists_and_maps_compare_by_value,
    r6_text_is_joined_and_ordered,
    r7_not_is_loose_and_gives_a_boolean,
    r8_more_spellings,
    r9_other_backslashes_stay,
    r10_text_is_characters,
    r11_slices_are_pythons,
    r12_arguments_and_parentheses,
    r13_bad_patterns_are_errors,
    r14_dates_from_text,
    r15_a_number_is_a_number,
    r16_files_are_out_of_reach,
    r17_white_space_around_numbers_is_ignored,
    r18_more_filters,
    any_json_in_the_datastore,
)


def expected_here(case: Case) -> Expected:
    """Return the output here: the original's output, changed by the rules."""
    expected = case.original
    for rule in RULES:
        expected = rule(case, expected)
    return expected
