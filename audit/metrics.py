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

from audit.figures import MOST_PACKS as MOST_NAMES
from audit.figures import Load, loads
from flows.models import Execution, ExecutionState
from flyte_site.meters import collected
from flyte_site.models import JobRun
from flyte_site.postgresql.plans import index_order
from flyte_site.rest.views import APIView
from packs.models import STATUSES, HostedCount, Pack, of_status
from packs.orphans import orphaned
from packs.webapi.queries import MOST as MOST_COUNTS

log = structlog.get_logger(__name__)

MOST_WAITING = 10_000
MOST_RUNNING = 10_000
MOST_PACKS = 10_000


class MetricsView(APIView):
    """Where Prometheus reads."""

    @extend_schema(operation_id="metrics", tags=["info"], responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        """What happened and what waits, in Prometheus' text format."""
        page = generate_latest(Page())
        return HttpResponse(page, content_type=CONTENT_TYPE_PLAIN_0_0_4)


class Page:
    """All metrics, as prometheus_client asks for them. While the database is away there are those of the processes."""

    def collect(self) -> Iterator[Metric]:
        yield from collected()
        found: list[Metric] = []
        try:
            for fact in FACTS:
                found += fact()
        except Error as error:
            log.warning("metrics_store_away", error=type(error).__name__)
            found = []
        yield GaugeMetricFamily("flyte_database_up", "Whether the database answered.", value=float(bool(found)))
        yield from found


def queue_facts() -> list[Metric]:
    """What waits and what is held, by pack name, and whether any of it may be more."""
    now, found = timezone.now(), loads(MOST_WAITING)
    lost = orphaned()
    cut = lost.bounded or len(found) >= MOST_NAMES or any(load.waiting >= MOST_WAITING for load in found)
    return [
        _by_pack("flyte_actions_waiting", "Actions that wait to be taken.", found, lambda load: load.waiting),
        _by_pack(
            "flyte_actions_waiting_oldest_seconds",
            "For how long the oldest of those has waited.",
            found,
            lambda load: _age(load.waiting_since, now),
        ),
        _by_pack("flyte_actions_held", "Actions that a pack took and has not finished.", found, lambda load: load.held),
        _by_pack(
            "flyte_actions_held_oldest_seconds",
            "For how long the oldest of those has been held.",
            found,
            lambda load: _age(load.held_since, now),
        ),
        GaugeMetricFamily(
            "flyte_actions_orphaned", "Actions that wait though no registered pack could take them.", value=lost.count
        ),
        GaugeMetricFamily(
            "flyte_figures_cut", "1 where so much waits that not all of it was counted.", value=float(cut)
        ),
    ]


def pack_facts() -> list[Metric]:
    """Packs by how lately they were seen, and executions that run."""
    now = timezone.now()
    packs = GaugeMetricFamily("flyte_packs", "Registered packs, by how lately they were seen.", labels=["status"])
    for status in STATUSES:
        packs.add_metric([status], Pack.objects.filter(of_status(status, now)).order_by()[:MOST_PACKS].count())
    # A range, since PostgreSQL drops the order by a column that is equal in all rows, and then any index will do.
    running = Execution.objects.filter(state__range=(ExecutionState.RUNNING, ExecutionState.RUNNING)).order_by("state")
    with index_order():
        running_count = running[:MOST_RUNNING].count()
    return [packs, GaugeMetricFamily("flyte_executions_running", "Executions that run.", value=running_count)]


def job_facts() -> list[Metric]:
    """How often each periodic job ran, on whatever machine, and when it last did."""
    runs = CounterMetricFamily("flyte_job_runs", "Runs of periodic jobs, on all machines.", labels=["task"])
    last = GaugeMetricFamily("flyte_job_last_run_timestamp_seconds", "When a job last ran.", labels=["task"])
    for row in JobRun.objects.order_by("name"):
        runs.add_metric([row.name], row.runs)
        if row.ran_at:
            last.add_metric([row.name], row.ran_at.timestamp())
    return [runs, last]


def hosted_facts() -> list[Metric]:
    """What hosted plugins counted, in the server's scope and in their own, on all machines."""
    counts = CounterMetricFamily("flyte_hosted", "What hosted plugins count.", labels=["plugin", "name"])
    for row in HostedCount.objects.order_by("plugin", "name")[:MOST_COUNTS]:
        counts.add_metric([row.plugin, row.name], row.value)
    return [counts]


FACTS: tuple[Callable[[], list[Metric]], ...] = (queue_facts, pack_facts, job_facts, hosted_facts)


def _by_pack(name: str, meaning: str, found: Iterable[Load], value: Callable[[Load], float]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=["pack"])
    for load in found:
        family.add_metric([load.pack_name], value(load))
    return family


def _age(since: datetime | None, now: datetime) -> float:
    """Seconds; 0 for nothing, and for what is to wait until a time to come."""
    return max((now - since).total_seconds(), 0.0) if since else 0.0
