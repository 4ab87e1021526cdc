"""`/metrics`: counters of all processes and figures from the database, in the Prometheus text format."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import structlog
from django.db import Error
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from rest_framework.request import Request

from audit.stats import MAX_PACK_NAMES, PackLoad, measure_pack_loads
from flows.models import Execution, ExecutionState
from flyte_site.core.observability.metrics import collect
from flyte_site.db.postgresql.plans import index_order
from flyte_site.http.views import APIView
from flyte_site.models import JobRun
from packs.hosted_status import MAX_ROWS
from packs.models import STATUSES, HostedCount, Pack, status_filter
from packs.queue.backlog import find_orphans

log = structlog.get_logger(__name__)

MAX_QUEUED = 10_000
MAX_RUNNING = 10_000
MAX_PACKS = 10_000


class MetricsView(APIView):
    """The endpoint that Prometheus scrapes."""

    @extend_schema(
        operation_id="metrics",
        summary="Get metrics for Prometheus",
        tags=["info"],
        responses={(200, "text/plain"): OpenApiTypes.STR},
    )
    def get(self, request: Request) -> HttpResponse:
        """Return all metrics in the Prometheus text format."""
        text = generate_latest(MetricsCollector())
        return HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


class MetricsCollector:
    """Collector of all metrics for prometheus_client. If the database is unavailable, only the processes' own metrics
    remain.
    """

    def collect(self) -> Iterator[Metric]:
        yield from collect()
        metrics: list[Metric] = []
        try:
            for collect_metrics in COLLECTORS:
                metrics += collect_metrics()
        except Error as error:
            log.warning("metrics_store_away", error=type(error).__name__)
            metrics = []
        yield GaugeMetricFamily(
            "flyte_database_up", "1 if the database answered, otherwise 0.", value=float(bool(metrics))
        )
        yield from metrics


def collect_queue_metrics() -> list[Metric]:
    """Measure queued and claimed actions by pack name, and report if any figure is truncated."""
    now, pack_loads = timezone.now(), measure_pack_loads(MAX_QUEUED)
    orphans = find_orphans()
    is_truncated = (
        orphans.is_lower_bound
        or len(pack_loads) >= MAX_PACK_NAMES
        or any(load.queued >= MAX_QUEUED for load in pack_loads)
    )
    return [
        _gauge_by_pack("flyte_actions_waiting", "Queued actions.", pack_loads, lambda load: load.queued),
        _gauge_by_pack(
            "flyte_actions_waiting_oldest_seconds",
            "Time in the queue of the oldest queued action.",
            pack_loads,
            lambda load: _age_seconds(load.queued_since, now),
        ),
        _gauge_by_pack(
            "flyte_actions_held",
            "Actions that a pack has taken but not finished.",
            pack_loads,
            lambda load: load.claimed,
        ),
        _gauge_by_pack(
            "flyte_actions_held_oldest_seconds",
            "Time since the oldest of them was taken.",
            pack_loads,
            lambda load: _age_seconds(load.claimed_since, now),
        ),
        GaugeMetricFamily(
            "flyte_actions_orphaned",
            "Queued actions that no registered pack could take.",
            value=orphans.count,
        ),
        GaugeMetricFamily(
            "flyte_figures_cut",
            "1 if more actions are queued than were counted, otherwise 0.",
            value=float(is_truncated),
        ),
    ]


def collect_pack_metrics() -> list[Metric]:
    """Count packs by status, and running executions."""
    now = timezone.now()
    packs = GaugeMetricFamily("flyte_packs", "Registered packs by status.", labels=["status"])
    for status in STATUSES:
        packs.add_metric([status], Pack.objects.filter(status_filter(status, now)).order_by()[:MAX_PACKS].count())
    # A range: for an equality PostgreSQL drops the order by this column, and may then choose any index.
    running = Execution.objects.filter(state__range=(ExecutionState.RUNNING, ExecutionState.RUNNING)).order_by("state")
    with index_order():
        running_count = running[:MAX_RUNNING].count()
    return [packs, GaugeMetricFamily("flyte_executions_running", "Running executions.", value=running_count)]


def collect_job_metrics() -> list[Metric]:
    """Report the runs of each periodic job and the time of the last one, over all machines."""
    runs = CounterMetricFamily("flyte_job_runs", "Runs of periodic jobs on all machines.", labels=["task"])
    last = GaugeMetricFamily("flyte_job_last_run_timestamp_seconds", "Time of the job's last run.", labels=["task"])
    for row in JobRun.objects.order_by("name"):
        runs.add_metric([row.name], row.runs)
        if row.ran_at:
            last.add_metric([row.name], row.ran_at.timestamp())
    return [runs, last]


def collect_hosted_metrics() -> list[Metric]:
    """Report the counters of hosted plugins, the server's and their own, over all machines."""
    counts = CounterMetricFamily("flyte_hosted", "Counters of hosted plugins.", labels=["plugin", "name"])
    for row in HostedCount.objects.order_by("plugin", "name")[:MAX_ROWS]:
        counts.add_metric([row.plugin, row.name], row.value)
    return [counts]


COLLECTORS: tuple[Callable[[], list[Metric]], ...] = (
    collect_queue_metrics,
    collect_pack_metrics,
    collect_job_metrics,
    collect_hosted_metrics,
)


def _gauge_by_pack(
    name: str, documentation: str, pack_loads: Iterable[PackLoad], value: Callable[[PackLoad], float]
) -> Metric:
    family = GaugeMetricFamily(name, documentation, labels=["pack"])
    for load in pack_loads:
        family.add_metric([load.pack_name], value(load))
    return family


def _age_seconds(since: datetime | None, now: datetime) -> float:
    """Return the age in seconds; 0 for None and for times in the future."""
    return max((now - since).total_seconds(), 0.0) if since else 0.0
