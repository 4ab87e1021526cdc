"""Searches for executions and events among a hundred thousand: their results and their database reads."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit import stats
from audit.search import executions
from audit.search.executions import EventQuery, ExecutionQuery
from audit.search.keyset_page import MAX_SCANNED, KeysetCursor
from packs.models import Pack
from tests.audit.bulk_executions import EVENTS, EXECUTIONS, LONG_AGO, NEWEST, RARE_EVERY, id_of, insert_executions
from tests.reading import controls_transaction, statements

pytestmark = [pytest.mark.database, pytest.mark.django_db]

NOW = NEWEST + timedelta(minutes=5)
RARE = [number for number in range(EXECUTIONS) if number % RARE_EVERY == 1]


@pytest.fixture(scope="module", autouse=True)
def all_executions(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), insert_executions():
        yield


def search(cursor: KeysetCursor | None = None, size: int = 25, **filters: Any) -> executions.ExecutionPage:
    return executions.list_execution_rows(ExecutionQuery(**filters), cursor or KeysetCursor(), NOW, size)


def numbers(page: executions.ExecutionPage) -> list[int]:
    """Return the numbers of the executions of a page, as `insert_executions` assigned them."""
    return [int(row.execution.id[-10:], 16) for row in page.rows]


def walk(**filters: Any) -> list[int]:
    """Return the numbers of all results, page by page to the end."""
    cursor, seen = KeysetCursor(), []
    for _ in range(100):
        page = search(cursor, **filters)
        seen += numbers(page)
        if page.keyset_page.older is None:
            return seen
        cursor = page.keyset_page.older
    raise AssertionError("the pages do not end")


def test_the_newest_come_first_and_each_page_continues_the_previous_one() -> None:
    first = search(size=10)
    assert numbers(first) == list(range(10))
    assert first.keyset_page.newer is None
    assert first.keyset_page.older is not None
    second = search(first.keyset_page.older, size=10)
    assert numbers(second) == list(range(10, 20))
    assert second.keyset_page.newer is not None
    assert numbers(search(second.keyset_page.newer, size=10)) == list(range(10))


def test_a_page_before_the_newest_page_is_the_newest_page() -> None:
    page = search(KeysetCursor(newer_than=id_of(3, 2)), size=10)
    assert numbers(page) == list(range(10))
    assert page.keyset_page.newer is None


def test_a_page_in_the_middle_has_newer_and_older_pages() -> None:
    page = search(KeysetCursor(newer_than=id_of(51, 2)), size=10)
    assert numbers(page) == list(range(41, 51))
    assert page.keyset_page.newer == KeysetCursor(newer_than=id_of(41, 2))
    assert page.keyset_page.older == KeysetCursor(older_than=id_of(50, 2))


def test_the_last_page_has_no_older_page() -> None:
    page = search(KeysetCursor(older_than=id_of(EXECUTIONS - 3, 2)))
    assert numbers(page) == [EXECUTIONS - 2, EXECUTIONS - 1]
    assert page.keyset_page.older is None


@pytest.mark.parametrize(
    "filters",
    [{"flow": "rare"}, {"step": "rare"}, {"command": "Rare"}, {"pack": "Rare"}, {"pack": "Rare", "step": "rare"}],
)
def test_rare_executions_are_found_at_any_age(filters: dict[str, Any]) -> None:
    page = search(**filters)
    assert numbers(page) == RARE
    assert page.keyset_page.scanned_to is None
    assert page.keyset_page.older is None


@pytest.mark.parametrize(
    "filters",
    [
        {"flow": "old"},
        {"state": "cancelled"},
        {"flow": "old", "state": "cancelled"},
        {"step": "old", "state": "cancelled"},
        {"flow": "old", "pack": "old"},
        {"pack": "old", "command": "old", "step": "old"},
    ],
)
def test_a_single_old_execution_is_found_on_the_first_page_by_any_filter(filters: dict[str, Any]) -> None:
    assert numbers(search(**filters)) == [LONG_AGO]


def test_filters_about_actions_must_hold_for_one_action() -> None:
    assert numbers(search(step="tell", pack="Wrk")) == numbers(search(flow="rare", step="tell", pack="Rare")) == []
    assert numbers(search(step="tell", pack="Slack", size=3)) == [0, 4, 8]


def test_an_execution_with_several_actions_that_match_is_found_once() -> None:
    seen = numbers(search(text="user 4", since=NEWEST - timedelta(seconds=100)))
    assert seen == [4, *range(40, 50)]


def test_rarely_required_labels_are_found_at_any_age() -> None:
    page = search(labels={"env": "prod"})
    assert numbers(page) == list(range(3, 25_000, 1000))
    assert page.keyset_page.scanned_to is None
    assert walk(labels={"env": "prod"}) == list(range(3, EXECUTIONS, 1000))
    assert walk(labels={"env": "prod"}, state="failed") == walk(labels={"env": "prod"}, step="old") == []


def test_a_search_for_labels_in_a_flow_is_bounded_and_returns_its_bound() -> None:
    page = search(flow="many", labels={"env": "prod"})
    assert numbers(page) == list(range(3, MAX_SCANNED, 1000))
    assert page.keyset_page.scanned_to is not None
    assert abs((NEWEST - page.keyset_page.scanned_to).total_seconds() - MAX_SCANNED) <= 2
    assert walk(flow="many", labels={"env": "prod"}) == list(range(3, EXECUTIONS, 1000))


def test_a_text_is_searched_in_the_last_day_unless_a_time_is_set() -> None:
    assert walk(text="nEEdle") == [number for number in RARE if number <= 86_100]
    everything = NEWEST - timedelta(days=30)
    assert walk(text="needle", since=everything) == RARE
    assert walk(text="needle", flow="rare", since=everything) == RARE
    assert walk(text="needle", flow="rare", state="running", since=everything) == []


@pytest.mark.parametrize("text", ['Who":"user', "user%", "user_1", "\\", "ü"])
def test_a_text_is_matched_literally(text: str) -> None:
    assert numbers(search(text=text)) == []


def test_a_period_limits_the_results() -> None:
    since, until = NEWEST - timedelta(seconds=105), NEWEST - timedelta(seconds=100)
    assert numbers(search(since=since, until=until)) == list(range(101, 106))
    assert numbers(search(pack="Slack", since=since, until=until)) == [104]


def test_a_truncated_search_continues_in_both_directions() -> None:
    first = search(flow="many", labels={"env": "prod"}, size=25)
    assert first.keyset_page.scanned_to is not None
    assert first.keyset_page.older is not None
    second = search(first.keyset_page.older, flow="many", labels={"env": "prod"}, size=25)
    assert numbers(second) != []
    assert second.keyset_page.newer is not None
    assert numbers(search(second.keyset_page.newer, flow="many", labels={"env": "prod"}, size=5)) == numbers(first)[-5:]


def test_a_search_without_results_shows_the_range_searched(client: Client) -> None:
    user = User.objects.create_superuser("admin")
    client.force_login(user)
    body = client.get("/admin/flows/execution/?text=nothing-such&since=2026-11-19T00:00").content.decode()
    assert "No results. Searched the newest 2000 candidates, back to <time" in body


def test_each_row_has_a_summary_of_its_execution() -> None:
    rows = {number: row.summary for number, row in zip(range(6), search(size=6).rows, strict=True)}
    assert rows[1] == "an event → rare (Rare.Rare, succeeded in 2.0 s)"
    assert rows[2] == "Src.Go → work queued for Wrk for 5 min 2 s"
    assert rows[4] == "Src.Go → work (Wrk.Do, succeeded in 2.0 s) → tell (Slack.SendMessage, succeeded in 5.0 s)"


def event_numbers(page: executions.EventPage) -> list[int]:
    return [int(event.id[-10:], 16) for event in page.rows]


def test_events_are_found_by_pack_name_and_time_a_page_at_a_time() -> None:
    first = executions.find_events(EventQuery(), KeysetCursor(), 10)
    assert event_numbers(first) == list(range(10))
    assert first.keyset_page.older is not None
    assert event_numbers(executions.find_events(EventQuery(), first.keyset_page.older, 10)) == list(range(10, 20))
    rare = executions.find_events(EventQuery("Rare", "Rare"), KeysetCursor(), 10)
    assert event_numbers(rare) == [number for number in range(EVENTS) if number % RARE_EVERY == 1]
    assert rare.keyset_page.scanned_to is None
    of_pack = executions.find_events(EventQuery(pack="Rare"), KeysetCursor(), 10)
    assert event_numbers(of_pack) == [number for number in range(EVENTS) if number % RARE_EVERY == 1]
    assert of_pack.keyset_page.scanned_to is None
    of_name = executions.find_events(EventQuery(name="Rare"), KeysetCursor(older_than=id_of(9001, 4)), 10)
    assert event_numbers(of_name) == [18_001]
    assert of_name.keyset_page.newer is not None
    of_period = executions.find_events(
        EventQuery(since=NEWEST - timedelta(seconds=3), until=NEWEST), KeysetCursor(), 10
    )
    assert event_numbers(of_period) == [1, 2, 3]


def test_ended_executions_are_counted_by_hour() -> None:
    hours = stats.count_ended_by_hour(NOW)
    assert len(hours) == 24
    assert hours[-1].start == NEWEST.replace(minute=0)
    assert sum(hour.total for hour in hours[-2:]) == pytest.approx(5400 * 0.98, abs=30)
    assert hours[10].failed == pytest.approx(36, abs=1)
    assert hours[10].succeeded == pytest.approx(3600 * 0.97, abs=3)
    assert not any(hour.is_truncated for hour in hours)


def test_queued_and_claimed_actions_are_counted_by_pack() -> None:
    loads = {load.pack_name: load for load in stats.measure_pack_loads()}
    assert set(loads) == {"Slack", "Wrk"}
    assert (loads["Wrk"].queued, loads["Wrk"].is_truncated) == (stats.MAX_QUEUED, True)
    assert (loads["Slack"].claimed, loads["Slack"].queued) == (50, 0)
    assert loads["Slack"].claimed_since == NEWEST - timedelta(seconds=98_000 - 4)
    assert loads["Slack"].last_seen is None


# Database reads

QUERIES: dict[str, Callable[[], object]] = {
    "all": lambda: search(),
    "older": lambda: search(KeysetCursor(older_than=id_of(50_000, 2))),
    "newer": lambda: search(KeysetCursor(newer_than=id_of(50_000, 2))),
    "flow": lambda: search(flow="many"),
    "rare flow": lambda: search(flow="rare"),
    "flow and state": lambda: search(flow="many", state="cancelled"),
    "old flow and state": lambda: search(flow="old", state="succeeded"),
    "running": lambda: search(state="running"),
    "pack": lambda: search(pack="Wrk"),
    "pack and command": lambda: search(pack="Wrk", command="Rare"),
    "contradiction": lambda: search(pack="Wrk", step="tell"),
    "pack and state": lambda: search(pack="Wrk", state="cancelled"),
    "flow and pack": lambda: search(flow="many", pack="old"),
    "labels": lambda: search(labels={"env": "no"}),
    "text": lambda: search(text="no such text", since=NEWEST - timedelta(days=30)),
    "flow and text": lambda: search(flow="many", text="no such text", since=NEWEST - timedelta(days=30)),
    "time": lambda: search(since=NEWEST - timedelta(days=1), until=NEWEST - timedelta(hours=12)),
    "time and pack": lambda: search(pack="old", since=NEWEST - timedelta(hours=1)),
    "all events": lambda: executions.find_events(EventQuery(), KeysetCursor()),
    "events of a pack": lambda: executions.find_events(EventQuery(pack="no"), KeysetCursor()),
    "events of a name": lambda: executions.find_events(EventQuery("Src", "Go"), KeysetCursor()),
    "hours": lambda: stats.count_ended_by_hour(NOW),
    "loads": lambda: stats.measure_pack_loads(),
}

# Few of the rows in the index match: the candidates are filtered by queries of 400 rows each.
COMBINED = {"contradiction", "pack and state", "flow and pack"}


@pytest.mark.parametrize("name", QUERIES)
def test_no_list_reads_more_than_a_bounded_number_of_rows(name: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        QUERIES[name]()
    assert len(statements(captured)) <= (35 if name in COMBINED else 14 if "text" in name else 8)
    check_costs(captured, hours=name == "hours")


def check_costs(queries: Iterable[Mapping[str, str]], hours: bool) -> None:
    """Check each statement in the order of execution, with the same settings of its transaction."""
    for query in queries:
        if controls_transaction(query["sql"]):
            with connection.cursor() as cursor:
                cursor.execute(query["sql"])
        else:
            check_cost(query["sql"], hours)


def check_cost(sql: str, hours: bool) -> None:
    if connection.vendor == "sqlite":
        check_plan(sql)
        return
    # Each of the 24 hours reads the index of its executions. If a filter matches a quarter of all rows, PostgreSQL
    # may prefer a scan of the newest rows to the filter's index.
    maximum = EXECUTIONS if hours else 6 * MAX_SCANNED
    assert rows_read(sql) <= maximum, sql


BIG = "flows_execution|packs_action|flows_event"
BIG_SEARCH = re.compile("SEARCH U0")


def check_plan(sql: str) -> None:
    """Check that SQLite never scans a whole big table or index, except to read the newest rows by an index."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        plan = [str(row[3]) for row in cursor.fetchall()]
    if not re.search(BIG, sql):
        return
    scans = [line for line in plan if re.match(rf"SCAN ({BIG})\b", line)]
    walks = [line for line in scans if "USING" in line and "INDEX" in line and " LIMIT " in sql]
    assert scans == walks, plan
    inner = [line for line, above in zip(plan[1:], plan, strict=False) if above.startswith("CORRELATED SCALAR")]
    assert all(re.search(r"\((correlation_id|id)=\?", line) for line in inner if BIG_SEARCH.match(line)), plan
    sorts = [line for line in plan if "USE TEMP B-TREE FOR ORDER BY" in line and "LIMIT" in sql]
    # Events of several packs or names may be sorted, because few are stored.
    assert not sorts or "MULTI-INDEX OR" in plan, plan


def rows_read(sql: str) -> int:
    """Return the number of rows that PostgreSQL's scans read, including those that a filter removed."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        (output,) = cursor.fetchone()
    plan = json.loads(output) if isinstance(output, str) else output
    return sum(_rows_of(node) for node in _nodes(plan[0]["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", []):
        yield from _nodes(inner)


def _rows_of(node: dict[str, Any]) -> int:
    if node["Node Type"] == "Bitmap Heap Scan" or not {"Relation Name", "Index Name"} & set(node):
        return 0  # of the two parts of a bitmap scan, the index scan reads more
    rows_read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return int(rows_read * node["Actual Loops"])


PAGES = {
    "/admin/": 20,
    "/admin/now": 20,
    "/admin/packs/pack/": 10,
    "/admin/packs/pack/?text=w&status=live": 10,
    "/admin/packs/pack/77/": 14,
    "/admin/flows/execution/": 9,
    "/admin/flows/execution/?state=failed": 9,
    "/admin/flows/execution/?flow=many&pack=Slack": 10,
    "/admin/flows/execution/?pack=Wrk&labels=env:prod": 13,
    "/admin/flows/execution/?text=user%201&since=2026-11-19T00:00": 14,
    f"/admin/flows/execution/?older_than={id_of(50_000, 2)}": 9,
    f"/admin/flows/execution/{id_of(40, 1)}/": 11,
    f"/admin/flows/execution/{id_of(40, 1)}/now": 11,
    "/admin/flows/event/": 7,
    "/admin/flows/event/?pack=Src": 9,
    f"/admin/flows/event/{id_of(40, 4)}/": 9,
    "/v1/audit/flows": 6,
    "/v1/audit/flows?start=10000&limit=500": 6,
    "/v1/audit/flows?flowName=rare&state=succeeded": 5,
    "/v1/audit/flows?actionPackName=Rare&state=succeeded": 6,
    "/v1/audit/flows?actionPackLabels=env:no": 1,
    "/v1/audit/events?event=no": 2,
    "/v1/audit/events?packName=Src&event=Go": 2,
}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_takes_a_fixed_number_of_cheap_queries(path: str, client: Client) -> None:
    user = User.objects.create_user("viewer")
    user.groups.add(Group.objects.get(name="viewer"))
    client.force_login(user)
    client.get("/admin/password_change/")  # the first page of a session updates its last use
    Pack.objects.create(pk=77, identity="Wrk", name="Wrk", last_seen=timezone.now())
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code in (200, 286)
    assert len(statements(captured)) == PAGES[path], [sql[:200] for sql in statements(captured)]
    check_costs(captured, hours=False)


def test_the_api_finds_rare_executions_at_any_age(client: Client) -> None:
    path, seen = "/v1/audit/flows?actionPackLabels=env:prod&limit=30", []
    for _ in range(30):
        response = client.get(path)
        seen += [int(flow["correlationId"][-10:], 16) for flow in response.json()["flows"]]
        if "Link" not in response.headers:
            break
        path = response.headers["Link"].partition(">")[0].removeprefix("<")
    assert seen == list(range(3, EXECUTIONS, 1000))


def test_the_number_of_queries_does_not_depend_on_the_page_size() -> None:
    counts = set()
    for size in (2, 50):
        with CaptureQueriesContext(connection) as captured:
            search(size=size, flow="many", pack="Slack")
        counts.add(len(statements(captured)))
    assert len(counts) == 1
