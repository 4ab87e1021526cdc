"""Database reads of the audit's lists: they do not grow with ten times as many executions.

The tests measure reads, not time: rows of tables and indexes in PostgreSQL, steps of the virtual machine in SQLite.
PostgreSQL plans a repeated statement once for all values, sometimes without statistics of its tables: these generic
plans must not read more either.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client

from audit.search.keyset_page import MAX_SCANNED
from tests.audit.bulk_executions import OWN_LABELS, Dataset, id_of, insert_executions
from tests.reading import cost

pytestmark = [pytest.mark.database, pytest.mark.django_db]

FEW, MANY = 2_000, 20_000
# Older than the last day, whose executions the home page counts.
NEWEST = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
ON_SQLITE = connection.vendor == "sqlite"
# Allowed in addition to 1.5 times the reads; less than a scan of the additional rows.
MORE = 10_000 if ON_SQLITE else 1_000
PLANS = ["fresh"] if ON_SQLITE else ["fresh", "generic", "generic, nothing known"]

FLOWS = "/v1/audit/flows?limit=25&"
LISTS = {
    "first page": FLOWS,
    "deep page": f"{FLOWS}olderThan={{deep}}",
    "rows passed over": f"{FLOWS}start=1000",
    **{f"state {state}": f"{FLOWS}state={state}" for state in ("running", "succeeded", "failed", "cancelled")},
    **{f"flow {flow}": f"{FLOWS}flowName={flow}" for flow in ("many", "rare", "old", "no")},
    **{f"step {step}": f"{FLOWS}stepId={step}" for step in ("work", "tell", "rare", "old", "no")},
    **{f"command {name}": f"{FLOWS}actionName={name}" for name in ("Do", "SendMessage", "Rare", "old", "no")},
    **{f"pack {name}": f"{FLOWS}actionPackName={name}" for name in ("Wrk", "Slack", "Rare", "old", "no")},
    **{f"labels {value}": f"{FLOWS}actionPackLabels=env:{value}" for value in ("prod", "no")},
    "deep page of a pack": f"{FLOWS}actionPackName=Wrk&olderThan={{deep}}",
    "deep page of labels": f"{FLOWS}actionPackLabels=env:prod&olderThan={{deep}}",
    "events": "/v1/audit/events",
    **{f"events of pack {name}": f"/v1/audit/events?packName={name}" for name in ("Src", "Rare", "old", "no")},
    **{f"events {name}": f"/v1/audit/events?event={name}" for name in ("Go", "Rare", "old", "no")},
    "events of both": "/v1/audit/events?packName=Src&event=Go",
    "events of a flow": "/v1/audit/events?flow=many",
    "console's home": "/admin/",
    "console's list": "/admin/flows/execution/",
    "console's list before": "/admin/flows/execution/?newer_than={deep}",
    "console's list of a pack": "/admin/flows/execution/?pack=old",
    "console's list of labels": "/admin/flows/execution/?labels=env:prod",
    "console's list of a time": "/admin/flows/execution/?until={hour}",
    "console's list of a pack and time": "/admin/flows/execution/?pack=Wrk&until={hour}",
    "console's execution": "/admin/flows/execution/{id}/",
    "console's events": "/admin/flows/event/?pack=old",
}

Cost = dict[str, int]


def costs(count: int, plan: str, paths: dict[str, str], **fields: Any) -> Cost:
    """Measure the reads of each page with this number of executions."""
    dataset = Dataset(NEWEST, long_ago=count - 10, **fields)
    with insert_executions(count, dataset, analyzed=plan != "generic, nothing known"), transaction.atomic():
        client = Client()
        client.force_login(User.objects.create_superuser("admin"))
        client.get("/admin/password_change/")  # the first page of a session updates its last use
        if plan != "fresh":
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        parameters = {
            "deep": id_of(count * 3 // 4, 2, NEWEST),
            "id": id_of(count - 20, 1, NEWEST),
            "hour": f"{NEWEST - timedelta(seconds=count * 3 // 4):%Y-%m-%dT%H:%M}",
        }
        reads = {name: cost(lambda path=path: get(client, path.format(**parameters))) for name, path in paths.items()}  # type: ignore[misc]
        transaction.set_rollback(True)
    return reads


def get(client: Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200, response.content[:500]


@pytest.fixture(scope="module", params=PLANS)
def measured(request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any) -> tuple[Cost, Cost, Cost]:
    """Measure the pages with few executions, with many, and with many that each require a different label."""
    hosts = {value: f"{FLOWS}actionPackLabels=host:{value}" for value in ("h-3", f"h-{MANY - 3}", "no")}
    with django_db_blocker.unblock():
        distinct = costs(MANY, request.param, hosts, labels=OWN_LABELS)
        return costs(FEW, request.param, LISTS), costs(MANY, request.param, LISTS), distinct


@pytest.mark.parametrize("name", LISTS)
def test_a_page_reads_no_more_where_there_is_ten_times_as_much(name: str, measured: tuple[Cost, Cost, Cost]) -> None:
    few, many, _ = measured
    assert many[name] <= 1.5 * few[name] + MORE


def test_of_as_many_labels_as_actions_a_bounded_number_is_looked_at(measured: tuple[Cost, Cost, Cost]) -> None:
    assert max(measured[2].values()) <= MAX_SCANNED * (40 if ON_SQLITE else 3)
