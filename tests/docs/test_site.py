"""The pages as a site: `make docs` checks the links; here is that the menu leads to every page."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.docs.pages import blocks, pages
from tests.server import ROOT

pytestmark = pytest.mark.unit

CONFIGURATION = ROOT / "docs" / "site" / "conf.py"


def configuration() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_configuration", CONFIGURATION)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_menu_leads_to_every_page_once() -> None:
    listed = [line[1:] for line in configuration().menu().splitlines() if line.startswith("/")]
    assert len(listed) == len(set(listed))
    shown = {str(page.relative_to(ROOT))[: -len(".md")] for page in pages()} - {"README"}
    assert shown - set(listed) == set()
    assert all((ROOT / f"{page}.md").is_file() for page in listed)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_json_and_yaml_that_is_printed_can_be_read(page: Path) -> None:
    for text in blocks(page, "json"):
        decoder, rest = json.JSONDecoder(), text.strip()
        while rest:
            _, end = decoder.raw_decode(rest)
            rest = rest[end:].strip()
    for text in blocks(page, "yaml"):
        assert list(yaml.safe_load_all(text))


def test_the_project_says_how_it_may_be_used_and_who_to_tell() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        assert ROOT / name in pages()
