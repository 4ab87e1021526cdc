"""The same event sent twice."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from flows.engine import jobs
from flows.models import Execution, ReceivedKey
from tests.flows import builders as b

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def tell(key: str, body: Any = None, pack: str = "Src") -> int:
    data = json.dumps(body or {"event": "Go", "payload": 1})
    headers = {"Idempotency-Key": key}
    return Client().post(f"/v1/packs/{pack}/events", data, "application/json", headers=headers).status_code


def test_the_same_key_and_body_is_taken_and_starts_nothing_again() -> None:
    b.pack("Src")
    b.save(b.step())
    assert [tell("k"), tell("k"), tell("other")] == [202, 202, 202]
    assert Execution.objects.count() == 2


def test_the_same_key_with_another_body_is_refused() -> None:
    b.pack("Src")
    b.save(b.step())
    assert [tell("k"), tell("k", {"event": "Go", "payload": 2})] == [202, 422]
    assert Execution.objects.count() == 1


def test_a_key_is_a_packs_own() -> None:
    b.pack("Src")
    b.pack("Src", env="x")
    b.save(b.step())
    assert [tell("k"), tell("k", pack="Src.env.x")] == [202, 202]
    assert Execution.objects.count() == 2


def test_a_key_counts_also_where_no_flow_listened_the_first_time() -> None:
    b.pack("Src")
    assert tell("k") == 202
    b.save(b.step())
    assert tell("k") == 202
    assert not Execution.objects.exists()


@pytest.mark.parametrize("key", ["x" * 256, "a\x00b"])
def test_a_key_that_can_not_be_kept_is_refused(key: str) -> None:
    b.pack("Src")
    assert tell(key) == 400


def test_a_key_is_forgotten_after_a_day() -> None:
    b.pack("Src")
    b.save(b.step())
    tell("k")
    tell("young")
    ReceivedKey.objects.filter(key="k").update(received_at=timezone.now() - timedelta(hours=25))
    assert tell("k", {"event": "Go", "payload": 2}) == 202, "a day later it is another event"
    ReceivedKey.objects.filter(key="k").update(received_at=timezone.now() - timedelta(hours=25))
    assert jobs.prune_idempotency_keys(dry_run=True) == 1
    assert jobs.prune_idempotency_keys() == 1
    assert list(ReceivedKey.objects.values_list("key", flat=True)) == ["young"]
