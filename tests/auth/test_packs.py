"""Limits of a token of one pack towards other packs."""

import json
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from flyte_site.auth import tokens
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR
from flyte_site.auth.principals import ANONYMOUS, Principal, get_principal
from packs.models import Action, ActionState, Pack
from tests.flows.builders import save, step
from tests.site.shape import problem, register_pack

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def require_tokens(settings: LazySettings) -> None:
    settings.FLYTE_AUTH = "tokens"


def send(client: Client, secret: str, path: str, body: Any = None) -> Any:
    headers = {"authorization": f"Bearer {secret}"}
    return client.post(path, json.dumps(body), content_type="application/json", headers=headers)


def token(pack: str, **labels: str) -> str:
    return tokens.create_token(COMMAND_LINE_ACTOR, f"{pack} {labels}", pack=pack, labels=labels)[1]


@pytest.mark.parametrize(
    ("pack", "labels", "name", "its_labels", "status"),
    [
        ("Slack", {}, "Slack", {}, 201),
        ("Slack", {}, "Slack", {"env": "prod"}, 201),
        ("Slack", {"env": "prod"}, "Slack", {"env": "prod", "az": "b"}, 201),
        ("Sl*", {}, "Slack", {}, 201),
        ("Slack", {}, "Jira", {}, 403),
        ("Slack", {}, "slack", {}, 403),
        ("Slack", {"env": "prod"}, "Slack", {}, 403),
        ("Slack", {"env": "prod"}, "Slack", {"env": "dev"}, 403),
    ],
)
def test_a_token_registers_only_packs_that_match_it(
    client: Client, pack: str, labels: dict[str, str], name: str, its_labels: dict[str, str], status: int
) -> None:
    response = send(client, token(pack, **labels), "/v1/packs", {"name": name, "labels": its_labels})
    assert response.status_code == status
    assert Pack.objects.exists() == (status == 201)


def test_a_pack_is_not_replaced_by_another_pack_with_the_same_id(client: Client) -> None:
    register_pack("Slack", env="prod")
    response = send(client, token("Slack.env.prod"), "/v1/packs", {"name": "Slack.env.prod"})
    assert problem(response, 403)
    assert Pack.objects.get().name == "Slack"


def test_the_packs_of_a_token_are_limited(client: Client, settings: LazySettings) -> None:
    settings.FLYTE_MAX_PACKS_PER_TOKEN = 2
    for name in ("Jira", "Slick"):
        register_pack(name)
    secret = token("Sl*ck")
    assert send(client, secret, "/v1/packs", {"name": "Slack"}).status_code == 201
    refused = send(client, secret, "/v1/packs", {"name": "Slack", "labels": {"env": "prod"}})
    assert "can act as 2 registered packs" in problem(refused, 403)["detail"]
    assert send(client, secret, "/v1/packs", {"name": "Slack", "events": []}).status_code == 201, "it exists"
    assert send(client, token("Jira"), "/v1/packs", {"name": "Jira", "labels": {"env": "prod"}}).status_code == 201


def test_a_token_cannot_act_as_another_pack(client: Client) -> None:
    register_pack("Jira")
    register_pack("Slack")
    save(step(event={"packName": "Slack", "name": "Said"}, command={"packName": "Jira", "name": "Do"}))
    slack, jira = token("Slack"), token("Jira")
    assert send(client, slack, "/v1/packs/Slack/events", {"event": "Said"}).status_code == 202
    assert problem(send(client, slack, "/v1/packs/Jira/events", {"event": "Said"}), 403)
    assert problem(send(client, slack, "/v1/packs/Jira/actions/take"), 403)
    taken = send(client, jira, "/v1/packs/Jira/actions/take")
    assert taken.status_code == 200
    action = Action.objects.get()
    for verb in ("result", "heartbeat"):
        assert problem(send(client, slack, f"/v1/packs/Jira/actions/{action.id}/{verb}", {"event": "Done"}), 403)
    assert problem(send(client, slack, f"/v1/packs/Slack/actions/{action.id}/result", {"event": "Done"}), 409)
    action.refresh_from_db()
    assert action.state == ActionState.PENDING
    assert send(client, jira, f"/v1/packs/Jira/actions/{action.id}/result", {"event": "Done"}).status_code == 202


def test_a_refused_request_does_not_change_last_seen(client: Client) -> None:
    register_pack("Jira")
    Pack.objects.update(last_seen="2020-01-01T00:00Z")
    send(client, token("Slack"), "/v1/packs/Jira/actions/take")
    assert Pack.objects.get().last_seen.year == 2020


def test_a_token_with_labels_cannot_act_as_the_pack_without_labels(client: Client) -> None:
    register_pack("Slack")
    assert problem(send(client, token("Slack", env="dev"), "/v1/packs/Slack/actions/take"), 403)


def test_a_request_has_the_principal_of_its_sender(rf: Any) -> None:
    request = rf.get("/")
    assert get_principal(request) is ANONYMOUS
    request.META["flyte.caller"] = Principal("token", "slack-prod")
    assert (get_principal(request).actor_name, ANONYMOUS.actor_name) == ("token slack-prod", "anonymous")
    request = rf.get("/", headers={"flyte.caller": "token admin", "flyte-caller": "x"})
    assert get_principal(request) is ANONYMOUS
