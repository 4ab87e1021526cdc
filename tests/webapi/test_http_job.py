"""HttpJob: submitted, asked for and cancelled, as services of several kinds want it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from packs.hosted.catalog import apply_config
from packs.hosted.plugin_api.errors import SystemFailure, Throttled, UserFailure
from packs.hosted.plugin_api.interfaces import DeleteContext, GetContext, PluginSetupContext, StatusContext
from packs.hosted.plugin_api.phases import Phase, PhaseKind
from packs.hosted.plugins import http_job
from packs.hosted.plugins.http_job import (
    HttpJobConfig,
    HttpJobPlugin,
    HttpJobService,
    SubmittedJob,
    fill_template,
    parse_input,
)
from packs.hosted.plugins.service_client import get_at_path
from tests.webapi.services import LOOPBACK, Metrics, Secrets, WebService, context, web_service

pytestmark = pytest.mark.unit

INPUT = {"service": "ci", "parameters": {"branch": "a/b", "n": 5}}


@pytest.fixture(scope="module")
def running() -> Iterator[WebService]:
    with web_service() as service:
        yield service


@pytest.fixture
def web(running: WebService) -> WebService:
    running.asked.clear()
    running.answers(201, {"id": "j 1"})
    return running


def plugin(web: WebService, **changes: Any) -> HttpJobPlugin:
    plain = HttpJobService(f"{web.url}/jobs", poll_url=f"{web.url}/jobs/{{id}}", cancel_url=f"{web.url}/jobs/{{id}}")
    config = replace(HttpJobConfig(resource_meta=SubmittedJob), services={"ci": replace(plain, **changes)})
    found = http_job.build_entry(LOOPBACK).loader(PluginSetupContext(config, Metrics(), Secrets(ci="s3cret")))
    assert isinstance(found, HttpJobPlugin)
    return found


def look(found: HttpJobPlugin, job: SubmittedJob) -> Phase:
    return found.status(StatusContext(job, found.get(GetContext(job))))


def test_a_job_is_submitted_under_the_token_with_its_parameters(web: WebService) -> None:
    job, seen = plugin(web, token_field="token").create(context(INPUT))
    (asked,) = web.asked
    assert (asked.method, asked.path, asked.headers["idempotency-key"]) == ("POST", "/jobs", "action-1")
    assert json.loads(asked.body) == {"branch": "a/b", "n": 5, "token": "action-1"}
    assert (job.service, job.id, seen) == ("ci", "j 1", None)


def test_an_answer_that_tells_the_state_too_is_looked_at_at_once(web: WebService) -> None:
    web.answers(201, {"id": 7, "state": "Succeeded"})
    found = plugin(web)
    job, seen = found.create(context(INPUT))
    assert (job.id, found.status(StatusContext(job, seen)).event) == ("7", "JobSucceeded")


@pytest.mark.parametrize(
    ("state", "kind", "event"),
    [
        ("SUCCESS", PhaseKind.SUCCESS, "JobSucceeded"),
        ("failed", PhaseKind.FAILURE, "JobFailed"),
        ("Cancelled", PhaseKind.FAILURE, "JobFailed"),
        ("RUNNING", PhaseKind.RUNNING, ""),
        ("who knows", PhaseKind.RUNNING, ""),
        (None, PhaseKind.QUEUED, ""),
    ],
)
def test_a_state_is_a_phase(web: WebService, state: str | None, kind: PhaseKind, event: str) -> None:
    found = plugin(web)
    job, _ = found.create(context(INPUT))
    web.answers(200, {"state": state})
    phase = look(found, job)
    assert (phase.kind, phase.event, web.asked[-1].path) == (kind, event, "/jobs/j%201")


def test_output_message_and_progress_come_from_their_places(web: WebService) -> None:
    found = plugin(web, output="run.0.out", message="run.0.why", progress="done", state=("run.0.result", "life"))
    job, _ = found.create(context(INPUT))
    web.answers(200, {"life": "RUNNING", "done": 40, "run": [{"result": None}]})
    first = look(found, job)
    web.answers(200, {"life": "RUNNING", "done": 80})
    second = look(found, job)
    assert (first.event, first.payload["progress"], second.payload["progress"]) == ("JobProgress", 40, 80)
    assert first.version != second.version
    web.answers(200, {"life": "TERMINATED", "run": [{"result": "FAILED", "why": "no disk", "out": {"a": 1}}]})
    last = look(found, job)
    assert (last.payload["message"], last.payload["output"]) == ("no disk", {"a": 1})


def test_as_jenkins_has_it(web: WebService) -> None:
    found = plugin(
        web,
        submit_url=f"{web.url}/job/{{branch}}/build",
        id="header:location",
        poll_url="{id}api/json",
        follow="executable.url",
        state=("result",),
        cancel_url=f"{web.url}/queue/cancelItem?id={{id}}",
        cancel_method="POST",
    )
    web.answers(201, location=f"{web.url}/queue/item/7/")
    job, _ = found.create(context(INPUT))
    assert web.asked[0].path == "/job/a%2Fb/build"
    web.answers_by_path({"/queue/item/7/api/json": {"why": "waits"}})
    assert look(found, job).kind is PhaseKind.QUEUED
    web.answers_by_path(
        {"/queue/item/7/api/json": {"executable": {"url": f"{web.url}/job/x/3/"}}, "/job/x/3/": {"result": "SUCCESS"}}
    )
    assert look(found, job).event == "JobSucceeded"


def test_a_url_at_another_host_is_not_followed(web: WebService) -> None:
    found = plugin(web, id="url", poll_url="{id}", headers={"Authorization": "Bearer {secret:ci}"})
    web.answers(201, {"url": "http://127.0.0.2:1/steal"})
    job, _ = found.create(context(INPUT))
    with pytest.raises(UserFailure, match="a URL at a different host: "):
        found.get(GetContext(job))
    assert web.asked[0].headers["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("status", [200, 204, 404, 409, 410])
def test_a_job_is_cancelled_whether_or_not_it_is_there(web: WebService, status: int) -> None:
    web.answers(status)
    plugin(web).delete(DeleteContext(SubmittedJob("ci", "7", ""), "cancelled"))
    assert (web.asked[0].method, web.asked[0].path) == ("DELETE", "/jobs/7")


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, UserFailure), (401, UserFailure), (500, SystemFailure), (503, SystemFailure), (429, Throttled)],
)
def test_what_a_refused_submission_is(web: WebService, status: int, error: type[Exception]) -> None:
    web.answers(status, {"error": "no"})
    with pytest.raises(error):
        plugin(web).create(context(INPUT))


@pytest.mark.parametrize("status", [404, 500])
def test_a_job_that_is_not_found_is_asked_for_again(web: WebService, status: int) -> None:
    web.answers(status)
    with pytest.raises(SystemFailure):
        plugin(web).get(GetContext(SubmittedJob("ci", "7", "2026-11-21T00:00:00.000Z")))


def test_a_job_that_runs_too_long_is_given_up(web: WebService) -> None:
    web.answers(200, {"state": "running"})
    with pytest.raises(UserFailure, match="exceeds the maximum run time of"):
        plugin(web, longest=timedelta(hours=1)).get(GetContext(SubmittedJob("ci", "7", "2026-01-01T00:00:00.000Z")))


@pytest.mark.parametrize("answer", [{}, {"id": None}, {"id": True}, {"id": ""}, {"id": [1]}, [], "x"])
def test_an_answer_without_an_id_is_a_system_failure(web: WebService, answer: Any) -> None:
    web.answers(201, answer)
    with pytest.raises(SystemFailure, match="no job id at"):
        plugin(web).create(context(INPUT))


@pytest.mark.parametrize(
    "given", [None, {}, {"service": "other"}, {"service": "ci", "parameters": []}, {"service": "ci", "more": 1}]
)
def test_an_input_that_names_no_service_is_refused(web: WebService, given: Any) -> None:
    with pytest.raises(UserFailure):
        parse_input(given, plugin(web).get_config())


def test_the_service_is_the_namespace_of_the_quota(web: WebService) -> None:
    assert plugin(web).resource_requirements(context(INPUT)).namespace == "ci"


def test_a_place_in_a_url_is_one_segment_whatever_the_value() -> None:
    assert fill_template("https://h/{a}/x?b={b}", {"a": "../é&?", "b": 5}) == "https://h/..%2F%C3%A9%26%3F/x?b=5"
    with pytest.raises(UserFailure, match="'c' is required"):
        fill_template("https://h/{c}", {"a": 1})


def test_places_in_answers() -> None:
    value = {"a": [{"b": 1}], "c": {"0": 2}}
    assert [get_at_path(value, path) for path in ("a.0.b", "a.1.b", "a.x", "c.0", "a.0.b.c", "")] == [
        1, None, None, 2, None, value,
    ]  # fmt: skip


def test_a_service_is_configured_by_lines() -> None:
    lines = [
        "webapi.HttpJob.services.ci.submitUrl=https://ci.example.org/jobs?x=y",
        "webapi.HttpJob.services.ci.headers.Authorization=Bearer {secret:ci}",
        "webapi.HttpJob.services.ci.state=a.b, c",
        "webapi.HttpJob.services.ci.longest=2h",
        "webapi.HttpJob.resourceQuotas.ci=3",
    ]
    (entry,) = apply_config([http_job.build_entry("")], lines, [])
    assert isinstance(entry.config, HttpJobConfig)
    service = entry.config.services["ci"]
    assert (service.submit_url, service.state) == ("https://ci.example.org/jobs?x=y", ("a.b", "c"))
    assert (service.headers, service.longest) == ({"Authorization": "Bearer {secret:ci}"}, timedelta(hours=2))
    assert entry.config.resource_quotas == {"ci": 3}
