"""Request ids: one id in all log lines, from the request of an event to the last action that it started."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from flows.engine.complete import expire_lease
from flyte_site.core.observability import request_ids
from flyte_site.scheduler.runner import PeriodicJob, run_if_due
from flyte_site.scheduler.schedules import FixedIntervalSchedule
from packs.models import Action
from tests.flows.builders import follower, pack, save, step, take, tell
from tests.server import StartServer
from tests.site.shape import register_pack


@pytest.mark.unit
@pytest.mark.parametrize("text", ["a", "0f8fad5b-d9cb-469f-a165-70867728950e", "Root.1:2_3", "x" * 64])
def test_an_id_that_is_safe_in_headers_and_logs_is_valid(text: str) -> None:
    assert request_ids.is_valid(text)


@pytest.mark.unit
@pytest.mark.parametrize("text", ["", "-a", "a b", "a\nb", "a=b", 'a"', "ä", "x" * 65, "a\x00"])
def test_other_ids_are_invalid(text: str) -> None:
    assert not request_ids.is_valid(text)


@pytest.mark.unit
def test_an_id_is_unset_at_the_end_of_its_block_even_if_it_was_replaced() -> None:
    with request_ids.bind("outer"):
        with request_ids.bind(job="j"):
            assert request_ids.current() not in ("", "outer")
            request_ids.resume("adopted")
            request_ids.resume("")
            assert request_ids.current() == "adopted"
        assert request_ids.current() == "outer"
    assert request_ids.current() == ""
    request_ids.resume("nowhere")
    assert request_ids.current() == ""


@pytest.mark.integration
@pytest.mark.django_db
def test_every_response_has_a_different_id(client: Client, settings: LazySettings) -> None:
    paths = ("/v1", "/v1/nothing", "/v1/packs/x", "/admin/", "/static/none", "/metrics")
    ids = {client.get(path).headers["X-Request-ID"] for path in paths}
    settings.FLYTE_AUTH = "tokens"
    ids.add(client.get("/v1/packs").headers["X-Request-ID"])
    assert len(ids) == len(paths) + 1
    assert all(request_ids.is_valid(request_id) for request_id in ids)


@pytest.mark.integration
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "sender", "accepted"),
    [("from-the-proxy", "127.0.0.1", True), ("from-the-proxy", "192.0.2.1", False), ("a b", "127.0.0.1", False)],
)
def test_a_valid_id_is_accepted_only_from_a_trusted_proxy(
    client: Client, header: str, sender: str, accepted: bool
) -> None:
    answer = client.get("/v1", headers={"x-request-id": header}, REMOTE_ADDR=sender)
    assert (answer.headers["X-Request-ID"] == header) is accepted


@pytest.mark.integration
@pytest.mark.django_db
def test_an_ended_lease_is_logged_with_the_id_of_the_event(caplog: pytest.LogCaptureFixture) -> None:
    source, worker = pack("Src"), pack("Wrk")
    save(step(id="a"))
    with request_ids.bind("asked-for-it"):
        tell(source)
    action = take(worker)
    Action.objects.filter(id=action.id).update(lease_ends_at=timezone.now())
    caplog.set_level("INFO")
    job = PeriodicJob("end", FixedIntervalSchedule(1), lambda: int(expire_lease(action.id) is not None), is_shared=True)
    assert run_if_due(job, timezone.now())
    (line,) = log_lines(caplog, "lease_ended")
    assert line.items() >= {"request_id": "asked-for-it", "job": "end", "execution": action.correlation_id}.items()


def log_lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [line for line in lines if line["event"] == event]


@pytest.mark.integration
@pytest.mark.django_db
def test_an_action_keeps_the_id_of_the_event(client: Client) -> None:
    register_pack("Src")
    save(step(id="a", command={"packName": "Wrk", "name": "Do"}))
    answer = client.post("/v1/packs/Src/events", {"event": "Go"}, content_type="application/json")
    assert Action.objects.get().request_id == answer.headers["X-Request-ID"]


@pytest.mark.acceptance
def test_one_id_is_logged_from_the_event_to_the_last_action(tmp_path: Path, start_server: StartServer) -> None:
    file = tmp_path / "flyte.log"
    server = start_server({"FLYTE_LOG_FORMAT": "json", "LOGFILE": str(file)})
    flow = {"name": "f", "steps": [step(id="a"), follower("a", id="b")]}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http:
        for name in ("Src", "Wrk"):
            assert http.post("/v1/packs", json={"name": name}).status_code == 201
        assert http.post("/v1/flows", json=flow).status_code == 201
        ids = ["order-1", "order-2"]
        for request_id in ids:
            posted = http.post("/v1/packs/Src/events", json={"event": "Go"}, headers={"X-Request-ID": request_id})
            assert posted.headers["X-Request-ID"] == request_id
        assert [finish_action(server.url) for _ in range(4)] == [*ids, *ids]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert all(line.keys() >= {"timestamp", "level", "logger", "event"} for line in lines)
    for request_id in ids:
        lines_of_id = [line for line in lines if line.get("request_id") == request_id]
        taken_and_done = ["action_taken", "result_received"]
        assert [line["event"] for line in lines_of_id] == ["event_received", *taken_and_done, *taken_and_done]
        assert {line["execution"] for line in lines_of_id[1:]} == {lines_of_id[0]["executions"]}


def finish_action(url: str) -> str:
    """Take an action and send its result, each on a new connection; return the request id of both responses."""
    taken = httpx.post(f"{url}/v1/packs/Wrk/actions/take", trust_env=False, timeout=60)
    (result,) = (link["href"] for link in taken.json()["links"] if link["rel"].endswith("actionResult"))
    response = httpx.post(result, json={"event": "Done"}, trust_env=False, timeout=60)
    assert response.status_code == 202
    assert response.headers["X-Request-ID"] == taken.headers["X-Request-ID"]
    return str(taken.headers["X-Request-ID"])
