"""The documentation site: its menu and llms.txt contain every page. `make docs` checks the links."""

import importlib.util
import json
import re
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


def page_names() -> set[str]:
    return {str(page.relative_to(ROOT))[: -len(".md")] for page in pages()}


def test_the_menu_contains_every_page_once() -> None:
    listed = [line[1:] for line in configuration().build_menu().splitlines() if line.startswith("/")]
    assert len(listed) == len(set(listed))
    assert page_names() - {"README"} - set(listed) == set()
    assert all((ROOT / f"{page}.md").is_file() for page in listed)


def test_every_page_has_a_description_of_one_line() -> None:
    descriptions = configuration().DESCRIPTIONS
    assert set(descriptions) == page_names()
    for description in descriptions.values():
        assert re.fullmatch(r"[A-Z][^\n]{10,120}\.", description), description


def test_llms_txt_lists_every_page_with_its_title_and_description() -> None:
    title, _, summary, *rest = configuration().build_llms_txt().splitlines()
    assert (title, summary[:2]) == ("# Flyte", "> ")
    links = [re.fullmatch(r"- \[([^\]]+)\]\((\S+)\.html\): (.+)", line) for line in rest if line.startswith("- ")]
    assert {link[2] for link in links if link} == page_names() - {"README"}
    assert all(links)
    assert "- [Guarantees](docs/explanation/guarantees.html): Guarantees for events" in "\n".join(rest)


def parse_json_documents(text: str) -> list[object]:
    """Parse JSON documents that follow each other in one block."""
    decoder, rest, documents = json.JSONDecoder(), text.strip(), []
    while rest:
        document, end = decoder.raw_decode(rest)
        documents.append(document)
        rest = rest[end:].strip()
    return documents


PAGES_WITH_DOCUMENTS = [page for page in pages() if [*blocks(page, "json"), *blocks(page, "yaml")]]


@pytest.mark.parametrize("page", PAGES_WITH_DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_printed_json_and_yaml_can_be_parsed(page: Path) -> None:
    for text in blocks(page, "json"):
        assert parse_json_documents(text)
    for text in blocks(page, "yaml"):
        assert list(yaml.safe_load_all(text))


def test_the_project_has_a_license_and_a_security_page() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        assert ROOT / name in pages()
