"""Metrics of several processes: each counts separately, and no count is lost when a process ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from flyte_site.core.observability.metrics import OTHER_LABEL, LabelLimiter, shared_directory
from tests import processes
from tests.server import ROOT

pytestmark = pytest.mark.unit

COUNT = """
import os, sys
from flyte_site.core.observability import metrics as meters
meters.use_shared_directory(sys.argv[1])
for _ in range(int(sys.argv[2])):
    meters.count_event("Slack", "fired")
children = [os.fork() for _ in sys.argv[3:]]
if children == [0]:
    meters.count_event("Slack", "unheard")
    meters.observe_take(0.002, has_action=True)
    os._exit(0)
for child in children:
    os.waitpid(child, 0)
meters.count_event("Slack", "fired")
print("counted", flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def start_counting(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start a process that counts events, and return it when it has counted and waits for input."""
    process = processes.start(
        [sys.executable, "-c", COUNT, str(folder), *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "counted\n"
    return process


def read_metrics(folder: Path) -> dict[tuple[str, str], float]:
    metrics = MultiProcessCollector(None, str(folder)).collect()  # type: ignore[no-untyped-call]
    return {
        (sample.name, sample.labels.get("outcome", "")): sample.value
        for metric in metrics
        for sample in metric.samples
        if not sample.name.endswith("_bucket")
    }


def test_counts_of_concurrent_processes_are_added_up(tmp_path: Path) -> None:
    started = [start_counting(tmp_path, "3"), start_counting(tmp_path, "4", "fork")]
    assert read_metrics(tmp_path)[("flyte_events_total", "fired")] == 3 + 1 + 4 + 1
    assert read_metrics(tmp_path)[("flyte_events_total", "unheard")] == 1
    assert read_metrics(tmp_path)[("flyte_take_seconds_count", "action")] == 1
    for process in started:
        process.communicate("")


def test_the_successor_of_a_killed_process_continues_its_files(tmp_path: Path) -> None:
    for _ in range(3):
        start_counting(tmp_path, "9").communicate("")
    assert read_metrics(tmp_path) == {("flyte_events_total", "fired"): 30.0}
    assert {path.name for path in tmp_path.iterdir()} == {"0.lock", "counter_0.db"}


def test_names_beyond_a_bound_are_counted_together() -> None:
    names = LabelLimiter(2)
    assert [names.limit(name) for name in ("a", "b", "c", "a", "d")] == ["a", "b", OTHER_LABEL, "a", OTHER_LABEL]


def test_a_temporary_folder_is_removed_and_a_chosen_one_stays(tmp_path: Path) -> None:
    with shared_directory("") as folder:
        assert Path(folder).is_dir()
        assert Path(folder).stat().st_mode & 0o777 == 0o700
    assert not Path(folder).exists()
    with shared_directory(str(tmp_path)) as chosen:
        assert chosen == str(tmp_path)
    assert tmp_path.exists()


def test_folders_of_killed_servers_are_removed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    killed, new, old, other = (tmp_path / f"flyte-metrics-{name}" for name in ("killed", "new", "old", "other"))
    for folder in (killed, new, old):
        folder.mkdir()
    (killed / "owner.lock").touch()
    os.utime(old, (0, 0))
    other.symlink_to(new)
    with shared_directory("") as running:
        assert {path.name for path in tmp_path.iterdir()} == {new.name, other.name, Path(running).name}
        with shared_directory(""):
            assert Path(running, "owner.lock").exists()
