"""The readiness check: it writes to the database, at most every few seconds."""

import pytest
from django.db import OperationalError
from django.test import Client

from flyte_site.http import write_probe
from flyte_site.models import WriteProbe
from tests.site.shape import problem

pytestmark = [pytest.mark.database, pytest.mark.django_db]

READY = "/health/ready"


def test_a_server_that_can_write_is_ready(client: Client) -> None:
    assert client.get(READY).status_code == 200
    assert client.get(READY).status_code == 200
    assert client.get(READY, headers={"host": "probe.example"}).status_code == 200
    assert WriteProbe.objects.count() == 1


def test_it_writes_once_in_ten_seconds(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = [100.0]
    monkeypatch.setattr("flyte_site.http.write_probe.time.monotonic", lambda: seconds[0])
    client.get(READY)
    first = WriteProbe.objects.get().written_at
    seconds[0] += write_probe.PROBE_SECONDS - 0.1
    client.get(READY)
    assert WriteProbe.objects.get().written_at == first
    seconds[0] += 0.2
    client.get(READY)
    assert WriteProbe.objects.get().written_at > first


def test_a_failed_write_is_500_with_the_reason_and_is_tried_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("django.db.models.query.QuerySet.update_or_create", fail)
        assert "database or disk is full" in problem(client.get(READY), 500)["detail"]
        assert client.get("/health").status_code == 200
    problem(client.get(READY), 500)
    monkeypatch.setattr("flyte_site.http.write_probe.PROBE_SECONDS", 0)
    assert client.get(READY).status_code == 200
