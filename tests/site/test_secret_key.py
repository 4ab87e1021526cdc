import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flyte_site.core.secret_key import load_or_create_secret_key
from tests import processes
from tests.server import ROOT

pytestmark = pytest.mark.unit

SCRIPT = (
    "import sys, pathlib; from flyte_site.core.secret_key import load_or_create_secret_key as load; "
    "print(load(pathlib.Path(sys.argv[1])))"
)


def test_the_key_is_made_once_and_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "key"
    first = load_or_create_secret_key(path)
    assert len(first) >= 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create_secret_key(path) == first
    assert [found.name for found in tmp_path.iterdir()] == ["key"]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "key")]
    started = [processes.start(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    keys = {process.communicate(timeout=60)[0].strip() for process in started}
    assert keys == {(tmp_path / "key").read_text()}
    assert [found.name for found in tmp_path.iterdir()] == ["key"]


def test_where_the_folder_does_not_exist_it_fails(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        load_or_create_secret_key(tmp_path / "nowhere" / "key")
