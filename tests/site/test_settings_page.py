"""Agreement of docs/reference/settings.md with the code."""

import re
from datetime import time
from typing import Any, NamedTuple

import pytest

from tests.server import ROOT
from tests.site.conftest import Read

pytestmark = pytest.mark.unit

SOURCE = (ROOT / "flyte_site/settings.py").read_text(encoding="utf-8")
ROW = re.compile(r"\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")
READ = re.compile(r'(?:env\.(\w+)|= (?:limit|connections|seconds|lifetime))\(\s*"(\w+)"')

# Defaults that the page describes in its own words.
SPECIAL = {
    "FLYTE_PORT": "`8080`, with TLS `8443`",
    "FLYTE_DATABASE_URL": "`sqlite:///…/flyte.sqlite3`",
    "FLYTE_SECRET_KEY": "generated, in `.secret_key`",
    "FLYTE_MGO_HOST": "none",
    "FLYTE_MAX_RESULT_BYTES": "`16777216`, or `FLYTE_MAX_BODY_BYTES` if that is larger",
    "TZ": "system time zone",
    "FLYTE_AUTH": "`none`, or `oidc` when the next three are set",
    "FLYTE_ALLOWED_HOSTS": "none",
    "FLYTE_CONSOLE_CLIENT_ID": "`FLYTE_OIDC_ISSUER_CLIENT_ID`",
    "FLYTE_CONSOLE_ROLES": "none",
    "FLYTE_TRUSTED_PROXIES": "`127.0.0.0/8, ::1`",
}


class Row(NamedTuple):
    default: str
    values: str
    effect: str


def rows() -> dict[str, Row]:
    """Parse the rows of the page's tables, by variable."""
    text = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    return {match[1]: Row(*(cell.strip() for cell in match.groups()[1:])) for match in ROW.finditer(text)}


def printed(default: Any) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, time):
        return f"`{default:%H:%M}`"
    return f"`{default}`" if default != "" else "none"


def test_the_page_has_exactly_the_variables_that_the_code_reads() -> None:
    assert set(rows()) == {variable for _, variable in READ.findall(SOURCE)}


def test_the_defaults_on_the_page_are_those_of_the_code(read: Read) -> None:
    settings = read()
    for variable, row in rows().items():
        assert row.default == (SPECIAL.get(variable) or printed(settings[variable])), variable


def test_the_bounds_of_numbers_on_the_page_are_those_of_the_code(read: Read) -> None:
    for variable in (variable for kind, variable in READ.findall(SOURCE) if kind in ("integer", "")):
        (error,) = read(**{variable: "x"})["FLYTE_ENVIRONMENT"].errors
        assert error.message.endswith(f"whole number from {rows()[variable].values}"), variable


def test_every_check_has_a_unique_id() -> None:
    ids = re.findall(r'"(flyte\.[EW]\d{3})"', SOURCE)
    assert len(ids) == len(set(ids))
