"""`/metrics`: what the processes counted, and what the database knows, as Prometheus reads it."""

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

from audit.stats import MAX_PACK_NAMES as MOST_NAMES
from audit.stats import PackLoad, measure_pack_loads
from flows.models import Execution, ExecutionState
from flyte_site.core.metrics import collect
from flyte_site.db.postgresql.plans import index_order
from flyte_site.http.views import APIView
from flyte_site.models import JobRun
from packs.hosted_status import MAX_ROWS as MOST_COUNTS
from packs.models import STATUSES, HostedCount, Pack, status_filter
from packs.queue.backlog import find_orphans

log = structlog.get_logger(__name__)

MAX_QUEUED = 10_000
MAX_RUNNING = 10_000
MAX_PACKS = 10_000


class MetricsView(APIView):
    """Where Prometheus reads."""

    @extend_schema(operation_id="metrics", tags=["info"], responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        """What happened and what waits, in Prometheus' text format."""
        text = generate_latest(MetricsCollector())
        return HttpResponse(text, content_type=CONTENT_TYPE_PLAIN_0_0_4)


class MetricsCollector:
    """All metrics, as prometheus_client asks for them. While the database is away there are those of the processes."""

    def collect(self) -> Iterator[Metric]:
        yield from collect()
        metrics: list[Metric] = []
        try:
            for collect_metrics in COLLECTORS:
                metrics += collect_metrics()
        except Error as error:
            log.warning("metrics_store_away", error=type(error).__name__)
            metrics = []
        yield GaugeMetricFamily("flyte_database_up", "Whether the database answered.", value=float(bool(metrics)))
        yield from metrics


def collect_queue_metrics() -> list[Metric]:
    """What waits and what is held, by pack name, and whether any of it may be more."""
    now, pack_loads = timezone.now(), measure_pack_loads(MAX_QUEUED)
    orphans = find_orphans()
    is_truncated = (
        orphans.is_lower_bound or len(pack_loads) >= MOST_NAMES or any(load.queued >= MAX_QUEUED for load in pack_loads)
    )
    return [
        _gauge_by_pack("flyte_actions_waiting", "Actions that wait to be taken.", pack_loads, lambda load: load.queued),
        _gauge_by_pack(
            "flyte_actions_waiting_oldest_seconds",
            "For how long the oldest of those has waited.",
            pack_loads,
            lambda load: _age_seconds(load.queued_since, now),
        ),
        _gauge_by_pack(
            "flyte_actions_held",
            "Actions that a pack took and has not finished.",
            pack_loads,
            lambda load: load.claimed,
        ),
        _gauge_by_pack(
            "flyte_actions_held_oldest_seconds",
            "For how long the oldest of those has been held.",
            pack_loads,
            lambda load: _age_seconds(load.claimed_since, now),
        ),
        GaugeMetricFamily(
            "flyte_actions_orphaned",
            "Actions that wait though no registered pack could take them.",
            value=orphans.count,
        ),
        GaugeMetricFamily(
            "flyte_figures_cut", "1 where so much waits that not all of it was counted.", value=float(is_truncated)
        ),
    ]


def collect_pack_metrics() -> list[Metric]:
    """Packs by how lately they were seen, and executions that run."""
    now = timezone.now()
    packs = GaugeMetricFamily("flyte_packs", "Registered packs, by how lately they were seen.", labels=["status"])
    for status in STATUSES:
        packs.add_metric([status], Pack.objects.filter(status_filter(status, now)).order_by()[:MAX_PACKS].count())
    # A range, since PostgreSQL drops the order by a column that is equal in all rows, and then any index will do.
    running = Execution.objects.filter(state__range=(ExecutionState.RUNNING, ExecutionState.RUNNING)).order_by("state")
    with index_order():
        running_count = running[:MAX_RUNNING].count()
    return [packs, GaugeMetricFamily("flyte_executions_running", "Executions that run.", value=running_count)]


def collect_job_metrics() -> list[Metric]:
    """How often each periodic job ran, on whatever machine, and when it last did."""
    runs = CounterMetricFamily("flyte_job_runs", "Runs of periodic jobs, on all machines.", labels=["task"])
    last = GaugeMetricFamily("flyte_job_last_run_timestamp_seconds", "When a job last ran.", labels=["task"])
    for row in JobRun.objects.order_by("name"):
        runs.add_metric([row.name], row.runs)
        if row.ran_at:
            last.add_metric([row.name], row.ran_at.timestamp())
    return [runs, last]


def collect_hosted_metrics() -> list[Metric]:
    """What hosted plugins counted, in the server's scope and in their own, on all machines."""
    counts = CounterMetricFamily("flyte_hosted", "What hosted plugins count.", labels=["plugin", "name"])
    for row in HostedCount.objects.order_by("plugin", "name")[:MOST_COUNTS]:
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
    """Seconds; 0 for nothing, and for what is to wait until a time to come."""
    return max((now - since).total_seconds(), 0.0) if since else 0.0
