"""Metrics of all processes of a machine, for `/metrics`.

Each process writes its own files in a shared folder, and the process that serves `/metrics` adds them up (the
multiprocess mode of prometheus_client). Files are named by a slot instead of the process id: a new process takes over
the slot of one that has ended and continues its counts, so that no counter decreases and no files accumulate.
"""

import fcntl
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

# The maximum number of values of a label; further names are counted together.
MAX_PACK_LABELS = 200
MAX_FLOW_LABELS = 500
OTHER_LABEL = "(other)"
MAX_PROCESSES = 1024
DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
DIRECTORY_PREFIX, LOCK_NAME = "flyte-metrics-", "owner.lock"
UNLOCKED_SECONDS = 60

REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
JOB_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900)

# All metrics have labels: one without would create its value on import, before the folder is known.
REGISTRY = CollectorRegistry()
EVENTS = Counter(
    "flyte_events",
    "Events that packs posted: fired (an execution started), unmet (flows subscribe to the event, but labels or "
    "criteria did not match), error (a flow failed to evaluate, and none started), unheard (no flow subscribes), "
    "repeated (the Idempotency-Key was already used).",
    ["pack", "outcome"],
    registry=REGISTRY,
)
RESULTS = Counter(
    "flyte_results",
    "Results of actions, and expired leases: counted, retried (a FATAL that is retried), repeated, refused.",
    ["pack", "outcome"],
    registry=REGISTRY,
)
ACTIONS = Counter(
    "flyte_actions",
    "Actions that entered a state; NEW again before each retry.",
    ["pack", "state"],
    registry=REGISTRY,
)
FLOWS_FIRED = Counter("flyte_flows_fired", "Executions started by events and results.", ["flow"], registry=REGISTRY)
EXECUTIONS_ENDED = Counter(
    "flyte_executions_ended",
    "Executions that ended, by state. An execution with a retried step ends again.",
    ["flow", "state"],
    registry=REGISTRY,
)
TEMPLATE_ERRORS = Counter(
    "flyte_template_errors", "Steps that failed to evaluate because of a template error.", ["flow"], registry=REGISTRY
)
TAKE_SECONDS = Histogram(
    "flyte_take_seconds",
    "Time to find and hand out an action, or to find that none is ready; without the waiting time of long polls.",
    ["outcome"],
    buckets=REQUEST_BUCKETS,
    registry=REGISTRY,
)
INTAKE_SECONDS = Histogram(
    "flyte_intake_seconds",
    "Time to process an event or a result with all its effects, until they were committed.",
    ["kind"],
    buckets=REQUEST_BUCKETS,
    registry=REGISTRY,
)
JOB_SECONDS = Histogram(
    "flyte_job_seconds",
    "Duration of periodic jobs, by outcome: done or failed.",
    ["task", "outcome"],
    buckets=JOB_BUCKETS,
    registry=REGISTRY,
)


class LabelLimiter:
    """A limit for the values of a label: names after the first `max_labels` become OTHER_LABEL."""

    def __init__(self, max_labels: int) -> None:
        self._max_labels = max_labels
        self._labels: set[str] = set()

    def limit(self, name: str) -> str:
        """Return the name, or OTHER_LABEL beyond the limit."""
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
    """Return the metric with these labels, cached because the library's lookup takes several times as long."""
    return metric.labels(*labels)


def count_event(pack_name: str, outcome: str) -> None:
    """Count an event that a pack posted."""
    _with_labels(EVENTS, _pack_labels.limit(pack_name), outcome).inc()


def count_result(pack_name: str, outcome: str) -> None:
    """Count a result or an expired lease."""
    _with_labels(RESULTS, _pack_labels.limit(pack_name), outcome).inc()


def count_actions(pack_names: Iterable[str], state: str) -> None:
    """Count actions that entered a state, one for each pack name."""
    for name in pack_names:
        _with_labels(ACTIONS, _pack_labels.limit(name), state).inc()


def count_flow(flow_name: str, *, fired: bool, errors: int) -> None:
    """Count an evaluation of a flow: a started execution, and steps with template errors."""
    name = _flow_labels.limit(flow_name)
    if fired:
        _with_labels(FLOWS_FIRED, name).inc()
    if errors:
        _with_labels(TEMPLATE_ERRORS, name).inc(errors)


def count_execution(flow_name: str, state: str) -> None:
    """Count an execution that ended."""
    _with_labels(EXECUTIONS_ENDED, _flow_labels.limit(flow_name), state).inc()


@contextmanager
def time_intake(kind: str) -> Iterator[None]:
    """Observe the duration of the block as the intake of an `event` or a `result`."""
    start = perf_counter()
    yield
    _with_labels(INTAKE_SECONDS, kind).observe(perf_counter() - start)


def observe_take(seconds: float, *, has_action: bool) -> None:
    """Observe the duration of a search for an action."""
    _with_labels(TAKE_SECONDS, "action" if has_action else "nothing").observe(seconds)


def observe_job(name: str, seconds: float, *, failed: bool) -> None:
    """Observe the duration of a periodic job. The label is `task`, because Prometheus uses `job` for the server."""
    _with_labels(JOB_SECONDS, name, "failed" if failed else "done").observe(seconds)


class ProcessSlot:
    """The slot of this process among those that share a folder: the lowest that no running process holds.

    A forked process takes a new one. The system releases a slot when its process ends for any reason.
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
            os.close(self._lock_fd)  # the lock of the parent, which keeps it
        for number in range(MAX_PROCESSES):
            lock_fd = os.open(self._directory / f"{number}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock_fd)
                continue
            self._lock_fd, self._number, self._process = lock_fd, str(number), os.getpid()
            return
        raise RuntimeError(f"more than {MAX_PROCESSES} processes share the metrics folder {self._directory}")


def use_shared_directory(directory: str) -> None:
    """Store metrics in this folder, shared with other processes. Call it before the first metric is used."""
    _with_labels.cache_clear()
    os.environ[DIRECTORY_VARIABLE] = directory
    values.ValueClass = values.MultiProcessValue(ProcessSlot(Path(directory)))  # type: ignore[no-untyped-call]


@contextmanager
def shared_directory(configured: str) -> Iterator[str]:
    """Yield the configured folder, or a new private one that is deleted after the block."""
    if configured:
        yield configured
        return
    _remove_stale_directories()
    directory, owner_pid = tempfile.mkdtemp(prefix=DIRECTORY_PREFIX), os.getpid()
    lock_fd = _lock_directory(directory)
    try:
        yield directory
    finally:
        if os.getpid() == owner_pid:  # forked children leave the block too
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock_fd)


def _lock_directory(directory: str) -> int:
    """Lock a private folder for as long as this process or a forked one lives. Raises `OSError` if it is locked."""
    lock_fd = os.open(Path(directory, LOCK_NAME), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock_fd)
        raise
    return lock_fd


def _remove_stale_directories() -> None:
    """Remove the private folders of servers that were killed: those that no process locks.

    A folder without a lock is kept for a while: its server may not have locked it yet.
    """
    for directory in Path(tempfile.gettempdir()).glob(f"{DIRECTORY_PREFIX}*"):
        with suppress(OSError):
            status = directory.lstat()
            is_recent = time.time() - status.st_mtime < UNLOCKED_SECONDS
            is_ours = status.st_uid == os.getuid() and stat.S_ISDIR(status.st_mode)
            if not is_ours or (is_recent and not (directory / LOCK_NAME).exists()):
                continue
            lock_fd = _lock_directory(str(directory))
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock_fd)


def collect() -> Iterable[Metric]:
    """Return the metrics of all processes that share the folder; without a shared folder, those of this process."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return REGISTRY.collect()
    metrics: Iterable[Metric] = MultiProcessCollector(None, directory).collect()  # type: ignore[no-untyped-call]
    return metrics
