"""Idempotency keys of events."""

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


def post(key: str, body: Any = None, pack: str = "Src") -> Any:
    data = json.dumps(body or {"event": "Go", "payload": 1})
    headers = {"Idempotency-Key": key} if key else {}
    return Client().post(f"/v1/packs/{pack}/events", data, "application/json", headers=headers)


def post_event(key: str, body: Any = None, pack: str = "Src") -> int:
    return int(post(key, body, pack).status_code)


def test_a_repeated_key_and_body_is_accepted_and_starts_nothing() -> None:
    b.pack("Src")
    b.save(b.step())
    assert [post_event("k"), post_event("k"), post_event("other")] == [202, 202, 202]
    assert Execution.objects.count() == 2


def test_a_repeated_event_is_reported() -> None:
    b.pack("Src")
    b.save(b.step())
    answers = [post(key) for key in ("k", "k", "k", "other", "", "")]
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, "true", "true", None, None, None]
    assert "Idempotent-Replayed" not in post("k", {"event": "Go", "payload": 2}).headers


def test_a_repeated_key_with_a_different_body_is_rejected() -> None:
    b.pack("Src")
    b.save(b.step())
    assert [post_event("k"), post_event("k", {"event": "Go", "payload": 2})] == [202, 422]
    assert Execution.objects.count() == 1


def test_keys_of_different_packs_are_independent() -> None:
    b.pack("Src")
    b.pack("Src", env="x")
    b.save(b.step())
    assert [post_event("k"), post_event("k", pack="Src.env.x")] == [202, 202]
    assert Execution.objects.count() == 2


def test_a_key_counts_even_if_no_flow_matched_the_first_event() -> None:
    b.pack("Src")
    assert post_event("k") == 202
    b.save(b.step())
    assert post_event("k") == 202
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    "key", ["x" * 256, "a\x00b", "a\u2028b".encode().decode("latin-1"), "a\x85b".encode().decode("latin-1")]
)
def test_a_key_that_cannot_be_stored_is_rejected(key: str) -> None:
    b.pack("Src")
    assert post_event(key) == 400


@pytest.mark.parametrize("key", ["Größe à côté", "ключ\u00a0ё", "鍵\u3000🫨", "a\u00adb"])
def test_a_key_can_have_characters_that_are_not_ascii(key: str) -> None:
    b.pack("Src")
    b.save(b.step())
    as_sent = key.encode().decode("latin-1")
    assert [post_event(as_sent), post_event(as_sent), post_event(as_sent + "x")] == [202, 202, 202]
    assert Execution.objects.count() == 2
    assert set(ReceivedKey.objects.values_list("key", flat=True)) == {key, key + "x"}


def test_a_key_expires_after_a_day() -> None:
    b.pack("Src")
    b.save(b.step())
    post_event("k")
    post_event("young")
    ReceivedKey.objects.filter(key="k").update(received_at=timezone.now() - timedelta(hours=25))
    assert post_event("k", {"event": "Go", "payload": 2}) == 202, "a day later it is another event"
    ReceivedKey.objects.filter(key="k").update(received_at=timezone.now() - timedelta(hours=25))
    assert jobs.prune_idempotency_keys(dry_run=True) == 1
    assert jobs.prune_idempotency_keys() == 1
    assert list(ReceivedKey.objects.values_list("key", flat=True)) == ["young"]
