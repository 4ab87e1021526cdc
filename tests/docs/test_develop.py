"""The page on development lists every folder of the source code."""

import re

import pytest

from tests.server import ROOT
from tests.test_architecture import SERVER

pytestmark = pytest.mark.unit

PAGE = (ROOT / "docs" / "how-to" / "develop.md").read_text()
FOLDERS = {
    str(path.parent.relative_to(ROOT))
    for top in (*SERVER, "flyte_client", "examples", "bench")
    for path in (ROOT / top).rglob("*.py")
}
# The folders of migrations, commands and packs need no explanation.
EXEMPT = re.compile(r".*/(migrations|management)|flyte_client/packs/.*")


def test_every_folder_of_source_code_is_in_the_layout() -> None:
    listed = set(re.findall(r"`([\w/]+)`", PAGE))
    assert {folder for folder in FOLDERS if not EXEMPT.fullmatch(folder)} - listed == set()


def test_the_layout_lists_no_folder_that_does_not_exist() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE)
    folders = [name for row in rows for name in re.findall(r"`([\w/]+)`", row)]
    assert len(folders) > 40
    assert [name for name in folders if not (ROOT / name).is_dir()] == []
