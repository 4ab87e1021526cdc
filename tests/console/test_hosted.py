"""Hosted packs in the console: their mark, resources, quotas and rate limits."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.view_models import hosted
from flows.models import Execution
from packs import hosted_status
from packs.hosted.plugin_api.errors import Throttled
from packs.hosted_status import RateLimitStatus
from packs.models import HostedResource, Pack
from tests.console.conftest import SignedOn
from tests.console.looking import person_with, text_of
from tests.flows import builders as b
from tests.hosted.stub_plugin import StubWorld, ask, world

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

PACKS = "/admin/packs/pack/"


@pytest.fixture
def viewer(signed_on: SignedOn) -> Client:
    return signed_on("viewer")


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> StubWorld:
    """Host a pack with a quota of two, and queue three actions for it."""
    made = world(resource_quotas={"default": 2, "other": 5})
    monkeypatch.setattr(hosted_status, "get_hosted_registry", lambda: made.hosting)
    ask(3)
    made.round()
    return made


def page(more: str = "") -> str:
    return f"{PACKS}{Pack.objects.get(name='Stub').pk}/{more}"


def test_hosted_packs_are_marked_in_the_list(viewer: Client, stub: StubWorld) -> None:
    assert "live Stub hosted" in text_of(viewer.get(PACKS))
    assert "Src hosted" not in text_of(viewer.get(PACKS))
    assert "Stub live hosted pack" in text_of(viewer.get(page()))


def test_the_page_has_resources_quotas_rates_and_counts(viewer: Client, stub: StubWorld) -> None:
    def throttle() -> None:
        raise Throttled

    stub.service.answers["get"] = throttle
    stub.later(seconds=31)
    text = text_of(viewer.get(page()))
    assert "waiting for quota 1 ready to start 0 live 2 deleting 0" in text
    assert "default 2 full 2 other 0 5" in text
    assert "get 1000 100000 counted by each process separately: Redis is not configured" in text
    assert "calls.create 2 calls.get 2 throttled 2" in text
    assert "waiting flow default waiting for quota of namespace default: 2 of 2 in use" in text
    assert "the service is throttling calls" in text


def test_without_permission_for_actions_only_numbers_are_shown(stub: StubWorld) -> None:
    stranger = person_with("view_pack")
    answer = stranger.get(page())
    assert "live 2" in text_of(answer)
    assert "waiting for quota of namespace" not in text_of(answer)
    assert stranger.get(page("resources")).status_code == 403


def test_resources_are_paged_and_filtered_by_state(
    viewer: Client, stub: StubWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = text_of(viewer.get(page("resources?state=waiting")))
    assert "waiting for quota" in waiting
    assert len(viewer.get(page("resources?state=live")).context["resources"].rows) == 2
    assert "No matching resources" in text_of(viewer.get(page("resources?state=deleting")))
    assert len(viewer.get(page("resources?state=waiting for quota")).context["resources"].rows) == 1
    monkeypatch.setattr(hosted.list_resource_rows, "__defaults__", ("", 0, 2))
    first = viewer.get(page("resources"))
    rest = viewer.get(page(f"resources?after={first.context['resources'].next_key}"))
    assert [len(response.context["resources"].rows) for response in (first, rest)] == [2, 1]
    assert "No more resources" in text_of(viewer.get(page("resources?after=99999999")))
    HostedResource.objects.all().delete()
    assert "Actions of Stub create resources at the service." in text_of(viewer.get(page("resources")))


def test_a_hosted_pack_cannot_be_deleted(signed_on: SignedOn, stub: StubWorld) -> None:
    operator = signed_on("operator")
    assert "delete-pack" not in operator.get(page()).content.decode()
    answer = operator.post(page("delete"), follow=True)
    assert "Not deleted: this server hosts Stub" in text_of(answer)
    assert Pack.objects.filter(name="Stub").exists()


def test_a_pack_that_another_process_hosts_is_marked(viewer: Client) -> None:
    b.pack("Elsewhere")
    Pack.objects.update(hosted=True)
    assert "No details: the settings of this web process do not include the pack." in text_of(
        viewer.get(f"{PACKS}{Pack.objects.get().pk}/")
    )


def test_an_execution_shows_and_updates_the_status_of_its_hosted_action(viewer: Client, stub: StubWorld) -> None:
    first, *_, last = Execution.objects.order_by("id")
    address = f"/admin/flows/execution/{last.id}/"
    waiting = viewer.get(address)
    reason = "waiting for quota of namespace default: 2 of 2 in use"
    assert f"Not started yet at the hosted pack Stub: {reason}" in text_of(waiting)
    assert "At the hosted pack Stub: live" in text_of(viewer.get(f"/admin/flows/execution/{first.id}/"))
    assert "(Stub.Do) waiting for quota of Stub for" in text_of(waiting)
    mark = waiting.context["detail"].fingerprint
    assert viewer.get(f"{address}now?mark={mark}").context["changed"] is False
    stub.service.jobs = dict.fromkeys(stub.service.jobs, "done")
    stub.later(seconds=31)
    stub.later()
    assert viewer.get(f"{address}now?mark={mark}").context["changed"] is True
    assert "At the hosted pack Stub: live" in text_of(viewer.get(address))


def test_the_list_of_executions_shows_waiting_resources_with_one_more_query(viewer: Client, stub: StubWorld) -> None:
    with CaptureQueriesContext(connection) as captured:
        stories = [row.summary for row in viewer.get("/admin/flows/execution/").context["rows"]]
    assert ["waiting for quota of Stub for" in story for story in stories] == [True, False, False]
    assert [" running on Stub for" in story for story in stories] == [False, True, True]
    assert sum('FROM "packs_hostedresource"' in query["sql"] for query in captured.captured_queries) == 1


def test_consecutive_failures_are_shown_during_retries(viewer: Client, stub: StubWorld) -> None:
    def fail() -> None:
        raise OSError("the service is away")

    stub.service.answers["get"] = fail
    stub.later(seconds=31)
    text = text_of(viewer.get(f"/admin/flows/execution/{Execution.objects.order_by('id')[0].id}/"))
    assert "1 consecutive call of Stub failed. Another call follows. OSError: the service is away" in text


@pytest.mark.parametrize(
    ("left", "use"),
    [
        (None, "counted by each process separately"),
        (300.0, "0 of 300"),
        (250.6, "50 of 300"),
        (-60.0, "paused for another 2.0 s"),
    ],
)
def test_the_usage_of_a_rate_limit_is_shown(left: float | None, use: str) -> None:
    assert use in hosted.build_rate_limit_row("get", RateLimitStatus(30, 300, left)).usage
