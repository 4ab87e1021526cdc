"""Hosted packs in the API, in the audit and in the status for console pages."""

import json
from typing import Any

import pytest
from django.test import Client, override_settings

from flyte_site.core.environment import Environment
from flyte_site.db.keyset import fetch_page
from packs import hosted_status
from packs.hosted.plugin_api.errors import Throttled
from packs.hosted_registry import check_settings, get_hosted_registry, parse_plugin_names
from packs.models import Pack
from tests.hosted.stub_plugin import ask, host_plugins, world
from tests.site.shape import problem

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


def post(client: Client, path: str, body: object) -> Any:
    return client.post(path, json.dumps(body), content_type="application/json")


def test_a_hosted_pack_is_listed_like_any_other(client: Client) -> None:
    world().round()
    (listed,) = client.get("/v1/packs").json()["packs"]
    assert (listed["id"], listed["status"]) == ("Stub", "live")


@pytest.mark.parametrize("path", ["events", "actions/take", "actions/x/result", "actions/x/heartbeat"])
def test_no_other_program_can_act_as_a_hosted_pack(client: Client, path: str) -> None:
    world().round()
    body = problem(post(client, f"/v1/packs/Stub/{path}", {"event": "Done"}), 409)
    assert body["detail"] == "pack 'Stub' is hosted by the server; other programs can't register or act as it"


def test_a_hosted_pack_cannot_be_registered_or_deleted(client: Client) -> None:
    world().round()
    problem(post(client, "/v1/packs", {"name": "Stub"}), 409)
    problem(client.delete("/v1/packs/Stub"), 409)
    assert post(client, "/v1/packs", {"name": "Stub", "labels": {"env": "x"}}).status_code == 201


def test_a_pack_that_is_no_longer_hosted_is_an_ordinary_pack(client: Client) -> None:
    world().round()
    host_plugins().run_upkeep()
    assert not Pack.objects.get().hosted
    assert client.delete("/v1/packs/Stub").status_code == 204


def test_the_upkeep_keeps_a_hosted_pack_live() -> None:
    w = world()
    w.upkeep()
    Pack.objects.update(last_seen="2026-01-01T00:00:00Z")
    w.upkeep()
    assert Pack.objects.get().status == "live"


def test_the_audit_shows_the_phase_and_reason_of_a_hosted_action(client: Client) -> None:
    w = world(resource_quotas={"default": 1})
    ask(2)
    w.round()
    actions = [execution["actions"]["do"] for execution in client.get("/v1/audit/flows").json()["flows"]]
    reason = "waiting for quota of namespace default: 1 of 1 in use"
    assert [action["hosted"] for action in actions] == [{"phase": "waiting", "reason": reason}, {"phase": "live"}]
    w.later(seconds=31)
    (first,) = client.get("/v1/audit/flows?state=running&limit=1&start=1").json()["flows"]
    action = client.get(f"/v1/audit/flows/{first['correlationId']}").json()["actions"]["do"]
    assert action["hosted"] == {"phase": "running", "reason": "running"}
    w.service.jobs = dict.fromkeys(w.service.jobs, "done")
    w.later(seconds=31)
    action = client.get(f"/v1/audit/flows/{first['correlationId']}").json()["actions"]["do"]
    assert "hosted" not in action


def test_the_status_has_resources_quotas_rates_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    w = world(resource_quotas={"default": 2, "other": 5})

    def throttle() -> None:
        raise Throttled

    ask(3)
    w.round()
    w.service.answers["get"] = throttle
    w.later(seconds=31)
    monkeypatch.setattr(hosted_status, "get_hosted_registry", lambda: w.hosting)
    (status,) = hosted_status.list_hosted_packs()
    assert status.resources == {"waiting": 1, "ready": 0, "live": 2, "deleting": 0}
    assert status.quotas == {"default": (2, 2), "other": (0, 5)}
    assert (status.read_rate.qps, status.read_rate.available) == (1000, None)
    assert status.counts == {"calls.create": 2, "calls.get": 2, "throttled": 2}
    first, second, third = hosted_status.find_resources("Stub").order_by("id")
    assert fetch_page(hosted_status.find_resources(), "pk", 1, after=first.pk).rows == [second]
    assert list(hosted_status.find_resources("Other")) == []
    assert third.state == "waiting"


def test_by_default_the_plugins_that_need_no_network_are_hosted() -> None:
    assert list(get_hosted_registry().runtimes) == ["WaitUntil", "Approval"]


@override_settings(FLYTE_WEBAPI_PLUGINS="-")
def test_a_dash_disables_all_plugins() -> None:
    assert (dict(get_hosted_registry().runtimes), parse_plugin_names(" - ")) == ({}, [])


@pytest.mark.parametrize(
    ("variable", "value", "check_id", "message"),
    [
        ("FLYTE_WEBAPI_PLUGINS", "WaitUntil,Nope", "flyte.E082", "Nope: plugin not found"),
        ("FLYTE_WEBAPI_PLUGINS", "Approval,Approval", "flyte.E082", "duplicate plugin id Approval"),
        ("FLYTE_WEBAPI_ALLOWED_HOSTS", "a b", "flyte.E083", "invalid host name or address 'a b'"),
        ("FLYTE_WEBAPI_CONFIG", "webapi.Nope.x=1", "flyte.E084", "webapi.Nope.x: unknown plugin"),
        ("FLYTE_WEBAPI_CONFIG", "webapi.WaitUntil.caching.size=0", "flyte.E084", "must be at least 1"),
    ],
)
def test_an_invalid_setting_is_an_error_at_startup(variable: str, value: str, check_id: str, message: str) -> None:
    environment = Environment({})
    with override_settings(**{variable: value, "FLYTE_ENVIRONMENT": environment}):
        check_settings()
    (finding,) = environment.errors
    assert (finding.check_id, finding.variable, message in finding.message) == (check_id, variable, True)


@override_settings(FLYTE_WEBAPI_PLUGINS="WaitUntil", FLYTE_WEBAPI_CONFIG="webapi.WaitUntil.caching.resyncInterval=10s")
def test_the_settings_configure_a_plugin() -> None:
    runtime = get_hosted_registry().runtimes["WaitUntil"]
    assert runtime.config.caching.resync_interval.total_seconds() == 10
    assert runtime.get_plugin().get_config() is runtime.config
