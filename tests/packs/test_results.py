"""Results of actions: accepted, repeated and rejected ones."""

from typing import Any

import pytest
from django.utils import timezone

from flyte_site.db.table_sql import DirectWrites
from packs.models import Action, ActionState
from packs.queue.results import ResultStatus, record_result
from packs.queue.take import take as take_action
from tests.packs.actions import waiting
from tests.site.shape import register_pack

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def result(event: str, payload: Any = None) -> dict[str, Any]:
    return {"event": event, "payload": payload}


def test_a_result_counts_once_and_its_repeat_changes_nothing() -> None:
    pack, action = register_pack("Wrk"), waiting()
    taken = take_action(pack)
    assert taken
    assert taken.id == action.id
    now = timezone.now()
    assert record_result(DirectWrites(), taken, pack, 1, result("Done", {"n": 1}), now) is ResultStatus.ACCEPTED
    for event, payload, outcome in (
        ("Done", {"n": 1}, ResultStatus.DUPLICATE),
        ("Done", {"n": 2}, ResultStatus.REJECTED),
        ("FATAL", {"n": 1}, ResultStatus.REJECTED),
    ):
        stored = Action.objects.get(id=action.id)
        assert record_result(DirectWrites(), stored, pack, 1, result(event, payload), now) is outcome
    stored = Action.objects.get(id=action.id)
    assert (stored.state, stored.result) == (ActionState.SUCCESS, result("Done", {"n": 1}))
    assert [entry["value"] for entry in stored.state_log] == ["NEW", "PENDING", "SUCCESS"]


def test_a_fatal_result_makes_the_action_fatal() -> None:
    pack = register_pack("Wrk")
    waiting()
    taken = take_action(pack)
    assert taken
    record_result(DirectWrites(), taken, pack, 1, result("FATAL", "why"), timezone.now())
    assert Action.objects.get().state == ActionState.FATAL


def test_actions_that_were_not_taken_or_are_for_others_cannot_be_finished() -> None:
    pack, other, now = register_pack("Wrk"), register_pack("Other"), timezone.now()
    action = waiting()
    assert record_result(DirectWrites(), action, pack, 1, result("Done"), now) is ResultStatus.REJECTED
    taken = take_action(pack)
    assert taken
    assert record_result(DirectWrites(), taken, other, 1, result("Done"), now) is ResultStatus.REJECTED
    assert Action.objects.get().state == ActionState.PENDING
