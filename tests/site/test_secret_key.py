"""The secret key: created once, readable only by its owner, and the same in all processes."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flyte_site.core.secrets.secret_key import load_or_create_secret_key
from tests import processes
from tests.server import ROOT

pytestmark = pytest.mark.unit

SCRIPT = (
    "import sys, pathlib; from flyte_site.core.secrets.secret_key import load_or_create_secret_key as load; "
    "print(load(pathlib.Path(sys.argv[1])))"
)


def test_the_key_is_created_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = load_or_create_secret_key(path)
    assert len(first) >= 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_secret_key(path) == first
    assert [file.name for file in tmp_path.iterdir()] == ["key"]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "key")]
    started = [processes.start(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    keys = {process.communicate(timeout=60)[0].strip() for process in started}
    assert keys == {(tmp_path / "key").read_text()}
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        load_or_create_secret_key(tmp_path / "nowhere" / "key")
