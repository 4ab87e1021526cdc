"""Pages of events in the console, with the reasons why an event started an execution or not."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from flows.models import Event
from flyte_site.core.observability import request_ids
from packs.models import Action, Pack
from tests.console.conftest import SignedOn
from tests.console.looking import person_with
from tests.console.test_executions import page as execution_page
from tests.console.test_executions import text_of
from tests.flows import builders as b
from tests.reading import statements

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

LIST = "/admin/flows/event/"


@pytest.fixture
def viewer(signed_on: SignedOn) -> Client:
    return signed_on("viewer")


@pytest.fixture
def source() -> Pack:
    return b.pack("Src", env="x")


def newest_event_text(viewer: Client) -> str:
    """Return the text of the page of the newest event."""
    newest = Event.objects.order_by("-id")[0]
    return text_of(viewer.get(f"{LIST}{newest.id}/"))


def test_an_empty_list_explains_events(viewer: Client) -> None:
    assert "No events yet" in text_of(viewer.get(LIST))
    assert "No matching events" in text_of(viewer.get(f"{LIST}?pack=x"))


def test_an_event_is_listed_with_its_outcome_by_flow(viewer: Client, source: Pack) -> None:
    b.save(b.step(), name="fires")
    b.save(b.step(criteria="false"), name="refuses")
    b.save(b.step(event={"packName": "Src", "name": "Go", "packLabels": {"env": "y"}}), name="elsewhere")
    b.save(b.step(criteria="{{ datastore('none') }}"), name="breaks")
    b.tell(source)
    answer = viewer.get(LIST)
    said = text_of(answer)
    assert "fires : fired" in said
    assert "refuses: criteria false" in said
    assert "elsewhere: labels mismatch" in said
    assert "breaks: error" in said
    assert f"/admin/flows/execution/{b.only_execution().id}/" in answer.content.decode()


def test_an_event_shows_why_each_step_did_not_run(viewer: Client, source: Pack) -> None:
    b.save(b.step(id="asked", criteria="{{ Event.Payload.message == 'deploy' }}"))
    b.tell(source, payload={"message": "bye", "token": "xoxb"})
    said = newest_event_text(viewer)
    assert "asked criteria false {{ Event.Payload.message == 'deploy' }} Event.Payload.message was \"bye\"" in said
    assert "the criteria are false" not in said
    assert "xoxb" not in said
    assert "Sender labels env: x" in said


def test_an_event_without_a_flow_shows_flows_with_similar_triggers(viewer: Client, source: Pack) -> None:
    b.save(b.step(event={"packName": "Src", "name": "go"}), name="small letters")
    b.tell(source)
    said = newest_event_text(viewer)
    assert "No matching flow" in said
    assert "small letters subscribes to go, not to Go (names are case-sensitive)." in said


def test_an_event_links_to_its_flows(viewer: Client, source: Pack) -> None:
    stopped = b.save(b.step(criteria="false"), name="stopped")
    deaf = b.save(b.step(event={"packName": "Src", "name": "go"}), name="deaf")
    gone = b.save(b.step(criteria="false"), name="gone")
    b.tell(source)
    gone.delete()
    page = f"{LIST}{Event.objects.order_by('-id')[0].id}/"
    body = viewer.get(page).content.decode()
    for flow in (stopped, deaf):
        assert f'<a href="/admin/flows/flow/{flow.pk}/change/">{flow.name}</a>' in body
    assert ">gone<" not in body
    assert "gone" in body
    assert "/admin/flows/flow/" not in person_with("view_event").get(page).content.decode()


def test_events_are_found_by_pack_and_name(viewer: Client, source: Pack) -> None:
    other = b.pack("Other")
    b.save(b.step(), b.step(event={"packName": "Other", "name": "Come"}))
    b.tell(source)
    b.tell(other, "Come")
    assert [row.event.pack_name for row in viewer.get(LIST).context["rows"]] == ["Other", "Src"]
    assert [row.event.name for row in viewer.get(f"{LIST}?pack=Src").context["rows"]] == ["Go"]
    assert [row.event.name for row in viewer.get(f"{LIST}?name=Come").context["rows"]] == ["Come"]


def test_a_result_links_to_its_execution(viewer: Client, source: Pack) -> None:
    b.save(b.step(id="one"), b.follower("one"))
    b.tell(source)
    b.work(b.pack("Wrk"))
    result = Event.objects.get(name="Done")
    assert f"/admin/flows/execution/{b.only_execution().id}/" in viewer.get(f"{LIST}{result.id}/").content.decode()


def test_the_list_has_a_redacted_preview_of_each_payload(viewer: Client, source: Pack) -> None:
    b.save(b.step())
    for payload in ({"message": "deploy one", "token": "xoxb"}, {"message": "x" * 5000}, None):
        b.tell(source, payload=payload)
    answer = viewer.get(LIST)
    nothing, long, first = (row.payload for row in answer.context["rows"])
    assert (nothing, first) == ("", '{"message": "deploy one", "token": "••••••"}')
    assert long.startswith('{"message": "xxx')
    assert len(long) == 161
    assert "deploy one" in text_of(answer)


def test_a_result_shows_the_steps_that_depend_on_it(viewer: Client, source: Pack) -> None:
    worker = b.pack("Wrk")
    join = b.follower(["a", "b"], id="join", dependsOnMode="all")
    y = b.follower(["x", "never"], id="y", dependsOnMode="all")
    never = b.follower("a", event="Never", id="never")
    b.save(b.step(id="a"), b.step(id="b"), join, b.follower("a", id="x"), y, never)
    b.tell(source)
    ended = [b.work(worker).step_id for _ in range(3)]
    assert ended == ["a", "b", "x"]  # a starts x, and b starts the join; y waits for x and for a step that does not run
    result = Event.objects.filter(outcomes=[]).latest("id")
    said = text_of(viewer.get(f"{LIST}{result.id}/"))
    assert "No matching flow" not in said
    assert "y x and never not fired" in said
    assert "join a and b" not in said


def test_a_result_shows_that_a_join_still_waits(viewer: Client, source: Pack) -> None:
    b.save(b.step(id="a"), b.step(id="b"), b.follower(["a", "b"], id="join", dependsOnMode="all"))
    b.tell(source)
    b.work(b.pack("Wrk"))
    result = Event.objects.get(name="Done")
    assert "join a and b not fired" in text_of(viewer.get(f"{LIST}{result.id}/"))
    assert "result of an action" in text_of(viewer.get(LIST))


def test_a_result_without_dependent_steps_says_so(viewer: Client, source: Pack) -> None:
    b.save(b.step(id="a"))
    b.tell(source)
    b.work(b.pack("Wrk"))
    said = text_of(viewer.get(f"{LIST}{Event.objects.get(name='Done').id}/"))
    assert "No dependent steps This event is the result of an action of an execution . No step of the exec" in said
    assert "No step of the execution depends on it" in said


def test_an_unknown_event_is_a_404_page(viewer: Client) -> None:
    for unknown in ("nothing", "0" * 24, "%00"):
        assert "Page not found." in text_of(viewer.get(f"{LIST}{unknown}/"), 404)


@pytest.mark.database
def test_the_list_of_events_needs_constant_queries(viewer: Client, source: Pack) -> None:
    b.save(b.step())
    counts = []
    for number in (2, 20):
        for _ in range(number):
            b.tell(source)
        with CaptureQueriesContext(connection) as captured:
            viewer.get(LIST)
        counts.append(len(statements(captured)))
    assert counts[0] == counts[1] <= 7


def test_an_execution_shows_its_request_id(viewer: Client, source: Pack) -> None:
    b.save(b.step())
    with request_ids.bind("asked-for-it"):
        b.tell(source)
    assert "Find it in the log request_id=asked-for-it" in text_of(viewer.get(execution_page(b.only_execution())))
    Action.objects.update(request_id="")
    assert "Find it in the log" not in text_of(viewer.get(execution_page(b.only_execution())))


def test_the_first_event_is_linked_for_users_with_permission(source: Pack) -> None:
    b.save(b.step(id="one"), b.follower("one", criteria="{{ false }}"))
    b.tell(source)
    b.work(b.pack("Wrk"))
    somebody = person_with("view_execution")
    said = somebody.get(execution_page(b.only_execution()))
    assert LIST not in said.content.decode()
    assert "Trigger event Src.Go" in text_of(said)
    assert "When Wrk.Done was received" in text_of(said)
    Event.objects.all().delete()
    assert "Trigger event no longer stored" in text_of(somebody.get(execution_page(b.only_execution())))
