"""Attempts on the page of an execution, and secrets that searches must not reveal."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from flows.engine.complete import expire_lease
from packs.models import Action, ActionState, Pack
from tests.console.conftest import SignedOn
from tests.console.test_executions import LIST, page, text_of
from tests.flows import builders as b

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture
def source() -> Pack:
    return b.pack("Src")


@pytest.fixture
def viewer(signed_on: SignedOn) -> Client:
    return signed_on("viewer")


def test_abandoned_attempts_are_separate_from_the_current_one(viewer: Client, source: Pack) -> None:
    worker = b.pack("Wrk")
    b.save(b.step(id="one", command={"packName": "Wrk", "name": "Do", "retries": 1}))
    b.tell(source)

    def parts() -> set[str]:
        (step,) = viewer.get(page(b.only_execution())).context["detail"].steps
        return {name for name in step.json_parts if name in ("Earlier attempts", "Late results")}

    def end_lease() -> None:
        Action.objects.update(lease_ends_at=timezone.now() - timedelta(seconds=1))
        expire_lease(Action.objects.get().id)

    first = b.take(worker)
    assert parts() == set()
    end_lease()
    assert parts() == {"Earlier attempts"}
    second = b.take(worker)
    end_lease()
    assert Action.objects.get().state == ActionState.FATAL
    (step,) = viewer.get(page(b.only_execution())).context["detail"].steps
    assert [entry["attempt"] for entry in step.json_parts["Earlier attempts"]] == [1]
    b.give(worker, second)
    assert parts() == {"Earlier attempts", "Late results"}
    assert first.attempt == 1


def test_a_first_attempt_has_no_earlier_attempts(viewer: Client, source: Pack) -> None:
    b.save(b.step(id="one"))
    b.tell(source)
    b.take(b.pack("Wrk"))
    Action.objects.update(lease_ends_at=timezone.now() - timedelta(seconds=1))
    expire_lease(Action.objects.get().id)
    assert "Earlier attempts" not in text_of(viewer.get(page(b.only_execution())))


def test_a_search_does_not_reveal_parts_of_a_secret(viewer: Client, source: Pack) -> None:
    b.save(b.step(id="one", context={"password": "{{ Event.Payload.pw }}", "Name": "{{ Event.Payload.who }}"}))
    for _ in range(30):  # more than a page: a link to the next page must not reveal secrets either
        b.tell(source, payload={"pw": "hunter2", "who": "Ana"})

    def said(text: str, more: str) -> tuple[int, dict[str, str], str]:
        answer = viewer.get(f"{LIST}?text={text}{more}")
        return len(answer.context["rows"]), answer.context["links"], text_of(answer)

    for more in ("", "&flow=flow", "&pack=Wrk", "&flow=flow&step=one"):
        wrong = said("zzz", more)
        assert wrong[:2] == (0, {})
        for right in ("hunter2", "hun", "h", "2"):
            assert said(right, more) == wrong
        assert said("Ana", more)[0] == said("password", more)[0] == 25
