"""The home page of the console: status of the server, permissions for each block, and the first steps."""

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.charts.hourly_chart import describe_hour, render_hourly_chart, round_up_to_scale
from audit.stats import HourStats
from flows.models import Execution, Flow
from packs.models import Action, ActionState, Pack
from tests.console.conftest import SignedOn
from tests.console.looking import person_with, seen_ago, text_of
from tests.docs.pages import blocks
from tests.flows import builders as b
from tests.packs.actions import waiting
from tests.server import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

HOME, NOW = "/admin/", "/admin/now"
HOSTILE = "<script>alert(1)</script>"
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def tiles(response: Any) -> dict[str, tuple[str, str]]:
    """Parse number and URL of each tile, by its id; the URL is empty if the tile is not a link."""
    assert response.status_code == 200
    matches = re.findall(r'<a class="tile[^"]*" id="tile-(\w+)" href="([^"]*)">(.*?)</a>', response.content.decode())
    return {name: (re.sub(r"<[^>]+>", "", inner).split()[0], html.unescape(url)) for name, url, inner in matches}


@pytest.fixture
def viewer(signed_on: SignedOn) -> Client:
    return signed_on("viewer")


def fail(name: str = "flow") -> Execution:
    source, worker = b.pack("Src"), b.pack("Wrk")
    b.save(b.step(id="one"), name=name)
    b.tell(source)
    b.work(worker, "FATAL", {"why": "boom"})
    return Execution.objects.get(flow_name=name)


def test_numbers_of_packs_and_flows_link_to_their_lists(viewer: Client) -> None:
    for name, seconds in (("A", 0), ("B", 590), ("C", 610), ("D", 86_390), ("E", 86_410), ("F", 900_000)):
        seen_ago(name, seconds=seconds)
    b.save(b.step(), name="on")
    b.save(b.step(), name="off", enabled=False)
    numbers = tiles(viewer.get(HOME))
    assert [numbers[name][0] for name in ("live", "warning", "critical")] == ["2", "2", "2"]
    assert numbers["critical"][1] == "/admin/packs/pack/?status=critical"
    assert Flow.objects.filter(enabled=False).count() == 1
    assert "1 flow enabled 1 flow disabled" in text_of(viewer.get(HOME))


def test_the_tile_of_live_packs_counts_those_that_the_server_hosts(viewer: Client) -> None:
    b.pack("Here")
    hosted = b.pack("Wait")
    assert "hosted by the server" not in text_of(viewer.get(HOME))
    Pack.objects.filter(pk=hosted.pk).update(hosted=True)
    assert "2 live packs: seen in the last 10 minutes, 1 of them hosted by the server" in text_of(viewer.get(HOME))


def test_the_queue_is_shown_by_pack_with_the_oldest_age_and_orphaned_actions(viewer: Client) -> None:
    b.pack("Here")
    for name, hours in (("Here", 1), ("Gone", 3), ("Gone", 2)):
        Action.objects.filter(id=waiting(name).id).update(ready_at=timezone.now() - timedelta(hours=hours))
    waiting("Here", labels={"env": "prod"})
    said = text_of(viewer.get(HOME))
    assert "Gone not registered 2 orphaned oldest 3 h ago" in said
    assert re.search(r"Here last seen (just now|[\d.]+ s ago) 2 1 orphaned oldest 1 h ago", said)
    assert "/admin/flows/execution/?pack=Gone&amp;state=running" in viewer.get(HOME).content.decode()
    numbers = tiles(viewer.get(HOME))
    assert (numbers["waiting"][0], numbers["orphaned"][0]) == ("4", "3")


def test_running_actions_are_shown_with_their_age(viewer: Client) -> None:
    waiting("Wrk")
    b.take(b.pack("Wrk"))
    said = text_of(viewer.get(HOME))
    assert re.search(r"Wrk last seen (just now|[\d.]+ s ago) 0 1 oldest (just now|[\d.]+ s ago)", said)
    assert tiles(viewer.get(HOME))["held"][0] == "1"


def test_the_rows_of_the_queue_are_bounded_and_the_rest_is_counted(viewer: Client) -> None:
    for number in range(13):
        waiting(f"Pack {number}")
    assert "3 more pack names have queued or running actions" in text_of(viewer.get(HOME))
    assert len(viewer.get(HOME).context["queue"]["rows"]) == 10


def test_failures_are_shown_with_their_summaries(viewer: Client) -> None:
    execution = fail()
    answer = viewer.get(HOME)
    assert "Src.Go → one (Wrk.Do, failed after" in text_of(answer)
    assert f'href="/admin/flows/execution/{execution.id}/"' in answer.content.decode()
    assert "0 succeeded 1 failed 0 cancelled" in text_of(answer)
    assert 'href="/admin/flows/execution/?state=failed"' in answer.content.decode()


def test_the_hours_have_a_chart_and_a_table(viewer: Client) -> None:
    fail()
    body = viewer.get(HOME).content.decode()
    assert body.count('<rect class="failed"') == 1
    assert body.count('<rect class="hour"') == 24
    assert f"<td>{timezone.now().strftime('%b')}" not in body
    assert body.count('<td class="number">') == 3 * 24
    assert " style=" not in body


@pytest.mark.parametrize(
    ("maximum", "top"), [(0, 1), (1, 1), (2, 2), (3, 5), (6, 10), (11, 20), (50, 50), (51, 100), (50_000, 50_000)]
)
def test_the_scale_ends_at_a_round_number(maximum: int, top: int) -> None:
    assert round_up_to_scale(maximum) == top


def test_bars_are_stacked_and_have_a_minimum_height() -> None:
    picture = render_hourly_chart([HourStats(NOON, succeeded=9_999, failed=1), HourStats(NOON + timedelta(hours=1))])
    good, bad = re.findall(r'<rect class="(?:succeeded|failed)" [^>]*y="([\d.]+)"[^>]*height="([\d.]+)"', picture)
    assert float(bad[1]) == 2.0
    assert float(bad[0]) + float(bad[1]) == pytest.approx(float(good[0]), abs=0.2)
    assert "12:00 UTC: 9999 succeeded, 1 failed" in picture
    assert describe_hour(HourStats(NOON)) == "12:00 UTC: none ended"


# Permissions


def test_users_without_a_role_see_only_the_note(signed_on: SignedOn) -> None:
    fail()
    nobody = signed_on("")
    body = nobody.get(HOME).content.decode()
    assert "You have no role yet" in body
    assert "hx-get" not in body
    for hidden in ("boom", "Src.Go", "tile", "flyte_client"):
        assert hidden not in body
        assert hidden not in nobody.get(NOW).content.decode()


@pytest.mark.parametrize(
    ("codename", "expected"),
    [
        ("view_pack", ["live packs"]),
        ("view_action", ["actions queued", "Queue"]),
        ("view_flow", ["flow enabled"]),
        ("view_execution", ["last 24 hours", "Latest failures"]),
    ],
)
def test_each_block_needs_its_own_permission(codename: str, expected: list[str]) -> None:
    fail()
    person = person_with(codename)
    blocks = ["live packs", "actions queued", "Queue", "flow enabled", "last 24 hours", "Latest failures"]
    for path in (HOME, NOW):
        said = text_of(person.get(path))
        assert [block for block in blocks if block in said] == expected


def test_a_role_without_figures_gets_an_explanation() -> None:
    assert "Your role has no dashboard" in text_of(person_with("view_item").get(HOME))


def test_numbers_are_not_links_without_permission() -> None:
    waiting("Gone")
    body = person_with("view_action").get(HOME).content.decode()
    assert "Gone" in body
    assert "/admin/flows/execution/" not in body
    assert "/admin/packs/pack/" not in body


@pytest.mark.parametrize("path", [HOME, NOW])
def test_signed_out_visitors_are_redirected_to_the_sign_in_page(client: Client, path: str) -> None:
    assert client.get(path).headers["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("path", [HOME, NOW])
def test_post_is_refused(viewer: Client, path: str) -> None:
    assert viewer.post(path).status_code == 405


def test_names_are_escaped(viewer: Client) -> None:
    waiting(HOSTILE)
    fail(name=HOSTILE)
    body = viewer.get(HOME).content.decode()
    assert HOSTILE not in body
    assert html.escape(HOSTILE) in body


# Live updates and first steps


def test_the_figures_are_updated(viewer: Client) -> None:
    assert 'hx-get="/admin/now?steps=1" hx-trigger="every 10s"' in viewer.get(HOME).content.decode()
    fail()
    assert 'hx-get="/admin/now" hx-trigger="every 10s"' in viewer.get(HOME).content.decode()
    part = viewer.get(NOW).content.decode()
    assert "<html" not in part
    assert "Src.Go → one" in part


def test_an_empty_server_shows_the_readmes_steps_with_its_own_address(viewer: Client) -> None:
    answer = viewer.get(HOME, headers={"host": "flyte.example.org:8081", "X-Forwarded-Proto": "https"})
    lines = [html.unescape(line) for line in re.findall(r'<pre class="text" id="line-[^"]*">(.*?)</pre>', text(answer))]
    readme = [block.strip() for block in blocks(ROOT / "README.md", "sh")]
    local = [line.replace("https://flyte.example.org:8081", "http://localhost:8080") for line in lines]
    assert local[:3] == [line for line in readme if "flyte_client.packs" in line or "/v1/flows -H" in line]
    assert lines[3] == "flyte date"
    assert all("https://flyte.example.org:8081" in line for line in lines[:3])


def text(answer: Any) -> str:
    part: str = answer.content.decode()
    return part


def test_with_authentication_the_steps_mention_tokens(viewer: Client, settings: Any) -> None:
    assert "FLYTE_JWT" not in text_of(viewer.get(HOME))
    settings.FLYTE_AUTH = "tokens"
    assert "FLYTE_JWT" in text_of(viewer.get(HOME))


def test_each_completed_step_is_checked(viewer: Client) -> None:
    def ticked() -> list[bool]:
        return [step.is_done for step in viewer.get(f"{NOW}?steps=1").context["steps"]]

    Pack.objects.create(identity="Own", name="Own", hosted=True, last_seen=timezone.now())
    assert ticked() == [False, False, False], "nobody started the server's own packs"
    source = b.pack("Src")
    assert ticked() == [True, False, False]
    b.save(b.step())
    assert ticked() == [True, True, False]
    assert "Your first flow has run" not in text_of(viewer.get(f"{NOW}?steps=1"))
    b.tell(source)
    assert ticked() == [True, True, True]
    assert "Your first flow has run" in text_of(viewer.get(f"{NOW}?steps=1"))
    assert "three steps" not in text_of(viewer.get(HOME))


def test_the_home_page_needs_constant_queries(viewer: Client) -> None:
    counts = []
    for number in range(1, 4):
        fail(f"flow {number}")
        for name in range(number * 10):
            waiting(f"Pack {number} {name}")
        with CaptureQueriesContext(connection) as captured:
            viewer.get(HOME)
        counts.append(len(captured))
    assert Action.objects.filter(state=ActionState.FATAL).count() == 3
    assert len(set(counts)) == 1, counts
