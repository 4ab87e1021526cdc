"""The flow that mails the team of an app that failed to deploy, with the address from the datastore."""

import pytest

from .world import ExampleClient, ScriptedPack, states

pytestmark = pytest.mark.acceptance

FLOW = "deployment_failed.yaml"
DATASTORE = {"teams": "teams.json"}

STEP = "email_team"


def failure(team: str) -> dict[str, str]:
    return {"app": "foo-app", "version": "1.2.0", "team": team, "reason": 'pod "foo" isn\'t ready <5 min>'}


def packs(world: ExampleClient) -> tuple[ScriptedPack, ScriptedPack, ScriptedPack]:
    return (
        world.pack("Deployer", {"Deploy": ["Deployed", "DeploymentFailed"]}),
        world.pack("Smtp", {"SendEmail": ["EmailSent", "EmailFailed"]}),
        world.pack("HipChat", {"SendMessage": ["MessageSent"]}),
    )


@pytest.mark.parametrize(("team", "room"), [("devinf", "10000"), ("devs", "10001")])
def test_the_team_gets_an_email_and_its_room_a_message(world: ExampleClient, team: str, room: str) -> None:
    deployer, smtp, hipchat = packs(world)
    deployer.send_event("DeploymentFailed", failure(team))
    assert smtp.do("EmailSent") == (
        "SendEmail",
        {
            "to": [f"{team}@example.com"],
            "subject": "Deployment of foo-app 1.2.0 failed",
            "body": 'The deployment of foo-app 1.2.0 failed:\npod "foo" isn\'t ready <5 min>',
        },
    )
    command, message = hipchat.do("MessageSent")
    assert (command, message["roomId"]) == ("SendMessage", room)
    assert message["message"].startswith("Deployment of foo-app 1.2.0 failed")
    assert message["message"].endswith("please contact devinf@example.com")
    execution = world.execution("deployment_failed")
    assert states(execution) == {STEP: "SUCCESS", "notify_room": "SUCCESS"}
    context = {"App": "foo-app 1.2.0", "Email": f"{team}@example.com", "Room": room}
    assert execution["actions"]["notify_room"]["context"] == context


def test_a_team_that_is_not_in_the_datastore_gets_nothing_and_the_audit_says_so(world: ExampleClient) -> None:
    deployer, smtp, _ = packs(world)
    deployer.send_event("DeploymentFailed", failure("nobody"))
    assert smtp.poll() is None
    assert world.outcomes("deployment_failed", "DeploymentFailed")[STEP]["outcome"] == "criteria"


def test_the_room_is_notified_only_after_the_email_was_sent(world: ExampleClient) -> None:
    deployer, smtp, hipchat = packs(world)
    deployer.send_event("DeploymentFailed", failure("devs"))
    smtp.do("EmailFailed", {"error": "no such mailbox"})
    assert hipchat.poll() is None
    assert states(world.execution("deployment_failed")) == {STEP: "SUCCESS"}


def test_an_item_without_the_json_content_type_is_text_and_the_audit_names_the_position(world: ExampleClient) -> None:
    deployer, smtp, _ = packs(world)
    world.put("teams", "teams.json", "text/plain")
    deployer.send_event("DeploymentFailed", failure("devs"))
    assert smtp.poll() is None
    outcome = world.outcomes("deployment_failed", "DeploymentFailed")[STEP]
    assert outcome["outcome"] == "error"
    assert outcome["path"] == "steps[0].context.Email"


def test_the_template_does_not_find_the_key_of_the_manual(world: ExampleClient) -> None:
    deployer, _, _ = packs(world)
    deleted = world.http.delete(f"{datastore(world)}/teams")
    assert deleted.status_code == 204
    world.put("teams.json", "teams.json")
    deployer.send_event("DeploymentFailed", failure("devs"))
    outcome = world.outcomes("deployment_failed", "DeploymentFailed")[STEP]
    assert (outcome["outcome"], outcome["message"]) == ("error", "datastore item 'teams' not found")


def datastore(world: ExampleClient) -> str:
    (href,) = [link["href"] for link in world.links if link["rel"].endswith("/listDatastoreItems")]
    return href


def test_the_snippet_of_the_manual_is_rejected_with_the_new_names(world: ExampleClient) -> None:
    command = {
        "pack-id": "Hipchat",
        "command-name": "SendMessage",
        "arguments": {"Message": "please contact {{ datastore('teams').devinf.email` }}"},
    }
    step = {"event": {"packName": "Hipchat", "name": "Asked"}, "command": command}
    (flows,) = [link["href"] for link in world.links if link["rel"].endswith("/listFlows")]
    answer = world.http.post(flows, json={"name": "contact", "steps": [step]})
    assert answer.status_code == 400
    errors = {error["path"]: error["message"] for error in answer.json()["errors"]}
    for old, new in (("pack-id", "packName"), ("command-name", "name"), ("arguments", "input")):
        assert errors[f"steps[0].command.{old}"].endswith(f"renamed to {new}")
    assert "steps[0].command.input.Message" in errors
