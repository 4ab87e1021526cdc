"""The plugin HttpJob: jobs are submitted, polled and cancelled at different kinds of services."""

import json
import zlib
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
from tests.hosted.web_service import LOOPBACK, Metrics, Secrets, WebService, context, web_service

pytestmark = pytest.mark.unit

INPUT = {"service": "ci", "parameters": {"branch": "a/b", "n": 5}}


@pytest.fixture(scope="module")
def running() -> Iterator[WebService]:
    with web_service() as service:
        yield service


@pytest.fixture
def web(running: WebService) -> WebService:
    running.requests.clear()
    running.respond_with(201, {"id": "j 1"})
    return running


def plugin(web: WebService, **changes: Any) -> HttpJobPlugin:
    plain = HttpJobService(f"{web.url}/jobs", poll_url=f"{web.url}/jobs/{{id}}", cancel_url=f"{web.url}/jobs/{{id}}")
    config = replace(HttpJobConfig(resource_meta=SubmittedJob), services={"ci": replace(plain, **changes)})
    job_plugin = http_job.build_entry(LOOPBACK).loader(PluginSetupContext(config, Metrics(), Secrets(ci="s3cret")))
    assert isinstance(job_plugin, HttpJobPlugin)
    return job_plugin


def poll(job_plugin: HttpJobPlugin, job: SubmittedJob) -> Phase:
    return job_plugin.status(StatusContext(job, job_plugin.get(GetContext(job))))


def test_a_job_is_submitted_with_the_token_and_its_parameters(web: WebService) -> None:
    job, seen = plugin(web, token_field="token").create(context(INPUT))
    (request,) = web.requests
    assert (request.method, request.path, request.headers["idempotency-key"]) == ("POST", "/jobs", "action-1")
    assert json.loads(request.body) == {"branch": "a/b", "n": 5, "token": "action-1"}
    assert (job.service, job.id, seen) == ("ci", "j 1", None)


def test_a_state_in_the_submit_response_is_evaluated_immediately(web: WebService) -> None:
    web.respond_with(201, {"id": 7, "state": "Succeeded"})
    job_plugin = plugin(web)
    job, seen = job_plugin.create(context(INPUT))
    assert (job.id, job_plugin.status(StatusContext(job, seen)).event) == ("7", "JobSucceeded")


@pytest.mark.parametrize(
    ("state", "kind", "event"),
    [
        ("SUCCESS", PhaseKind.SUCCESS, "JobSucceeded"),
        ("failed", PhaseKind.FAILURE, "JobFailed"),
        ("Cancelled", PhaseKind.FAILURE, "JobFailed"),
        ("RUNNING", PhaseKind.RUNNING, ""),
        ("other", PhaseKind.RUNNING, ""),
        (None, PhaseKind.QUEUED, ""),
    ],
)
def test_a_state_is_mapped_to_a_phase(web: WebService, state: str | None, kind: PhaseKind, event: str) -> None:
    job_plugin = plugin(web)
    job, _ = job_plugin.create(context(INPUT))
    web.respond_with(200, {"state": state})
    phase = poll(job_plugin, job)
    assert (phase.kind, phase.event, web.requests[-1].path) == (kind, event, "/jobs/j%201")


@pytest.mark.parametrize(
    ("answer", "event"),
    [({"state": "done", "x": [1]}, "JobSucceeded"), ({"state": "failed", "x": None}, "JobFailed")],
)
def test_the_output_is_the_whole_response_by_default(web: WebService, answer: dict[str, Any], event: str) -> None:
    job_plugin = plugin(web)
    job, _ = job_plugin.create(context(INPUT))
    web.respond_with(200, answer)
    ended = poll(job_plugin, job)
    assert (ended.event, ended.payload["output"]) == (event, answer)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'\xef\xbb\xbf{"state": "done", "x": "\xc3\xa9"}', {}),
        ('{"state": "done", "x": "é"}'.encode("utf-16"), {}),
        (b'{"state": "done", "x": "\xe9"}', {"content-type": "application/json; charset=iso-8859-1"}),
        (b'{"state": "done", "x": "\xe9"}', {}),
        (zlib.compress(b'{"state": "done", "x": "\xc3\xa9"}'), {"content-encoding": "deflate"}),
    ],
)
def test_a_response_is_decoded(web: WebService, body: bytes, headers: dict[str, str]) -> None:
    job_plugin = plugin(web)
    job, _ = job_plugin.create(context(INPUT))
    web.respond = lambda method, path: (200, headers, body)
    assert poll(job_plugin, job).payload["output"]["x"] == "é"


def test_the_address_of_a_job_can_have_characters_that_are_not_ascii(web: WebService) -> None:
    job_plugin = plugin(web, id="header:location", poll_url="{id}?a b=ü", submit_url=f"{web.url}/größe jobs")
    web.respond_with(201, {}, location="/jobs/größe 5".encode().decode("latin-1"))
    job, _ = job_plugin.create(context(INPUT))
    assert job.id == "/jobs/größe 5"
    web.respond_with(200, {"state": "done"})
    assert poll(job_plugin, job).event == "JobSucceeded"
    assert [request.path for request in web.requests] == [
        "/gr%C3%B6%C3%9Fe%20jobs", "/jobs/gr%C3%B6%C3%9Fe%205?a%20b=%C3%BC",
    ]  # fmt: skip


def test_output_message_and_progress_are_read_at_their_paths(web: WebService) -> None:
    job_plugin = plugin(web, output="run.0.out", message="run.0.why", progress="done", state=("run.0.result", "life"))
    job, _ = job_plugin.create(context(INPUT))
    web.respond_with(200, {"life": "RUNNING", "done": 40, "run": [{"result": None}]})
    first = poll(job_plugin, job)
    web.respond_with(200, {"life": "RUNNING", "done": 80})
    second = poll(job_plugin, job)
    assert (first.event, first.payload["progress"], second.payload["progress"]) == ("JobProgress", 40, 80)
    assert first.version != second.version
    web.respond_with(200, {"life": "TERMINATED", "run": [{"result": "FAILED", "why": "no disk", "out": {"a": 1}}]})
    last = poll(job_plugin, job)
    assert (last.payload["message"], last.payload["output"]) == ("no disk", {"a": 1})


def test_a_service_like_jenkins(web: WebService) -> None:
    job_plugin = plugin(
        web,
        submit_url=f"{web.url}/job/{{branch}}/build",
        id="header:location",
        poll_url="{id}api/json",
        follow="executable.url",
        state=("result",),
        cancel_url=f"{web.url}/queue/cancelItem?id={{id}}",
        cancel_method="POST",
    )
    web.respond_with(201, location=f"{web.url}/queue/item/7/")
    job, _ = job_plugin.create(context(INPUT))
    assert web.requests[0].path == "/job/a%2Fb/build"
    web.respond_by_path({"/queue/item/7/api/json": {"why": "waits"}})
    assert poll(job_plugin, job).kind is PhaseKind.QUEUED
    web.respond_by_path(
        {"/queue/item/7/api/json": {"executable": {"url": f"{web.url}/job/x/3/"}}, "/job/x/3/": {"result": "SUCCESS"}}
    )
    assert poll(job_plugin, job).event == "JobSucceeded"


def test_a_url_at_a_different_host_is_not_followed(web: WebService) -> None:
    job_plugin = plugin(web, id="url", poll_url="{id}", headers={"Authorization": "Bearer {secret:ci}"})
    web.respond_with(201, {"url": "http://127.0.0.2:1/steal"})
    job, _ = job_plugin.create(context(INPUT))
    with pytest.raises(UserFailure, match="a URL at a different host: "):
        job_plugin.get(GetContext(job))
    assert web.requests[0].headers["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize("status", [200, 204, 404, 409, 410])
def test_a_job_is_cancelled_even_if_it_is_not_found(web: WebService, status: int) -> None:
    web.respond_with(status)
    plugin(web).delete(DeleteContext(SubmittedJob("ci", "7", ""), "cancelled"))
    assert (web.requests[0].method, web.requests[0].path) == ("DELETE", "/jobs/7")


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, UserFailure), (401, UserFailure), (500, SystemFailure), (503, SystemFailure), (429, Throttled)],
)
def test_a_refused_submission_is_a_failure_by_its_status(web: WebService, status: int, error: type[Exception]) -> None:
    web.respond_with(status, {"error": "no"})
    with pytest.raises(error):
        plugin(web).create(context(INPUT))


@pytest.mark.parametrize("status", [404, 500])
def test_a_job_that_is_not_found_is_polled_again(web: WebService, status: int) -> None:
    web.respond_with(status)
    with pytest.raises(SystemFailure):
        plugin(web).get(GetContext(SubmittedJob("ci", "7", "2026-11-21T00:00:00.000Z")))


def test_a_job_that_runs_too_long_is_a_user_failure(web: WebService) -> None:
    web.respond_with(200, {"state": "running"})
    with pytest.raises(UserFailure, match="exceeds the maximum run time of"):
        plugin(web, longest=timedelta(hours=1)).get(GetContext(SubmittedJob("ci", "7", "2026-01-01T00:00:00.000Z")))


@pytest.mark.parametrize("answer", [{}, {"id": None}, {"id": True}, {"id": ""}, {"id": [1]}, [], "x"])
def test_a_response_without_an_id_is_a_system_failure(web: WebService, answer: Any) -> None:
    web.respond_with(201, answer)
    with pytest.raises(SystemFailure, match="no job id at"):
        plugin(web).create(context(INPUT))


@pytest.mark.parametrize(
    "job_input", [None, {}, {"service": "other"}, {"service": "ci", "parameters": []}, {"service": "ci", "more": 1}]
)
def test_an_input_without_a_service_is_refused(web: WebService, job_input: Any) -> None:
    with pytest.raises(UserFailure):
        parse_input(job_input, plugin(web).get_config())


def test_the_service_is_the_namespace_of_the_quota(web: WebService) -> None:
    assert plugin(web).resource_requirements(context(INPUT)).namespace == "ci"


def test_a_placeholder_in_a_url_is_one_segment_for_any_value() -> None:
    assert fill_template("https://h/{a}/x?b={b}", {"a": "../é&?", "b": 5}) == "https://h/..%2F%C3%A9%26%3F/x?b=5"
    assert fill_template("https://h/{a}", {"a": "main\n"}) == "https://h/main"
    with pytest.raises(UserFailure, match="'c' is required"):
        fill_template("https://h/{c}", {"a": 1})


def test_values_are_read_at_dotted_paths() -> None:
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
