"""Finding executions and events among very many: what is found, and what it costs."""

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
from tests.audit.many import EVENTS, EXECUTIONS, LONG_AGO, NEWEST, RARE_EVERY, id_of, many
from tests.reading import controls_transaction, statements

pytestmark = [pytest.mark.database, pytest.mark.django_db]

NOW = NEWEST + timedelta(minutes=5)
RARE = [number for number in range(EXECUTIONS) if number % RARE_EVERY == 1]


@pytest.fixture(scope="module", autouse=True)
def very_many(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), many():
        yield


def found(place: KeysetCursor | None = None, size: int = 25, **wanted: Any) -> executions.ExecutionPage:
    return executions.list_execution_rows(ExecutionQuery(**wanted), place or KeysetCursor(), NOW, size)


def numbers(page: executions.ExecutionPage) -> list[int]:
    """The numbers of the executions of a page, by which `many` made them."""
    return [int(told.execution.id[-10:], 16) for told in page.rows]


def walk(**wanted: Any) -> list[int]:
    """The numbers of all that is found, page by page to the end."""
    place, seen = KeysetCursor(), []
    for _ in range(100):
        page = found(place, **wanted)
        seen += numbers(page)
        if page.keyset_page.older is None:
            return seen
        place = page.keyset_page.older
    raise AssertionError("there is no end to the pages")


def test_the_newest_come_first_and_a_page_begins_behind_the_one_before() -> None:
    first = found(size=10)
    assert numbers(first) == list(range(10))
    assert first.keyset_page.newer is None
    assert first.keyset_page.older is not None
    second = found(first.keyset_page.older, size=10)
    assert numbers(second) == list(range(10, 20))
    assert second.keyset_page.newer is not None
    assert numbers(found(second.keyset_page.newer, size=10)) == list(range(10))


def test_a_page_before_the_newest_page_is_the_newest_page() -> None:
    page = found(KeysetCursor(newer_than=id_of(3, 2)), size=10)
    assert numbers(page) == list(range(10))
    assert page.keyset_page.newer is None


def test_a_page_in_between_has_pages_on_both_sides() -> None:
    page = found(KeysetCursor(newer_than=id_of(51, 2)), size=10)
    assert numbers(page) == list(range(41, 51))
    assert page.keyset_page.newer == KeysetCursor(newer_than=id_of(41, 2))
    assert page.keyset_page.older == KeysetCursor(older_than=id_of(50, 2))


def test_the_last_page_has_none_behind_it() -> None:
    page = found(KeysetCursor(older_than=id_of(EXECUTIONS - 3, 2)))
    assert numbers(page) == [EXECUTIONS - 2, EXECUTIONS - 1]
    assert page.keyset_page.older is None


@pytest.mark.parametrize(
    "wanted",
    [{"flow": "rare"}, {"step": "rare"}, {"command": "Rare"}, {"pack": "Rare"}, {"pack": "Rare", "step": "rare"}],
)
def test_what_is_rare_is_found_wherever_it_is(wanted: dict[str, Any]) -> None:
    page = found(**wanted)
    assert numbers(page) == RARE
    assert page.keyset_page.scanned_to is None
    assert page.keyset_page.older is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"flow": "old"},
        {"state": "cancelled"},
        {"flow": "old", "state": "cancelled"},
        {"step": "old", "state": "cancelled"},
        {"flow": "old", "pack": "old"},
        {"pack": "old", "command": "old", "step": "old"},
    ],
)
def test_the_one_of_long_ago_is_found_at_once_by_any_index(wanted: dict[str, Any]) -> None:
    assert numbers(found(**wanted)) == [LONG_AGO]


def test_filters_about_actions_must_hold_for_one_action() -> None:
    assert numbers(found(step="tell", pack="Wrk")) == numbers(found(flow="rare", step="tell", pack="Rare")) == []
    assert numbers(found(step="tell", pack="Slack", size=3)) == [0, 4, 8]


def test_an_execution_with_several_actions_that_match_is_found_once() -> None:
    seen = numbers(found(text="user 4", since=NEWEST - timedelta(seconds=100)))
    assert seen == [4, *range(40, 50)]


def test_labels_that_few_ask_for_are_found_wherever_they_are() -> None:
    page = found(labels={"env": "prod"})
    assert numbers(page) == list(range(3, 25_000, 1000))
    assert page.keyset_page.scanned_to is None
    assert walk(labels={"env": "prod"}) == list(range(3, EXECUTIONS, 1000))
    assert walk(labels={"env": "prod"}, state="failed") == walk(labels={"env": "prod"}, step="old") == []


def test_labels_of_a_flow_are_looked_for_in_a_bounded_number_of_rows_and_that_is_said() -> None:
    page = found(flow="many", labels={"env": "prod"})
    assert numbers(page) == list(range(3, MAX_SCANNED, 1000))
    assert page.keyset_page.scanned_to is not None
    assert abs((NEWEST - page.keyset_page.scanned_to).total_seconds() - MAX_SCANNED) <= 2
    assert walk(flow="many", labels={"env": "prod"}) == list(range(3, EXECUTIONS, 1000))


def test_a_text_is_looked_for_in_the_last_day_unless_a_time_is_given() -> None:
    assert walk(text="nEEdle") == [number for number in RARE if number <= 86_100]
    everything = NEWEST - timedelta(days=30)
    assert walk(text="needle", since=everything) == RARE
    assert walk(text="needle", flow="rare", since=everything) == RARE
    assert walk(text="needle", flow="rare", state="running", since=everything) == []


@pytest.mark.parametrize("text", ['Who":"user', "user%", "user_1", "\\", "ü"])
def test_a_text_means_itself(text: str) -> None:
    assert numbers(found(text=text)) == []


def test_a_time_narrows_what_is_found() -> None:
    since, until = NEWEST - timedelta(seconds=105), NEWEST - timedelta(seconds=100)
    assert numbers(found(since=since, until=until)) == list(range(101, 106))
    assert numbers(found(pack="Slack", since=since, until=until)) == [104]


def test_a_look_that_was_cut_goes_on_in_both_directions() -> None:
    first = found(flow="many", labels={"env": "prod"}, size=25)
    assert first.keyset_page.scanned_to is not None
    assert first.keyset_page.older is not None
    second = found(first.keyset_page.older, flow="many", labels={"env": "prod"}, size=25)
    assert numbers(second) != []
    assert second.keyset_page.newer is not None
    assert numbers(found(second.keyset_page.newer, flow="many", labels={"env": "prod"}, size=5)) == numbers(first)[-5:]


def test_a_look_that_found_nothing_says_so_and_how_far_back_it_was(client: Client) -> None:
    person = User.objects.create_superuser("admin")
    client.force_login(person)
    body = client.get("/admin/flows/execution/?text=nothing-such&since=2026-11-19T00:00").content.decode()
    assert "No results. Searched the newest 2000 candidates, back to <time" in body


def test_each_execution_tells_its_story() -> None:
    rows = {number: told.summary for number, told in zip(range(6), found(size=6).rows, strict=True)}
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
    one = executions.find_events(EventQuery(pack="Rare"), KeysetCursor(), 10)
    assert event_numbers(one) == [number for number in range(EVENTS) if number % RARE_EVERY == 1]
    assert one.keyset_page.scanned_to is None
    named = executions.find_events(EventQuery(name="Rare"), KeysetCursor(older_than=id_of(9001, 4)), 10)
    assert event_numbers(named) == [18_001]
    assert named.keyset_page.newer is not None
    hour = executions.find_events(EventQuery(since=NEWEST - timedelta(seconds=3), until=NEWEST), KeysetCursor(), 10)
    assert event_numbers(hour) == [1, 2, 3]


def test_the_figures_count_what_ended_in_each_hour() -> None:
    hours = stats.count_ended_by_hour(NOW)
    assert len(hours) == 24
    assert hours[-1].start == NEWEST.replace(minute=0)
    assert sum(hour.total for hour in hours[-2:]) == pytest.approx(5400 * 0.98, abs=30)
    assert hours[10].failed == pytest.approx(36, abs=1)
    assert hours[10].succeeded == pytest.approx(3600 * 0.97, abs=3)
    assert not any(hour.is_truncated for hour in hours)


def test_the_figures_say_what_waits_and_what_is_held_and_since_when() -> None:
    loads = {load.pack_name: load for load in stats.measure_pack_loads()}
    assert set(loads) == {"Slack", "Wrk"}
    assert (loads["Wrk"].queued, loads["Wrk"].is_truncated) == (stats.MAX_QUEUED, True)
    assert (loads["Slack"].claimed, loads["Slack"].queued) == (50, 0)
    assert loads["Slack"].claimed_since == NEWEST - timedelta(seconds=98_000 - 4)
    assert loads["Slack"].last_seen is None


# What it costs

QUERIES: dict[str, Callable[[], object]] = {
    "all": lambda: found(),
    "older": lambda: found(KeysetCursor(older_than=id_of(50_000, 2))),
    "newer": lambda: found(KeysetCursor(newer_than=id_of(50_000, 2))),
    "flow": lambda: found(flow="many"),
    "rare flow": lambda: found(flow="rare"),
    "flow and state": lambda: found(flow="many", state="cancelled"),
    "old flow and state": lambda: found(flow="old", state="succeeded"),
    "running": lambda: found(state="running"),
    "pack": lambda: found(pack="Wrk"),
    "pack and command": lambda: found(pack="Wrk", command="Rare"),
    "contradiction": lambda: found(pack="Wrk", step="tell"),
    "pack and state": lambda: found(pack="Wrk", state="cancelled"),
    "flow and pack": lambda: found(flow="many", pack="old"),
    "labels": lambda: found(labels={"env": "no"}),
    "text": lambda: found(text="no such text", since=NEWEST - timedelta(days=30)),
    "flow and text": lambda: found(flow="many", text="no such text", since=NEWEST - timedelta(days=30)),
    "time": lambda: found(since=NEWEST - timedelta(days=1), until=NEWEST - timedelta(hours=12)),
    "time and pack": lambda: found(pack="old", since=NEWEST - timedelta(hours=1)),
    "all events": lambda: executions.find_events(EventQuery(), KeysetCursor()),
    "events of a pack": lambda: executions.find_events(EventQuery(pack="no"), KeysetCursor()),
    "events of a name": lambda: executions.find_events(EventQuery("Src", "Go"), KeysetCursor()),
    "hours": lambda: stats.count_ended_by_hour(NOW),
    "loads": lambda: stats.measure_pack_loads(),
}

# Few of the rows that an index finds are wanted: the rows looked at are told apart, 400 by a query.
COMBINED = {"contradiction", "pack and state", "flow and pack"}


@pytest.mark.parametrize("name", QUERIES)
def test_no_list_reads_more_than_a_bounded_number_of_rows(name: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        QUERIES[name]()
    assert len(statements(captured)) <= (35 if name in COMBINED else 14 if "text" in name else 8)
    check_costs(captured, hours=name == "hours")


def check_costs(queries: Iterable[Mapping[str, str]], hours: bool) -> None:
    """Check each statement in the order of execution; what was set for a transaction is set here too."""
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
    # Each of the 24 hours reads the index of its own executions. Where a filter holds for a quarter of all, PostgreSQL
    # may think it cheaper to walk all of the newest than the filter's index.
    most = EXECUTIONS if hours else 6 * MAX_SCANNED
    assert rows_read(sql) <= most, sql


BIG = "flows_execution|packs_action|flows_event"
BIG_SEARCH = re.compile("SEARCH U0")


def check_plan(sql: str) -> None:
    """SQLite searches by an index, never through a whole big table or index; but the newest come by walking one."""
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
    # The events of some packs and names, of which few are kept, may be sorted.
    assert not sorts or "MULTI-INDEX OR" in plan, plan


def rows_read(sql: str) -> int:
    """The rows that PostgreSQL's scans looked at, those that a filter threw away among them."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        (told,) = cursor.fetchone()
    plan = json.loads(told) if isinstance(told, str) else told
    return sum(_rows_of(node) for node in _nodes(plan[0]["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for inner in node.get("Plans", []):
        yield from _nodes(inner)


def _rows_of(node: dict[str, Any]) -> int:
    if node["Node Type"] == "Bitmap Heap Scan" or not {"Relation Name", "Index Name"} & set(node):
        return 0  # of the two halves of a bitmap scan, the index's reads more
    looked_at = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return int(looked_at * node["Actual Loops"])


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
def test_a_page_of_the_console_takes_few_queries_and_none_of_them_is_dear(path: str, client: Client) -> None:
    person = User.objects.create_user("viewer")
    person.groups.add(Group.objects.get(name="viewer"))
    client.force_login(person)
    client.get("/admin/password_change/")  # a session is noted as used at its first page, and then now and again
    Pack.objects.create(pk=77, identity="Wrk", name="Wrk", last_seen=timezone.now())
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code in (200, 286)
    assert len(statements(captured)) == PAGES[path], [sql[:200] for sql in statements(captured)]
    check_costs(captured, hours=False)


def test_by_the_api_what_is_rare_is_found_however_long_ago_it_was(client: Client) -> None:
    path, seen = "/v1/audit/flows?actionPackLabels=env:prod&limit=30", []
    for _ in range(30):
        answer = client.get(path)
        seen += [int(one["correlationId"][-10:], 16) for one in answer.json()["flows"]]
        if "Link" not in answer.headers:
            break
        path = answer.headers["Link"].partition(">")[0].removeprefix("<")
    assert seen == list(range(3, EXECUTIONS, 1000))


def test_as_many_queries_for_few_as_for_many() -> None:
    counts = set()
    for size in (2, 50):
        with CaptureQueriesContext(connection) as captured:
            found(size=size, flow="many", pack="Slack")
        counts.add(len(statements(captured)))
    assert len(counts) == 1
