"""Cron expressions against times."""

import pytest

from flows.template.errors import OperationError
from flows.template.filters.cron import MAX_EXPRESSION_LENGTH, matches_cron, parse_cron
from flows.template.runtime.go_time import parse_rfc3339

pytestmark = pytest.mark.unit

MONDAY = "2019-05-06T07:08:09Z"


@pytest.mark.parametrize(
    ("expression", "time", "holds"),
    [
        ("* * * * *", MONDAY, True),
        ("8 7 * * *", MONDAY, True),
        ("8,9 7 * * *", MONDAY, True),
        ("9 7 * * *", MONDAY, False),
        ("*/4 * * * *", MONDAY, True),
        ("*/5 * * * *", MONDAY, False),
        ("0-30/8 7 * * *", MONDAY, True),
        ("* 8-10 * * *", MONDAY, False),
        ("* * * may mon", MONDAY, True),
        ("* * * MAY TUE-FRI", MONDAY, False),
        ("* * * * 0", "2019-05-05T00:00:00Z", True),
        ("* * * * 7", "2019-05-05T00:00:00Z", True),
        ("* * 6 * 0", MONDAY, True),
        ("* * 7 * 1", MONDAY, True),
        ("* * 7 * 2", MONDAY, False),
        ("* * 7 * *", MONDAY, False),
        ("* * ? * 1", MONDAY, True),
        ("* * 6 * ?", MONDAY, True),
        ("* * L * *", "2020-02-29T00:00:00Z", True),
        ("* * L * *", "2020-02-28T00:00:00Z", False),
        ("* * * * 1#1", MONDAY, True),
        ("* * * * 1#2", MONDAY, False),
        ("* * * * 2#1", "2019-05-07T00:00:00Z", True),
        ("* * * * 2#2", "2019-05-14T00:00:00Z", True),
        ("* * * * 3#2", "2019-05-08T00:00:00Z", True),
        ("* * * * 1L", "2019-05-27T00:00:00Z", True),
        ("* * * * 1L", MONDAY, False),
        ("8 7 6 5 * 2019", MONDAY, True),
        ("8 7 6 5 * 2020", MONDAY, False),
        ("9 8 7 6 5 *", MONDAY, False),
        ("9 8 7 6 5 * *", MONDAY, True),
        ("9 8 7 * * * *", MONDAY, True),
        ("8 8 7 * * * *", MONDAY, False),
        ("@daily", "2019-05-06T00:00:59Z", True),
        ("@daily", MONDAY, False),
        ("@Hourly", "2019-05-06T07:00:00Z", True),
        ("@weekly", "2019-05-05T00:00:00Z", True),
        ("@monthly", "2019-05-01T00:00:00Z", True),
        ("@yearly", "2019-01-01T00:00:00Z", True),
        ("30 9 * * *", "2019-05-06T09:30:00+02:00", True),
        ("30 7 * * *", "2019-05-06T09:30:00+02:00", False),
        ("0 0 30 2 *", MONDAY, False),
    ],
)
def test_a_time_matches_in_its_own_zone(expression: str, time: str, holds: bool) -> None:
    moment = parse_rfc3339(time)

    assert moment is not None
    assert matches_cron(parse_cron(expression), moment) is holds


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "bad",
        "* * * *",
        "* * * * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "a * * * *",
        "H * * * *",
        "R * * * *",
        "* * 15W * *",
        "@nightly",
        "@reboot",
        "* * * * 1#6",
        "* * * * *" + " " * MAX_EXPRESSION_LENGTH,
    ],
)
def test_an_invalid_cron_expression_is_an_error(expression: str) -> None:
    with pytest.raises(OperationError):
        parse_cron(expression)
