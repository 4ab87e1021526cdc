"""Pages of packs in the console: status, queues, deletion, and permissions."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from flyte_site.models import Change
from packs.models import STATUSES, Action, Pack, status_filter
from tests.console.conftest import SignedOn
from tests.console.looking import person_with, seen_ago, text_of
from tests.flows import builders as b
from tests.packs.actions import waiting
from tests.reading import statements

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST = "/admin/packs/pack/"
HOSTILE = "<script>alert(1)</script>"


def page(pack: Pack, more: str = "") -> str:
    return f"{LIST}{pack.pk}/{more}"


def names(response: Any) -> list[str]:
    return [row.pack.identity for row in response.context["rows"]]


def aged(action: Action, **ago: float) -> Action:
    Action.objects.filter(id=action.id).update(ready_at=timezone.now() - timedelta(**ago))
    return action


@pytest.fixture
def viewer(signed_on: SignedOn) -> Client:
    return signed_on("viewer")


@pytest.fixture
def operator(signed_on: SignedOn) -> Client:
    return signed_on("operator")


# The list


def test_an_empty_list_explains_packs(viewer: Client) -> None:
    assert "No packs yet" in text_of(viewer.get(LIST))
    assert "No matching packs" in text_of(viewer.get(f"{LIST}?status=live"))


def test_a_pack_is_listed_with_its_status_and_declarations(viewer: Client) -> None:
    pack = seen_ago("Slack", hours=3)
    commands = [{"name": "SendMessage", "events": ["Sent", "ReceivedMessage"]}, {"name": "Leave"}]
    declared = {"commands": commands, "events": [{"name": "ReceivedMessage"}]}
    Pack.objects.filter(pk=pack.pk).update(**declared)
    answer = viewer.get(LIST)
    assert "warning Slack – 3 h ago SendMessage , Leave ReceivedMessage , Sent 0 0" in text_of(answer)
    assert f'href="{page(pack)}"' in answer.content.decode()


def test_status_and_filter_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    now = timezone.now()
    monkeypatch.setattr(timezone, "now", lambda: now)
    for number, seconds in enumerate((0, 599, 601, 86_399, 86_401, 10**7)):
        seen_ago(f"P{number}", seconds=seconds)
    for status in STATUSES:
        packs = Pack.objects.filter(status_filter(status, now))
        assert [pack.status for pack in packs] == [status, status]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("status=live", ["Jira.env.prod", "Slack"]),
        ("status=critical", ["Old"]),
        ("status=warning", []),
        ("status=gone", []),
        ("text=sLa", ["Slack"]),
        ("text=env", ["Jira.env.prod"]),
        ("text=env:%20prod", ["Jira.env.prod"]),
        ("text=%25", []),
        ("text=Slack&status=critical", []),
        ("after=Jira.env.prod", ["Old", "Slack"]),
        ("before=Old", ["Jira.env.prod"]),
        ("before=%00", ["Jira.env.prod", "Old", "Slack"]),
        ("after=" + "z" * 3000, []),
        ("before=A", []),
    ],
)
def test_the_list_can_be_narrowed(viewer: Client, query: str, expected: list[str]) -> None:
    b.pack("Slack")
    b.pack("Jira", env="prod")
    seen_ago("Old", days=3)
    assert names(viewer.get(f"{LIST}?{query}")) == expected


def test_links_to_other_pages_keep_the_filters(viewer: Client) -> None:
    for number in range(120):
        b.pack(f"Pack {number:03}")
    b.pack("Other")
    first = viewer.get(f"{LIST}?text=pack&status=live")
    assert names(first) == [f"Pack {number:03}" for number in range(50)]
    assert set(first.context["links"]) == {"after"}
    second = viewer.get(LIST + first.context["links"]["after"])
    last = viewer.get(LIST + second.context["links"]["after"])
    assert names(last) == [f"Pack {number:03}" for number in range(100, 120)]
    assert set(last.context["links"]) == {"before"}
    back = viewer.get(LIST + last.context["links"]["before"])
    assert names(back) == names(second)
    assert set(viewer.get(LIST + back.context["links"]["before"]).context["links"]) == {"after"}


def test_a_queued_action_counts_for_each_pack_that_can_take_it(viewer: Client) -> None:
    for labels in ({}, {"env": "prod"}, {"env": "prod", "az": "b"}):
        b.pack("Slack", **labels)
    aged(waiting("Slack", labels={"env": "prod"}), hours=2)
    aged(waiting("Slack"), hours=1)
    aged(waiting("slack"), hours=9)
    rows = {row.pack.identity: row.queued.count for row in viewer.get(LIST).context["rows"]}
    assert rows == {"Slack": 1, "Slack.env.prod": 2, "Slack.az.b.env.prod": 2}
    assert "2 oldest 2 h ago" in text_of(viewer.get(LIST))


def test_a_running_action_counts_only_for_its_pack(viewer: Client) -> None:
    first, _ = b.pack("Slack", env="a"), b.pack("Slack", env="b")
    for _ in range(2):
        waiting("Slack")
    b.take(first)
    rows = {row.pack.identity: (row.queued.count, row.claimed.count) for row in viewer.get(LIST).context["rows"]}
    assert rows == {"Slack.env.a": (1, 1), "Slack.env.b": (1, 0)}


def test_orphaned_actions_are_shown_above_with_links_to_their_executions(viewer: Client) -> None:
    b.pack("Slack")
    b.save(b.step(command={"packName": "Slack", "name": "Send", "packLabels": {"env": "prod"}}))
    b.tell(b.pack("Src"))
    aged(Action.objects.get(), hours=5)
    waiting("Slack")
    answer = viewer.get(LIST)
    assert "1 action for Slack with env: prod , oldest 5 h ago" in text_of(answer)
    (url,) = re.findall(r'href="(/admin/flows/execution/\?[^"]+)"', answer.content.decode())
    rows = viewer.get(html.unescape(url)).context["rows"]
    assert [row.execution.id for row in rows] == [Action.objects.exclude(labels_key="{}").get().correlation_id]


def test_many_orphaned_groups_are_shown_as_a_number(viewer: Client) -> None:
    for number in range(13):
        waiting(f"Gone {number}")
    assert "And 3 newer groups" in text_of(viewer.get(LIST))


# One pack


@pytest.fixture
def slack() -> Pack:
    pack = b.pack("Slack", env="prod", items="x")
    links = [
        {"rel": "help", "href": "https://example.org/slack"},
        {"rel": "bad", "href": "javascript:alert(1)"},
        {"rel": "worse", "href": "javascript://host/%0aalert(1)"},
        {"rel": "odd", "href": "https://[broken"},
    ]
    Pack.objects.filter(pk=pack.pk).update(
        commands=[{"name": "SendMessage", "events": ["Sent", "SendFailed"]}],
        events=[{"name": "ReceivedMessage", "links": [{"rel": "about", "href": "data:text/html,x"}]}, {"name": "Bare"}],
        links=links,
    )
    return Pack.objects.get(pk=pack.pk)


def test_a_pack_shows_its_declarations(viewer: Client, slack: Pack) -> None:
    said = text_of(viewer.get(page(slack)))
    for part in ("env: prod items: x", "SendMessage Sent, SendFailed", "ReceivedMessage data:text/html,x", "Bare –"):
        assert part in said
    assert "No queued or running actions." in said


def test_only_http_urls_become_links(viewer: Client, slack: Pack) -> None:
    body = viewer.get(page(slack)).content.decode()
    assert 'href="https://example.org/slack" rel="noreferrer noopener nofollow"' in body
    for scheme in ("javascript:", "data:text", "https://[broken"):
        assert f'href="{scheme}' not in body
        assert scheme in body


def test_the_oldest_queued_action_and_running_actions_link_to_their_executions(viewer: Client, slack: Pack) -> None:
    held = waiting("Slack")
    b.take(slack)
    old = aged(waiting("Slack", labels={"env": "prod"}), hours=4)
    young = waiting("Slack", name="Young")
    waiting("Slack", labels={"env": "dev"})
    answer = viewer.get(page(slack))
    links = re.findall(r'/admin/flows/execution/(\w{24})/">Execution<', answer.content.decode())
    assert links == [old.correlation_id, young.correlation_id, held.correlation_id]
    assert "2 queued actions that this pack can run, oldest 4 h ago" in text_of(answer)
    assert "1 running action." in text_of(answer)


def test_only_the_ten_oldest_queued_actions_are_listed(viewer: Client, slack: Pack) -> None:
    for number in range(40):
        waiting("Slack", labels={"env": "prod"} if number % 2 else {})
    for number in range(30):
        aged(waiting("Slack", name="Old"), hours=number + 1)
    queue = viewer.get(page(slack)).context["queue"]
    assert (queue.queued.count, len(queue.oldest)) == (70, 10)
    assert [action.name for action in queue.oldest] == ["Old"] * 10


def test_flows_that_use_a_pack_are_listed_with_its_commands_and_events(viewer: Client, slack: Pack) -> None:
    def of(pack_name: str, name: str, **labels: str) -> dict[str, Any]:
        return {"packName": pack_name, "name": name, **({"packLabels": labels} if labels else {})}

    b.save(b.step(event=of("Slack", "ReceivedMessage")), name="starts")
    b.save(b.step(id="a"), b.follower("a", event="Sent", pack="Slack"), name="follows")
    b.save(b.step(command=of("Slack", "SendMessage", env="prod")), name="commands", enabled=False)
    b.save(b.step(command=of("Slack", "SendMessage", env="{{ Event.Payload.env }}")), name="perhaps")
    b.save(b.step(command=of("Slack", "SendMessage", env="dev")), name="another label")
    b.save(b.step(command={**of("Wrk", "Do"), "input": {"packName": "Slack"}}), name="only in its input")
    uses = viewer.get(page(slack)).context["uses"]
    assert [row["use"].flow.name for row in uses] == ["commands", "follows", "perhaps", "starts"]
    assert [row["use"].is_trigger for row in uses] == [False, False, False, True]
    assert "commands disabled – SendMessage" in text_of(viewer.get(page(slack)))


def test_only_the_last_events_of_the_pack_are_shown(viewer: Client, slack: Pack) -> None:
    b.save(b.step(event={"packName": "Slack", "name": "Go"}))
    for _ in range(25):
        b.tell(slack)
    b.tell(b.pack("Slack"))
    events = viewer.get(page(slack)).context["events"]
    assert len(events) == 10
    assert {event.pack_identity for event in events} == {slack.identity}
    assert [event.id for event in events] == sorted((event.id for event in events), reverse=True)


@pytest.mark.parametrize("pk", ["0", "x", "9" * 18, "9" * 40, "²", "%00", "-1"])
def test_an_unknown_pack_is_a_404_page(operator: Client, pk: str) -> None:
    assert operator.get(f"{LIST}{pk}/").status_code == 404
    assert operator.post(f"{LIST}{pk}/delete").status_code == 404


def test_names_are_escaped(viewer: Client) -> None:
    pack = b.pack(HOSTILE, env=HOSTILE)
    Pack.objects.update(
        commands=[{"name": HOSTILE, "events": [HOSTILE]}],
        events=[{"name": HOSTILE}],
        links=[{"rel": HOSTILE, "href": f'https://x/"{HOSTILE}'}],
    )
    waiting(HOSTILE, name=HOSTILE, labels={HOSTILE: HOSTILE})
    for path in (LIST, page(pack)):
        body = viewer.get(path).content.decode()
        assert HOSTILE not in body
        assert html.escape(HOSTILE) in body


# Deleting


def test_a_deletion_warns_of_orphaned_actions_and_is_recorded(operator: Client, slack: Pack) -> None:
    b.pack("Slack", env="dev")
    waiting("Slack")
    for _ in range(2):
        waiting("Slack", labels={"env": "prod"})
    question = text_of(operator.get(page(slack)))
    assert "2 actions become orphaned until a pack with this name" in question
    answer = operator.post(page(slack, "delete"), follow=True)
    assert "deleted. 2 actions are now orphaned." in text_of(answer)
    assert list(Pack.objects.values_list("identity", flat=True)) == ["Slack.env.dev"]
    change = Change.objects.get(what="deleted")
    assert (change.actor, change.via, change.kind, change.key) == ("operator", "console", "pack", slack.identity)
    assert change.detail == {"orphaned": 2}
    assert "2 actions for Slack with env: prod" in text_of(operator.get(LIST))


def test_a_deletion_warns_of_running_actions(operator: Client, slack: Pack) -> None:
    waiting("Slack")
    b.take(slack)
    said = text_of(operator.get(page(slack)))
    assert "No action would be orphaned." in said
    assert "1 action that it has claimed cannot get a result until then" in said


@pytest.mark.parametrize(
    ("role", "status"), [("viewer", 403), ("editor", 403), ("operator", 302), ("admin", 302), ("", 403)]
)
def test_deletion_needs_a_permission(signed_on: SignedOn, slack: Pack, role: str, status: int) -> None:
    person = signed_on(role)
    if role:
        assert ("delete-pack" in person.get(page(slack)).content.decode()) == (status == 302)
    assert person.post(page(slack, "delete")).status_code == status
    assert Pack.objects.exists() == (status == 403)
    assert Change.objects.filter(what="deleted").exists() == (status == 302)


def test_a_link_or_a_form_of_another_site_does_not_delete_a_pack(operator: Client, slack: Pack) -> None:
    assert operator.get(page(slack, "delete")).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(page(slack, "delete")).status_code == 403
    assert Pack.objects.exists()


@pytest.mark.parametrize("more", ["add/", "1/change/"])
def test_nobody_adds_or_edits_a_pack(signed_on: SignedOn, more: str) -> None:
    assert signed_on("admin").get(LIST + more).status_code == 404


# Permissions


def test_users_without_a_role_see_nothing(signed_on: SignedOn, slack: Pack) -> None:
    nobody = signed_on("")
    assert [nobody.get(path).status_code for path in (LIST, page(slack))] == [403, 403]


def test_signed_out_visitors_are_redirected_to_the_sign_in_page(client: Client, slack: Pack) -> None:
    for path in (LIST, page(slack)):
        assert client.get(path).headers["Location"].startswith("/admin/login/")


def test_queues_flows_and_events_need_their_own_permissions(slack: Pack) -> None:
    waiting("Slack")
    waiting("Gone")
    person = person_with("view_pack")
    for path in (LIST, page(slack)):
        said = text_of(person.get(path))
        assert "Slack" in said
        for hidden in ("Queue", "Running", "Used by flows", "Recent events", "Orphaned", "History"):
            assert hidden not in said


@pytest.mark.database
def test_the_pages_of_packs_need_constant_queries(viewer: Client) -> None:
    counts: list[tuple[int, int]] = []
    for number in (2, 48):
        for each in range(number):
            b.pack(f"Pack {number} {each}")
            waiting(f"Pack {number} {each}")
            b.save(b.step(event={"packName": f"Pack {number} 0", "name": "Go"}), name=f"flow {number} {each}")
        pack = Pack.objects.get(name=f"Pack {number} 0")
        b.tell(pack)
        numbers = []
        for path in (LIST, page(pack)):
            with CaptureQueriesContext(connection) as captured:
                assert viewer.get(path).status_code == 200
            numbers.append(len(statements(captured)))
        counts.append((numbers[0], numbers[1]))
    assert counts[0] == counts[1]
    assert counts[0] <= (12, 18)
