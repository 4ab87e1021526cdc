"""`/metrics`: its format and totals, and the metrics that dashboard, alerts and reference page name."""

import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from django.conf import LazySettings
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families

from audit.prometheus import COLLECTORS
from flyte_site.auth import tokens
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR
from flyte_site.core.observability.metrics import REGISTRY
from flyte_site.jobs import get_scheduled_jobs
from flyte_site.models import JobRun
from flyte_site.scheduler.runner import register_jobs
from packs import registry
from packs.models import HostedCount, Pack
from tests.flows.builders import follower, pack, save, step, take, tell, work
from tests.jobs.processes import wait_until
from tests.reading import statements
from tests.server import ROOT, Server, StartServer
from tests.site.shape import problem

MONITORING = ROOT / "examples/monitoring"
PAGE = ROOT / "docs/reference/metrics.md"
GRAFANA_VARIABLES = {"$__rate_interval": "5m"}
Labels = tuple[tuple[str, str], ...]


def parse_samples(text: str) -> dict[tuple[str, Labels], float]:
    """Parse samples by name and labels with Prometheus' parser; fail on duplicates."""
    samples = [
        ((sample.name, tuple(sorted(sample.labels.items()))), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert len(dict(samples)) == len(samples)
    return dict(samples)


def total(samples: dict[tuple[str, Labels], float], name: str, /, **labels: str) -> float:
    return sum(
        value
        for (key, own_labels), value in samples.items()
        if key == name and labels.items() <= dict(own_labels).items()
    )


def read(client: Client) -> dict[tuple[str, Labels], float]:
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return parse_samples(response.content.decode())


@pytest.mark.integration
@pytest.mark.django_db
def test_the_state_of_the_database_is_exported(client: Client) -> None:
    source, worker = pack("Src"), pack("Wrk")
    save(step(id="a"), follower("a", id="b"))
    register_jobs(get_scheduled_jobs(), Pack.objects.get(pk=source.pk).last_seen)
    JobRun.objects.filter(name="end_leases").update(runs=7)
    HostedCount.objects.create(plugin="WaitUntil", name="plugin.done", value=3)
    for _ in range(3):
        tell(source)
    take(worker)
    samples = read(client)
    assert total(samples, "flyte_database_up") == 1
    assert total(samples, "flyte_actions_waiting", pack="Wrk") == 2
    assert total(samples, "flyte_actions_held", pack="Wrk") == 1
    assert total(samples, "flyte_actions_waiting_oldest_seconds", pack="Wrk") >= 0
    assert total(samples, "flyte_packs", status="live") == 2
    assert total(samples, "flyte_executions_running") == 3
    assert total(samples, "flyte_actions_orphaned") == 0
    assert total(samples, "flyte_job_runs_total", task="end_leases") == 7
    assert total(samples, "flyte_hosted_total", plugin="WaitUntil", name="plugin.done") == 3
    registry.unregister(worker.identity, COMMAND_LINE_ACTOR)
    assert total(read(client), "flyte_actions_orphaned") == 2


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_events_actions_and_results_are_counted_by_outcome(client: Client) -> None:
    source, worker = pack("Src"), pack("Wrk")
    save(step(id="a", criteria="{{ Event.Payload.n == 1 }}"), follower("a", id="b"), name="counted")
    save(
        step(id="a", criteria="{{ datastore('none') }}", event={"packName": "Src", "name": "Bad"}),
        name="b",
    )
    before = read(client)
    for payload in ({"n": 1}, {"n": 2}):
        tell(source, payload=payload)
    tell(source, "Bad", {"n": "no number"})
    tell(source, "Nothing")
    work(worker)
    work(worker)
    after = read(client)

    def increase(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    outcomes = ("fired", "unmet", "error", "unheard")
    assert [increase("flyte_events_total", pack="Src", outcome=outcome) for outcome in outcomes] == [1, 1, 1, 1]
    assert increase("flyte_flows_fired_total", flow="counted") == 1
    assert increase("flyte_template_errors_total", flow="b") == 1
    states = ("NEW", "PENDING", "SUCCESS", "FATAL")
    assert [increase("flyte_actions_total", pack="Wrk", state=state) for state in states] == [2, 2, 2, 0]
    assert increase("flyte_results_total", pack="Wrk", outcome="counted") == 2
    assert increase("flyte_executions_ended_total", flow="counted", state="succeeded") == 1


@pytest.mark.integration
@pytest.mark.django_db
def test_without_the_database_the_metrics_of_processes_are_exported(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("server closed")

    monkeypatch.setattr("django.db.backends.utils.CursorWrapper.execute", away)
    samples = read(client)
    assert total(samples, "flyte_database_up") == 0
    assert not any(name == "flyte_executions_running" for name, _ in samples)


@pytest.mark.database
@pytest.mark.django_db
def test_a_page_costs_a_few_queries(client: Client) -> None:
    for number in range(20):
        pack(f"P{number}")
    with CaptureQueriesContext(connection) as queries:
        read(client)
    assert len(statements(queries)) <= 13


@pytest.mark.integration
@pytest.mark.django_db
def test_a_token_with_the_scope_is_required(client: Client, settings: LazySettings) -> None:
    settings.FLYTE_AUTH = "tokens"
    problem(client.get("/metrics"), 401)
    for scope, status in (("audit:read", 403), ("metrics:read", 200)):
        secret = tokens.create_token(COMMAND_LINE_ACTOR, scope, scopes=[scope])[1]
        assert client.get("/metrics", headers={"authorization": f"Bearer {secret}"}).status_code == status


@pytest.mark.acceptance
def test_totals_of_two_processes_are_exact_after_one_is_killed(start_server: StartServer) -> None:
    server = start_server({"FLYTE_WEB_WORKERS": "2", "LOGLEVEL": "ERROR"})
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http:
        for name in ("Src", "Wrk"):
            assert http.post("/v1/packs", json={"name": name}).status_code == 201
        flow = {"name": "f", "steps": [step(id="a", criteria="{{ Event.Payload.n % 2 == 0 }}")]}
        assert http.post("/v1/flows", json=flow).status_code == 201
    sent = soak(server, rounds=10)
    kill_a_worker(server)
    sent += soak(server, rounds=5)
    samples = scrape(server)
    fired = total(samples, "flyte_events_total", pack="Src", outcome="fired")
    assert total(samples, "flyte_events_total", pack="Src") == sent
    assert fired == sent / 2 == total(samples, "flyte_flows_fired_total", flow="f")
    assert total(samples, "flyte_intake_seconds_count", kind="event") == sent
    assert total(samples, "flyte_actions_total", state="NEW") == fired
    done = total(samples, "flyte_actions_total", state="SUCCESS")
    assert done == total(samples, "flyte_results_total", outcome="counted")
    assert done == total(samples, "flyte_take_seconds_count", outcome="action")
    assert done + total(samples, "flyte_actions_waiting", pack="Wrk") == fired
    assert done == total(samples, "flyte_executions_ended_total", state="succeeded") > 0


def soak(server: Server, rounds: int) -> int:
    """Run four concurrent callers, each with a new connection in every round; return the number of posted events."""
    threads = [threading.Thread(target=call, args=(server, rounds)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 4 * 4 * rounds


def call(server: Server, rounds: int) -> None:
    for _ in range(rounds):
        with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http:
            for number in range(4):
                response = http.post("/v1/packs/Src/events", json={"event": "Go", "payload": {"n": number}})
                assert response.status_code == 202
            taken = http.post("/v1/packs/Wrk/actions/take")
            if taken.status_code == 200:
                (result,) = (link["href"] for link in taken.json()["links"] if link["rel"].endswith("actionResult"))
                assert http.post(result, json={"event": "Done"}).status_code == 202


def kill_a_worker(server: Server) -> None:
    """Kill one of the web processes, and wait until another one has replaced it."""
    before = workers(server)
    assert len(before) == 2
    os.kill(before[-1], signal.SIGKILL)
    wait_until(lambda: len(workers(server)) == 2 and workers(server) != before, lambda: server.logs())


def workers(server: Server) -> list[int]:
    """Return the ids of the server's child processes."""
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def scrape(server: Server) -> dict[tuple[str, Labels], float]:
    response = httpx.get(f"{server.url}/metrics", trust_env=False, timeout=60)
    assert response.status_code == 200
    return parse_samples(response.text)


def database_metrics() -> list[Any]:
    """Collect the metrics that are read from the database, including those without labels."""
    return [metric for collect in COLLECTORS for metric in collect()]


@pytest.fixture
def names(db: None) -> set[str]:
    """Return the names of all metrics, without the suffixes of a histogram's samples."""
    metrics = [*REGISTRY.collect(), *database_metrics()]
    return {f"{metric.name}_total" if metric.type == "counter" else metric.name for metric in metrics} | {
        "flyte_database_up"
    }


@pytest.mark.integration
def test_the_page_lists_every_metric_and_no_other(names: set[str]) -> None:
    rows = re.findall(r"^\| `(flyte_\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(names)


@pytest.mark.unit
def test_every_metric_that_processes_count_has_a_label() -> None:
    # Without a label it would start to count at import, before the processes share a folder.
    assert all(metric._labelnames for metric in REGISTRY._collector_to_names)  # type: ignore[attr-defined]


def expressions() -> list[str]:
    """Return all PromQL expressions of the dashboard and the alert rules."""
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    of_panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"][0]["rules"]
    all_expressions = [*of_panels, *(rule["expr"] for rule in rules)]
    for name, value in GRAFANA_VARIABLES.items():
        all_expressions = [expression.replace(name, value) for expression in all_expressions]
    return all_expressions


@pytest.mark.unit
@pytest.mark.parametrize("expression", expressions())
def test_prometheus_accepts_the_expression(expression: str) -> None:
    assert isinstance(promql_parser.parse(expression), promql_parser.Expr)


@pytest.mark.integration
def test_dashboard_and_alerts_use_existing_metrics_and_labels(names: set[str]) -> None:
    text = "\n".join(expressions())
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"\bflyte_\w+", text)}
    assert used <= names
    assert names - used == {"flyte_figures_cut", "flyte_job_runs_total"}, "metrics without a panel or alert"
    group_labels = {label for labels in re.findall(r"\bby \(([^)]*)\)", text) for label in labels.split(", ")}
    assert group_labels - {"le"} <= {
        label for metric in [*REGISTRY._collector_to_names, *database_metrics()] for label in metric._labelnames
    }


@pytest.mark.unit
def test_alert_rules_have_the_keys_that_prometheus_requires() -> None:
    (group,) = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+m", rule.get("for", "1m"))
        assert set(rule["annotations"]) == {"summary"}
        assert rule["labels"]["severity"] in ("page", "ticket")


@pytest.mark.unit
def test_the_configuration_loads_the_rules_and_scrapes_the_job_of_the_alerts() -> None:
    configuration = yaml.safe_load((MONITORING / "prometheus.yaml").read_text())
    assert all((MONITORING / name).exists() for name in configuration["rule_files"])
    assert [scrape["job_name"] for scrape in configuration["scrape_configs"]] == ["flyte"]


@pytest.mark.unit
def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)
