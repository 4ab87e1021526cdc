"""What happened, counted: the numbers of all processes of a machine, for `/metrics`.

Each process writes into files of its own in one folder, and whoever is asked adds them up (prometheus_client's way with
several processes). The files are named by a slot, not by the process: who comes after a process that is gone takes over
its slot and counts on, so that no number falls and no files pile up.
"""

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

# More names than these in one label are counted together.
MAX_PACK_LABELS = 200
MAX_FLOW_LABELS = 500
OTHER_LABEL = "(other)"
MAX_PROCESSES = 1024
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
JOB_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900)

# Every one has a label: what has none would begin to count before it is known where.
REGISTRY = CollectorRegistry()
EVENTS = Counter(
    "flyte_events",
    "Events that packs posted: fired (it started a flow), unmet (labels or criteria of those that listen did not "
    "hold), error (a flow could not judge it, and none started), unheard (no flow listens), repeated.",
    ["pack", "outcome"],
    registry=REGISTRY,
)
RESULTS = Counter(
    "flyte_results",
    "Results of actions that packs posted, and leases that ended: counted, retried, repeated, refused.",
    ["pack", "outcome"],
    registry=REGISTRY,
)
ACTIONS = Counter(
    "flyte_actions",
    "Actions that came into a state; NEW again before each retry.",
    ["pack", "state"],
    registry=REGISTRY,
)
FLOWS_FIRED = Counter("flyte_flows_fired", "Executions that were started.", ["flow"], registry=REGISTRY)
EXECUTIONS_ENDED = Counter(
    "flyte_executions_ended",
    "Executions that ended, by how; one that was retried ends again.",
    ["flow", "state"],
    registry=REGISTRY,
)
TEMPLATE_ERRORS = Counter(
    "flyte_template_errors", "Steps that could not be judged, for an error in a template.", ["flow"], registry=REGISTRY
)
TAKE_SECONDS = Histogram(
    "flyte_take_seconds",
    "How long it took to look for an action, and to give it away if there was one; without the time that a poll waits.",
    ["outcome"],
    buckets=REQUEST_BUCKETS,
    registry=REGISTRY,
)
INTAKE_SECONDS = Histogram(
    "flyte_intake_seconds",
    "How long it took to take in an event or a result, with all that it causes.",
    ["kind"],
    buckets=REQUEST_BUCKETS,
    registry=REGISTRY,
)
JOB_SECONDS = Histogram(
    "flyte_job_seconds",
    "How long periodic jobs took, by how they ended: done or failed.",
    ["task", "outcome"],
    buckets=JOB_BUCKETS,
    registry=REGISTRY,
)


class LabelLimiter:
    """The first so many names that are asked for; every further one is `OTHER`."""

    def __init__(self, max_labels: int) -> None:
        self._max_labels = max_labels
        self._labels: set[str] = set()

    def limit(self, name: str) -> str:
        """The name as it may stand in a label."""
        if name in self._labels:
            return name
        if len(self._labels) >= self._max_labels:
            return OTHER_LABEL
        self._labels.add(name)
        return name


_pack_labels, _flow_labels = LabelLimiter(MAX_PACK_LABELS), LabelLimiter(MAX_FLOW_LABELS)
LabeledMetric = TypeVar("LabeledMetric", Counter, Histogram)


@lru_cache(maxsize=4096)
def _with_labels(metric: LabeledMetric, *labels: str) -> LabeledMetric:
    """The metric for these labels; the library's own look-up takes several times as long."""
    return metric.labels(*labels)


def count_event(pack_name: str, outcome: str) -> None:
    """A pack posted an event."""
    _with_labels(EVENTS, _pack_labels.limit(pack_name), outcome).inc()


def count_result(pack_name: str, outcome: str) -> None:
    """A result came, or a lease ended."""
    _with_labels(RESULTS, _pack_labels.limit(pack_name), outcome).inc()


def count_actions(pack_names: Iterable[str], state: str) -> None:
    """Actions for packs of these names, one each, came into a state."""
    for name in pack_names:
        _with_labels(ACTIONS, _pack_labels.limit(name), state).inc()


def count_flow(flow_name: str, *, fired: bool, errors: int) -> None:
    """A flow was judged: whether that started an execution, and how many of its steps could not be judged."""
    name = _flow_labels.limit(flow_name)
    if fired:
        _with_labels(FLOWS_FIRED, name).inc()
    if errors:
        _with_labels(TEMPLATE_ERRORS, name).inc(errors)


def count_execution(flow_name: str, state: str) -> None:
    """An execution of a flow ended."""
    _with_labels(EXECUTIONS_ENDED, _flow_labels.limit(flow_name), state).inc()


@contextmanager
def time_intake(kind: str) -> Iterator[None]:
    """Times the block as the intake of an `event` or a `result`."""
    start = perf_counter()
    yield
    _with_labels(INTAKE_SECONDS, kind).observe(perf_counter() - start)


def observe_take(seconds: float, *, has_action: bool) -> None:
    """A look for an action took so long."""
    _with_labels(TAKE_SECONDS, "action" if has_action else "nothing").observe(seconds)


def observe_job(name: str, seconds: float, *, failed: bool) -> None:
    """A periodic job ran for so long. The label is `task`: `job` is what Prometheus calls the server."""
    _with_labels(JOB_SECONDS, name, "failed" if failed else "done").observe(seconds)


class ProcessSlot:
    """The number of this process among those that share a folder: the lowest that no living process holds.

    A process that was forked takes one of its own. The system gives a slot free when its process ends, however it ends.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process = 0
        self._number = ""
        self._lock = threading.Lock()
        self._lock_fd: int | None = None

    def __call__(self) -> str:
        if os.getpid() != self._process:
            with self._lock:
                self._acquire()
        return self._number

    def _acquire(self) -> None:
        if self._lock_fd is not None and os.getpid() != self._process:
            os.close(self._lock_fd)  # the parent's, which keeps it
        for number in range(MAX_PROCESSES):
            lock_fd = os.open(self._directory / f"{number}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock_fd)
                continue
            self._lock_fd, self._number, self._process = lock_fd, str(number), os.getpid()
            return
        raise RuntimeError(f"{self._directory} is shared by more than {MAX_PROCESSES} processes")


def use_shared_directory(directory: str) -> None:
    """Count into this folder from now on, together with the other processes that do. Before anything is counted."""
    _with_labels.cache_clear()
    os.environ[DIRECTORY_VARIABLE] = directory
    values.ValueClass = values.MultiProcessValue(ProcessSlot(Path(directory)))  # type: ignore[no-untyped-call]


@contextmanager
def shared_directory(configured: str) -> Iterator[str]:
    """The folder that was chosen; else a new one for as long as the block runs, which this user alone can read."""
    if configured:
        yield configured
        return
    directory, owner_pid = tempfile.mkdtemp(prefix="flyte-metrics-"), os.getpid()
    try:
        yield directory
    finally:
        if os.getpid() == owner_pid:  # children that were forked within the block leave it too
            shutil.rmtree(directory, ignore_errors=True)


def collect() -> Iterable[Metric]:
    """The numbers of all processes that share this one's folder; those of this one alone where it shares none."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return REGISTRY.collect()
    metrics: Iterable[Metric] = MultiProcessCollector(None, directory).collect()  # type: ignore[no-untyped-call]
    return metrics
