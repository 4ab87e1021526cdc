"""Traces: loaded only if OpenTelemetry's variables enable them; one trace from an event to its last action."""

import sys
import threading
from pathlib import Path

import httpx
import pytest

from flyte_client import Event, Pack, carried_headers
from flyte_site.core.observability import tracing
from tests import processes
from tests.flows.builders import follower, step
from tests.jobs.processes import wait_until
from tests.server import ROOT, Server, StartServer, server_environment
from tests.site.collector import Span, collector

TRACE, SENDER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("environment", "enabled"),
    [
        ({}, False),
        ({OTLP: "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({OTLP: "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({OTLP: "http://c", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({OTLP: " "}, False),
    ],
)
def test_opentelemetrys_variables_enable_traces(environment: dict[str, str], enabled: bool) -> None:
    assert tracing.is_requested(environment) is enabled
    assert tracing.find_configuration_error(environment) is None


@pytest.mark.unit
@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
        ({OTLP: "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ],
)
def test_an_unsupported_value_is_reported_by_its_variable(environment: dict[str, str], variable: str) -> None:
    error = tracing.find_configuration_error(environment)
    assert error
    assert error[0] == variable


@pytest.mark.unit
def test_without_its_packages_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flyte_site.core.observability.tracing.find_spec", lambda name: None)
    assert tracing.find_configuration_error({}) is None
    assert tracing.find_configuration_error({OTLP: "http://c"}) == (OTLP, tracing.MISSING_PACKAGES_MESSAGE)


@pytest.mark.integration
@pytest.mark.parametrize(("exporter", "loaded"), [("none", "False"), ("otlp", "True")])
def test_opentelemetry_is_loaded_only_if_traces_are_enabled(tmp_path: Path, exporter: str, loaded: str) -> None:
    script = (
        "import django, sys; django.setup(); import flyte_site.urls, flyte_site.core.observability.tracing as tracing\n"
        "parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'\n"
        "with tracing.continue_trace(parent), tracing.start_span('x'): tracing.get_traceparent()\n"
        "print(any(name.startswith('opentelemetry.exporter') for name in sys.modules))"
    )
    environment = server_environment(f"sqlite:///{tmp_path}/x.sqlite3", {"OTEL_TRACES_EXPORTER": exporter})
    environment["OTEL_TRACES_SAMPLER"] = "always_off"
    environment["DJANGO_SETTINGS_MODULE"] = "flyte_site.settings"
    done = processes.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == loaded, done.stderr


@pytest.mark.acceptance
def test_a_trace_covers_the_event_the_pack_and_the_last_action(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collector() as collected:
        server = start_server({OTLP: collected.url, "OTEL_BSP_SCHEDULE_DELAY": "100", "FLYTE_WEB_WORKERS": "2"})
        monkeypatch.setenv("FLYTE_API", server.url)
        monkeypatch.setenv("FLYTE_POLL_INTERVAL", "0.1")
        seen: list[dict[str, str]] = []
        prepare(server)
        tell(server)
        work(seen)
        spans = collected.wait_for(6)
    assert {span.trace for span in spans} == {TRACE}
    assert {span.service for span in spans} == {"flyte"}
    received, news = (event_span(spans, name) for name in ("Go", "News"))
    assert received.parent == SENDER
    first, second = ordered(spans, "take")
    ended_first, ended_second = ordered(spans, "result")
    assert first.parent == received.id
    assert ended_first.parent == news.parent == first.id
    assert second.parent == ended_first.id
    assert ended_second.parent == second.id
    assert seen[0]["traceparent"].split("-")[1:3] == [TRACE, first.id]
    assert first.attributes["flyte.execution"] == second.attributes["flyte.execution"]


def prepare(server: Server) -> None:
    flow = {"name": "f", "steps": [step(id="a"), follower("a", id="b")]}
    for path, body in (("packs", {"name": "Src"}), ("packs", {"name": "Wrk"}), ("flows", flow)):
        assert httpx.post(f"{server.url}/v1/{path}", json=body, trust_env=False, timeout=60).status_code == 201


def tell(server: Server) -> None:
    headers = {"traceparent": f"00-{TRACE}-{SENDER}-01"}
    url = f"{server.url}/v1/packs/Src/events"
    assert httpx.post(url, json={"event": "Go"}, headers=headers, trust_env=False, timeout=60).status_code == 202


def work(seen: list[dict[str, str]]) -> None:
    """Run a pack of the client library for two actions, and send an event during the first."""
    pack = Pack("Wrk")

    @pack.command("Do", events=["Done"])
    def do(action_input: object) -> Event:
        seen.append(carried_headers())
        if len(seen) == 1:
            pack.send("News")
        return Event("Done")

    thread = threading.Thread(target=pack.run, daemon=True)
    thread.start()
    wait_until(lambda: len(seen) == 2, lambda: f"only {seen}")
    pack.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert carried_headers() == {}


def event_span(spans: list[Span], name: str) -> Span:
    (event,) = (span for span in spans if span.name == "event" and span.attributes["flyte.event"] == name)
    return event


def ordered(spans: list[Span], name: str) -> list[Span]:
    """Return the two spans with this name, sorted by the id of their action."""
    matching = sorted((span for span in spans if span.name == name), key=lambda span: span.attributes["flyte.action"])
    assert len(matching) == 2
    return matching
