"""Pages of executions in the console: content, actions of users, and live updates."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from flows.engine import control
from flows.models import Execution, ExecutionState
from flyte_site.core.ids import min_id_at
from flyte_site.models import Change
from packs.models import Action, ActionState, Pack
from tests.console.conftest import SignedOn
from tests.flows import builders as b

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST = "/admin/flows/execution/"
ODD_LABELS = ("env", "=", "a=", "=b", ":", "a:", ":b")
HOSTILE = "<script>alert(1)</script>"


def page(execution: Execution, more: str = "") -> str:
    return f"{LIST}{execution.id}/{more}"


def text_of(response: Any, status: int = 200) -> str:
    """Return the text of a page without tags and with single spaces."""
    assert response.status_code == status, response.content[:400]
    body = re.sub(r"<title>.*?</title>", " ", response.content.decode(), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture
def source() -> Pack:
    return b.pack("Src")


@pytest.fixture
def viewer(signed_on: SignedOn) -> Client:
    return signed_on("viewer")


@pytest.fixture
def operator(signed_on: SignedOn) -> Client:
    return signed_on("operator")


def fail(source: Pack, name: str = "flow") -> Execution:
    """Create an execution whose only action ended with FATAL."""
    worker = b.pack("Wrk")
    b.save(b.step(id="one"), name=name)
    b.tell(source)
    b.work(worker, "FATAL", {"why": "boom"})
    return Execution.objects.get(flow_name=name)


# The list


def test_an_empty_list_explains_executions(viewer: Client) -> None:
    assert "No flows yet." in text_of(viewer.get(LIST))
    b.save(b.step())
    assert "starts when a pack sends an event" in text_of(viewer.get(LIST))
    assert "No matching executions" in text_of(viewer.get(f"{LIST}?flow=x"))


def test_an_execution_is_listed_with_its_state_and_summary(viewer: Client, source: Pack) -> None:
    execution = fail(source)
    answer = viewer.get(LIST)
    assert "Src.Go → one (Wrk.Do, failed after" in text_of(answer)
    assert f'href="{page(execution)}"' in answer.content.decode()
    assert 'class="pill failed"' in answer.content.decode()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("flow=a", ["a"]),
        ("state=running", ["a", "b"]),
        ("state=failed", []),
        ("pack=Else", ["b"]),
        ("command=Other", ["b"]),
        ("step=a-step", ["a"]),
        ("labels=env:prod", ["b"]),
        ("labels=env=prod", ["b"]),
        ("labels=env%20=%20prod,", ["b"]),
        ("text=AnA", ["a"]),
        ("flow=a&pack=Else", []),
        ("until=2020-01-01T00:00", []),
        ("since=2020-01-01T00:00", ["a", "b"]),
    ],
)
def test_the_list_can_be_narrowed(viewer: Client, source: Pack, query: str, names: list[str]) -> None:
    b.save(b.step(id="a-step", context={"Who": "{{ Event.Payload.who }}"}), name="a")
    other = {"packName": "Else", "name": "Other", "packLabels": {"env": "prod"}}
    b.save(b.step(id="b-step", command=other), name="b")
    b.tell(source, payload={"who": "Ana"})
    rows = viewer.get(f"{LIST}?{query}").context["rows"]
    assert sorted(row.execution.flow_name for row in rows) == names


@pytest.mark.parametrize(
    ("query", "message"),
    [
        *((f"labels={wrong}", f"invalid label '{wrong}': use name=value, such as env=prod") for wrong in ODD_LABELS),
        ("labels=env:prod,%20az", "invalid label 'az': use name=value, such as env=prod"),
        ("state=gone", "unknown status 'gone': use one of: running, "),
        ("since=yesterday", "invalid time: use YYYY-MM-DDThh:mm"),
        ("since=2026-01-02T00:00&until=2026-01-01T00:00", "must be later than From"),
        ("flow=" + "x" * 256, "at most 255 characters"),
        ("flow=%00", "Null characters are not allowed"),
        ("flowName=x", "Unknown filter 'flowName'. Filters: flow, state, pack,"),
        ("older_than=%00", "No executions yet"),
        ("older_than=" + "z" * 300, "Executions"),
        ("newer_than=x&older_than=y", "Executions"),
    ],
)
def test_an_invalid_query_is_reported(viewer: Client, query: str, message: str) -> None:
    assert message in text_of(viewer.get(f"{LIST}?{query}"))


@pytest.mark.parametrize("query", ["labels=env", "flowName=x", "state=gone"])
def test_an_invalid_query_lists_nothing(viewer: Client, source: Pack, query: str) -> None:
    b.save(b.step())
    b.tell(source)
    for path in (LIST, LIST.replace("execution", "event")):
        assert viewer.get(f"{path}?{query}").context["rows"] == []


def test_links_to_other_pages_keep_the_filters(viewer: Client, source: Pack) -> None:
    b.save(b.step())
    for _ in range(30):
        b.tell(source)
    first = viewer.get(f"{LIST}?flow=flow")
    assert len(first.context["rows"]) == 25
    assert "flow=flow" in first.context["links"]["older"]
    second = viewer.get(LIST + first.context["links"]["older"])
    assert len(second.context["rows"]) == 5
    assert set(second.context["links"]) == {"newest", "newer"}
    again = viewer.get(LIST + second.context["links"]["newer"])
    assert [row.execution.id for row in again.context["rows"]] == [row.execution.id for row in first.context["rows"]]


def test_a_text_search_without_a_time_shows_its_range(viewer: Client) -> None:
    said = text_of(viewer.get(f"{LIST}?text=x")).replace("1 d ago", "24 h ago")
    assert "covers the last 24 hours, back to 24 h ago" in said
    assert "covers the last 24 hours" not in text_of(viewer.get(f"{LIST}?text=x&since=2026-01-01T00:00"))


def test_the_fields_explain_their_search(viewer: Client) -> None:
    said = text_of(viewer.get(LIST))
    assert "Flow exact name" in said
    assert "Text in context searches the last 24 hours unless From is set" in said


# One execution


def test_an_execution_shows_its_flow_its_times_and_every_action(viewer: Client, source: Pack) -> None:
    worker = b.pack("Wrk")
    b.save(b.step(id="one", context={"N": "{{ Event.Payload.n }}"}), b.follower("one", id="two"), b.follower("two"))
    b.tell(source, payload={"n": 5, "password": "hunter2"})
    b.work(worker, payload={"ok": True})
    execution = b.only_execution()
    answer = viewer.get(page(execution))
    said = text_of(answer)
    body = answer.content.decode()
    assert 'class="flow-step flow-step-success"' in body
    assert 'class="flow-step flow-step-new"' in body
    assert 'class="flow-step flow-step-unreached"' in body
    assert 'href="#step-one"' in body
    assert 'id="step-one"' in body
    assert 'id="step-step-3"' in body
    assert "Wrk live last seen" in said
    assert "step-3 waits for Wrk.Done after two" in said
    assert '"N" : "5"' in said
    assert "hunter2" not in body
    assert [row.action.step_id for row in answer.context["detail"].timeline] == ["one", "two"]
    assert reverse("admin:flows_event_change", args=[execution.event_id]) in body


def test_a_step_shows_that_no_pack_can_take_it(viewer: Client, source: Pack) -> None:
    b.pack("Wrk", env="dev")
    b.save(b.step(command={"packName": "Wrk", "name": "Do", "packLabels": {"env": "prod"}}))
    b.tell(source)
    said = text_of(viewer.get(page(b.only_execution())))
    assert "Queued for pack Wrk with env: prod. No registered pack can run it." in said


def test_a_step_that_did_not_run_shows_the_reason(viewer: Client, source: Pack) -> None:
    worker = b.pack("Wrk")
    b.save(
        b.step(id="one"),
        b.follower("one", id="false", criteria="{{ Event.Payload.code == 1 }}"),
        b.step(id="labels", dependsOn=["one"], event={"packName": "Wrk", "name": "Done", "packLabels": {"env": "x"}}),
        b.follower("one", id="broken", criteria="{{ datastore('none') }}"),
    )
    b.tell(source)
    b.work(worker, payload={"code": 0})
    said = text_of(viewer.get(page(b.only_execution())))
    assert "criteria false {{ Event.Payload.code == 1 }} Event.Payload.code was 0" in said
    assert "broken error could not be evaluated" in said
    assert said.index("Errors") < said.index("Not reached") < said.index("false waited for Wrk.Done")
    assert "required labels: env: x ; sender labels: none" in said
    assert "steps[3].criteria, line 1" in said


def test_text_of_flows_and_packs_is_escaped_on_every_page(operator: Client, source: Pack) -> None:
    worker = b.pack(HOSTILE)
    b.save(
        b.step(id=HOSTILE, command={"packName": HOSTILE, "name": HOSTILE, "input": HOSTILE}, criteria="{{ true }}"),
        b.follower(HOSTILE, pack=HOSTILE, id="two", criteria=f"{{{{ '{HOSTILE}' == 'x' }}}}"),
        name=HOSTILE,
    )
    b.tell(source, payload={HOSTILE: HOSTILE})
    b.work(worker, "FATAL", {HOSTILE: HOSTILE})
    execution = b.only_execution()
    event = reverse("admin:flows_event_change", args=[execution.event_id])
    for path in (LIST, page(execution), page(execution, "now"), "/admin/flows/event/", event):
        body = operator.get(path).content.decode()
        assert HOSTILE not in body, path
        assert " style=" not in body


def test_a_replay_and_its_original_link_to_each_other(operator: Client, source: Pack) -> None:
    execution = fail(source)
    answer = operator.post(page(execution, "replay"))
    again = Execution.objects.exclude(id=execution.id).get()
    assert answer.headers["Location"] == page(again)
    assert page(execution) in operator.get(page(again)).content.decode()
    assert page(again) in operator.get(page(execution)).content.decode()
    assert "(replay)" in text_of(operator.get(LIST))


def test_an_unknown_execution_is_a_404_page(viewer: Client) -> None:
    for unknown in ("nothing", "0" * 24, "%00", "%2F..", "é"):
        for path in (f"{LIST}{unknown}/", f"{LIST}{unknown}/now"):
            assert "Page not found." in text_of(viewer.get(path), 404)


def test_nothing_can_be_done_with_an_unknown_execution_or_step(operator: Client, source: Pack) -> None:
    existing = page(fail(source))
    paths = [f"{LIST}{unknown}/{what}" for unknown in ("0" * 24, "%00") for what in ("cancel", "replay", "retry/one")]
    for path in [*paths, f"{existing}retry/none", f"{existing}retry/%00"]:
        assert "Page not found." in text_of(operator.post(path), 404), path


# Live updates


def test_a_page_is_updated_only_while_the_execution_runs(viewer: Client, source: Pack) -> None:
    b.save(b.step())
    b.tell(source)
    execution = b.only_execution()
    first = viewer.get(page(execution))
    assert f'hx-get="{page(execution, "now")}" hx-trigger="every 2s"' in first.content.decode()
    mark = first.context["detail"].fingerprint
    same = viewer.get(page(execution, f"now?mark={mark}"))
    assert (same.status_code, "hx-swap-oob" in same.content.decode()) == (200, False)
    b.work(b.pack("Wrk"))
    ended = viewer.get(page(execution, f"now?mark={mark}"))
    assert ended.status_code == 286
    assert "hx-swap-oob" in ended.content.decode()
    assert "succeeded" in text_of(ended, 286)
    assert "hx-get" not in viewer.get(page(execution)).content.decode()


def test_an_update_without_changes_contains_only_times(viewer: Client, source: Pack) -> None:
    b.save(b.step())
    b.tell(source)
    execution = b.only_execution()
    mark = viewer.get(page(execution)).context["detail"].fingerprint
    b.take(b.pack("Wrk"))
    taken = viewer.get(page(execution, f"now?mark={mark}"))
    assert taken.context["detail"].fingerprint != mark
    assert "step-1 running" in text_of(taken)


# Actions of users


def test_an_operator_cancels_an_execution(operator: Client, source: Pack) -> None:
    b.save(b.step())
    b.tell(source)
    execution = b.only_execution()
    assert 'data-open="cancel-execution"' in operator.get(page(execution)).content.decode()
    answer = operator.post(page(execution, "cancel"), follow=True)
    assert "The execution is cancelled." in text_of(answer)
    assert b.only_execution().state == ExecutionState.CANCELLED
    change = Change.objects.get(kind="execution")
    assert (change.actor, change.via, change.what, change.key) == ("operator", "console", "cancelled", execution.id)


def test_an_operator_retries_a_step_that_failed(operator: Client, source: Pack) -> None:
    execution = fail(source)
    assert "Retry" in text_of(operator.get(page(execution)))
    answer = operator.post(page(execution, "retry/one"), follow=True)
    assert "Step one is queued again." in text_of(answer)
    assert Action.objects.get().state == ActionState.NEW
    assert Change.objects.get().detail == {"step": "one"}


def test_a_step_of_any_id_can_be_retried(operator: Client, source: Pack) -> None:
    worker = b.pack("Wrk")
    for number, step_id in enumerate(("a/b", "ä ?#", "a..", "%2F")):
        b.save(b.step(id=step_id), name=f"flow-{number}")
    b.tell(source)
    for execution in Execution.objects.order_by("id"):
        b.work(worker, "FATAL")
        body = operator.get(page(execution)).content.decode()
        (url,) = re.findall(r'action="([^"]+/retry/[^"]*)"', body)
        assert "is queued again" in text_of(operator.post(html.unescape(url), follow=True))


def test_an_impossible_action_is_reported_and_not_recorded(operator: Client, source: Pack) -> None:
    execution = fail(source)
    said = text_of(operator.post(page(execution, "cancel"), follow=True))
    assert "Not cancelled: the execution has already failed." in said
    control.retry_step(execution.id, "one")
    said = text_of(operator.post(page(execution, "retry/one"), follow=True))
    assert "Not retried: the step is already queued." in said
    b.work(b.pack("Wrk"))
    said = text_of(operator.post(page(execution, "retry/one"), follow=True))
    assert "Not retried: the step succeeded; only a failed step can be retried." in said
    b.save(b.step(event={"packName": "Nobody", "name": "Never"}))
    said = text_of(operator.post(page(execution, "replay"), follow=True))
    assert "Not replayed: the flow was deleted, is disabled, or no longer subscribes to the event" in said
    assert not Change.objects.exists()


def test_a_replay_that_starts_nothing_is_reported(operator: Client, source: Pack) -> None:
    execution = fail(source)
    b.save(b.step(criteria="false"))
    assert "no trigger of the flow fired" in text_of(operator.post(page(execution, "replay"), follow=True))


@pytest.mark.parametrize("what", ["cancel", "replay", "retry/one"])
def test_viewers_cannot_change_executions(viewer: Client, source: Pack, what: str) -> None:
    execution = fail(source)
    body = viewer.get(page(execution)).content.decode()
    assert "data-open" not in body
    assert "You are not allowed to do this." in text_of(viewer.post(page(execution, what)), 403)
    assert Execution.objects.get().state == ExecutionState.FAILED


@pytest.mark.parametrize("what", ["cancel", "replay", "retry/one"])
def test_a_form_of_another_site_has_no_effect(source: Pack, operator: Client, what: str) -> None:
    execution = fail(source)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(page(execution, what)).status_code == 403
    assert strict.get(page(execution, what)).status_code == 405
    assert Execution.objects.count() == 1


def test_users_without_a_role_see_nothing(signed_on: SignedOn, source: Pack) -> None:
    execution = fail(source)
    nobody = signed_on("")
    for path in (LIST, page(execution), page(execution, "now"), "/admin/flows/event/"):
        assert nobody.get(path).status_code == 403


def test_signed_out_visitors_are_redirected_to_the_sign_in_page(client: Client, source: Pack) -> None:
    execution = fail(source)
    assert client.get(page(execution)).headers["Location"].startswith("/admin/login/")


@pytest.mark.database
def test_the_page_of_an_execution_needs_constant_queries(viewer: Client, source: Pack) -> None:
    counts = []
    worker = b.pack("Wrk")
    for number in (2, 20):
        b.save(*(b.step(id=f"s{n}") for n in range(number)), b.follower("s0", id="after"), name=f"of {number}")
        b.tell(source)
        b.work(worker)
        with CaptureQueriesContext(connection) as captured:
            viewer.get(page(Execution.objects.get(flow_name=f"of {number}")))
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 13


def test_a_time_in_the_address_means_utc(viewer: Client, source: Pack) -> None:
    b.save(b.step())
    b.tell(source)
    now = timezone.now()
    Execution.objects.update(latest_action_id=min_id_at(now - timedelta(hours=1)))
    since = (now - timedelta(minutes=90)).strftime("%Y-%m-%dT%H:%M")
    until = (now - timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M")
    assert len(viewer.get(f"{LIST}?since={since}&until={until}").context["rows"]) == 1
    assert len(viewer.get(f"{LIST}?since={until}").context["rows"]) == 0
