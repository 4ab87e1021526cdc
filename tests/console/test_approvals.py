"""Approvals in the console: on the home page and on their pages, and the permission to decide."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from audit.view_models.approvals import PAGE_SIZE
from flows.engine import control
from flows.engine.jobs import HostedResults
from flows.models import Execution
from flyte_site.models import Change
from packs.hosted.plugins import approval
from packs.hosted_registry import HostedRegistry
from packs.models import Action, Approval
from tests.console.conftest import SignedOn
from tests.console.looking import person_with, text_of
from tests.hosted.stub_plugin import ask, host_plugins, let_time_pass

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST = "/admin/packs/approval/"
HOSTILE = "<script>alert(1)</script>"
Ask = Callable[..., str]


@pytest.fixture
def hosting() -> HostedRegistry:
    return host_plugins(approval.ENTRY)


@pytest.fixture
def ask_question(hosting: HostedRegistry) -> Ask:
    """Return a function that creates an approval and returns the id of its action."""

    def create_question(input: Any = "Deploy to prod?", **options: Any) -> str:
        ask(pack="Approval", name="Ask", input=input, **options)
        let_time_pass()
        hosting.reconcile("Approval", HostedResults())
        return Action.objects.filter(step_id="do").order_by("-id")[0].id

    return create_question


def decide(client: Client, action_id: str, approved: str = "true", **more: str) -> Any:
    return client.post(f"{LIST}{action_id}/decide", {"approved": approved, "back": "home", **more}, follow=True)


def create_approvals(count: int) -> None:
    moment = Action.objects.get().ready_at
    rows = (
        Approval(
            action_id=f"{number:024x}",
            attempt=1,
            flow_name="many",
            correlation_id=f"{number:024x}",
            question=f"Question {number}?",
            asked_at=moment,
            ends_at=moment + timedelta(days=9),
        )
        for number in range(1, count + 1)
    )
    Approval.objects.bulk_create(rows)


def test_home_lists_open_approvals_with_buttons_for_users_with_permission(
    signed_on: SignedOn, ask_question: Ask
) -> None:
    action_id = ask_question({"question": "Deploy to prod?", "details": {"version": "1.2", "password": "geheim"}})
    operator, viewer = signed_on("operator"), signed_on("viewer")
    for path in ("/admin/", "/admin/now", LIST, f"{LIST}{action_id}/"):
        for client, decides in ((operator, True), (viewer, False)):
            answer = client.get(path)
            assert "Deploy to prod?" in text_of(answer), path
            assert (f"{LIST}{action_id}/decide" in answer.content.decode()) is decides
            assert "geheim" not in answer.content.decode()
    assert "Pending approvals" in text_of(operator.get("/admin/"))
    assert "Pending approvals" in text_of(viewer.get("/admin/"))
    assert "Only operators and admins can decide." in text_of(viewer.get(f"{LIST}{action_id}/"))


def test_home_has_no_approvals_if_none_are_open_or_visible(ask_question: Ask) -> None:
    stranger = person_with("view_pack")
    assert "Pending approvals" not in text_of(stranger.get("/admin/"))
    ask_question()
    assert "Deploy to prod?" not in text_of(stranger.get("/admin/"))
    assert stranger.get(LIST).status_code == 403


@pytest.mark.parametrize(
    ("approved", "outcome", "event"), [("true", "Approved", "Approved"), ("false", "Rejected", "Rejected")]
)
def test_the_decision_is_in_the_result_and_the_activity_log(
    signed_on: SignedOn, ask_question: Ask, hosting: HostedRegistry, approved: str, outcome: str, event: str
) -> None:
    action_id = ask_question()
    operator = signed_on("operator")
    answer = decide(operator, action_id, approved, comment="at noon\x00 ")
    assert answer.redirect_chain == [("/admin/", 302)]
    assert f"{outcome}; the flow continues. Deploy to prod?" in text_of(answer)
    hosting.reconcile("Approval", HostedResults())
    result = Action.objects.get(id=action_id).result
    assert result["event"] == event
    assert (result["payload"]["by"], result["payload"]["comment"]) == ("operator", "at noon")
    change = Change.objects.get(kind="approval")
    assert (change.actor, change.via, change.what, change.key) == ("operator", "console", outcome.lower(), action_id)
    text = text_of(operator.get(f"{LIST}{action_id}/"))
    assert f"{outcome} by operator" in text
    assert "at noon" in text
    assert "decide" not in operator.get(f"{LIST}{action_id}/").content.decode().split("Expires")[1]


def test_the_second_of_two_concurrent_decisions_is_refused(signed_on: SignedOn, ask_question: Ask) -> None:
    action_id = ask_question()
    operator, admin = signed_on("operator"), signed_on("admin")
    decide(operator, action_id, "true")
    for decision in ("true", "false"):
        answer = text_of(decide(admin, action_id, decision))
        assert "Not decided: already approved by operator. Deploy to prod?" in answer
    assert "Approved; the flow continues" in text_of(decide(operator, action_id, "true"))
    assert (Approval.objects.get().decided_by, Change.objects.filter(kind="approval").count()) == ("operator", 1)


def test_a_cancelled_or_expired_approval_cannot_be_decided(
    signed_on: SignedOn, ask_question: Ask, hosting: HostedRegistry
) -> None:
    operator = signed_on("operator")
    late = ask_question()
    Approval.objects.update(ends_at=F("asked_at"))
    assert "Not decided: the time to decide has expired." in text_of(decide(operator, late))
    assert "Approval expired" in text_of(operator.get(f"{LIST}{late}/"))
    assert "Nobody decided in time." in text_of(operator.get(f"{LIST}{late}/"))
    cancelled = ask_question()
    control.cancel_execution(Action.objects.get(id=cancelled).correlation_id)
    hosting.run_upkeep()
    hosting.reconcile("Approval", HostedResults())
    assert "Not decided: the action was cancelled or timed out." in text_of(decide(operator, cancelled))
    assert "withdrawn" in text_of(operator.get(f"{LIST}{cancelled}/"))


def test_deciding_requires_permission_a_csrf_token_and_a_decision(signed_on: SignedOn, ask_question: Ask) -> None:
    action_id = ask_question()
    for role in ("viewer", "editor", ""):
        assert decide(signed_on(role), action_id).status_code == 403
    operator = signed_on("operator")
    assert operator.get(f"{LIST}{action_id}/decide").status_code == 405
    assert decide(operator, action_id, "perhaps").status_code == 400
    assert decide(operator, "0" * 24).status_code == 404
    assert decide(operator, "nothing").status_code == 404
    assert operator.get(f"{LIST}nothing/").status_code == 404
    assert "Not decided: the comment is too long; the limit is 10000 characters." in text_of(
        decide(operator, action_id, comment="x" * 10_001)
    )
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="operator"))
    assert decide(strict, action_id).status_code == 403
    assert Approval.objects.get().approved is None


def test_a_decision_returns_to_the_previous_page(signed_on: SignedOn, ask_question: Ask) -> None:
    operator = signed_on("operator")
    for back, location in (("home", "/admin/"), ("list", LIST), ("question", None), ("https://example.org/", None)):
        action_id = ask_question()
        answer = decide(operator, action_id, back=back)
        assert answer.redirect_chain == [(location or f"{LIST}{action_id}/", 302)]
    only = person_with("decide_approval")
    assert decide(only, ask_question(), back="list").redirect_chain == [("/admin/", 302)]


def test_empty_lists_explain_how_a_flow_asks(signed_on: SignedOn) -> None:
    viewer = signed_on("viewer")
    assert "No pending approvals" in text_of(viewer.get(LIST))
    assert "No approvals yet" in text_of(viewer.get(f"{LIST}?show=all"))
    assert "No more approvals" in text_of(viewer.get(f"{LIST}?show=open&after=999"))


def test_approvals_are_paged_with_constant_queries(signed_on: SignedOn, ask_question: Ask) -> None:
    ask_question()
    viewer = signed_on("viewer")
    with CaptureQueriesContext(
        connection,
    ) as few:
        viewer.get(LIST)
    create_approvals(PAGE_SIZE + 10)
    with CaptureQueriesContext(connection) as more:
        first = viewer.get(LIST)
    assert len(more) == len(few)
    assert len(first.context["rows"]) == PAGE_SIZE
    second = viewer.get(LIST + first.context["next_url"])
    assert [row.approval.question for row in second.context["rows"]][-1] == f"Question {PAGE_SIZE + 10}?"
    assert (len(second.context["rows"]), second.context["next_url"]) == (11, "")
    newest = viewer.get(f"{LIST}?show=all")
    assert newest.context["rows"][0].approval.question == f"Question {PAGE_SIZE + 10}?"
    oldest = viewer.get(LIST + newest.context["next_url"])
    assert oldest.context["rows"][-1].approval.question == "Deploy to prod?"
    home = text_of(viewer.get("/admin/"))
    assert "Question 4?" in home
    assert "Question 5?" not in home
    assert "More pending approvals" in home


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=" + "9" * 30, "before=%00", "after=٣"])
def test_an_invalid_address_is_the_first_page(signed_on: SignedOn, ask_question: Ask, query: str) -> None:
    ask_question()
    assert "Deploy to prod?" in text_of(signed_on("viewer").get(f"{LIST}?{query}"))


def test_the_history_shows_the_outcome_of_each_approval(signed_on: SignedOn, ask_question: Ask) -> None:
    operator = signed_on("operator")
    decide(operator, ask_question("One?"), "false", comment="not on a Friday")
    ask_question("Two?")
    text = text_of(operator.get(f"{LIST}?show=all"))
    assert text.index("Two?") < text.index("One?")
    assert "pending –" in text
    assert "rejected operator," in text
    assert "not on a Friday" in text
    assert "One?" not in text_of(operator.get(LIST))


def test_question_and_comment_are_escaped(signed_on: SignedOn, ask_question: Ask) -> None:
    operator = signed_on("operator")
    action_id = ask_question({"question": HOSTILE, "details": HOSTILE})
    pages = [operator.get(path) for path in ("/admin/", LIST, f"{LIST}{action_id}/")]
    decide(operator, action_id, comment=HOSTILE)
    pages += [operator.get(path) for path in (f"{LIST}?show=all", f"{LIST}{action_id}/")]
    assert [HOSTILE in page.content.decode() for page in pages] == [False] * 5


def test_the_execution_links_to_the_approval(signed_on: SignedOn, ask_question: Ask) -> None:
    action_id = ask_question()
    address = f"/admin/flows/execution/{Execution.objects.get().id}/"
    for role, word in (("operator", "Decide"), ("viewer", "Show question")):
        answer = signed_on(role).get(address)
        assert f"queued waiting for a decision. {word}" in text_of(answer)
        assert f'href="{LIST}{action_id}/"' in answer.content.decode()


def test_every_role_sees_approvals_but_only_operators_and_admins_decide() -> None:
    def roles(codename: str) -> set[str]:
        return set(Group.objects.filter(permissions__codename=codename).values_list("name", flat=True))

    assert roles("view_approval") == {"viewer", "editor", "operator", "admin"}
    assert roles("decide_approval") == {"operator", "admin"}
