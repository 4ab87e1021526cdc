"""The flow that mails the team of an app that failed to deploy, with the address from the datastore."""

import pytest

from .world import ScriptedPack, World, states

pytestmark = pytest.mark.acceptance

FLOW = "deployment_failed.yaml"
DATASTORE = {"teams": "teams.json"}

STEP = "email_team"


def failure(team: str) -> dict[str, str]:
    return {"app": "foo-app", "version": "1.2.0", "team": team, "reason": 'pod "foo" isn\'t ready <5 min>'}


def packs(world: World) -> tuple[ScriptedPack, ScriptedPack, ScriptedPack]:
    return (
        world.pack("Deployer", {"Deploy": ["Deployed", "DeploymentFailed"]}),
        world.pack("Smtp", {"SendEmail": ["EmailSent", "EmailFailed"]}),
        world.pack("HipChat", {"SendMessage": ["MessageSent"]}),
    )


@pytest.mark.parametrize(("team", "room"), [("devinf", "10000"), ("devs", "10001")])
def test_the_team_gets_an_email_and_its_room_a_message(world: World, team: str, room: str) -> None:
    deployer, smtp, hipchat = packs(world)
    deployer.tell("DeploymentFailed", failure(team))
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


def test_a_team_that_is_not_in_the_datastore_gets_nothing_and_the_audit_says_so(world: World) -> None:
    deployer, smtp, _ = packs(world)
    deployer.tell("DeploymentFailed", failure("nobody"))
    assert smtp.poll() is None
    assert world.outcomes("deployment_failed", "DeploymentFailed")[STEP]["outcome"] == "criteria"


def test_the_room_is_notified_only_after_the_email_was_sent(world: World) -> None:
    deployer, smtp, hipchat = packs(world)
    deployer.tell("DeploymentFailed", failure("devs"))
    smtp.do("EmailFailed", {"error": "no such mailbox"})
    assert hipchat.poll() is None
    assert states(world.execution("deployment_failed")) == {STEP: "SUCCESS"}


def test_an_item_without_the_json_content_type_is_text_and_the_audit_names_the_position(world: World) -> None:
    deployer, smtp, _ = packs(world)
    world.put("teams", "teams.json", "text/plain")
    deployer.tell("DeploymentFailed", failure("devs"))
    assert smtp.poll() is None
    outcome = world.outcomes("deployment_failed", "DeploymentFailed")[STEP]
    assert outcome["outcome"] == "error"
    assert outcome["path"] == "steps[0].context.Email"


def test_under_the_key_of_the_manual_the_template_would_not_find_it(world: World) -> None:
    deployer, _, _ = packs(world)
    deleted = world.http.delete(f"{datastore(world)}/teams")
    assert deleted.status_code == 204
    world.put("teams.json", "teams.json")
    deployer.tell("DeploymentFailed", failure("devs"))
    outcome = world.outcomes("deployment_failed", "DeploymentFailed")[STEP]
    assert (outcome["outcome"], outcome["message"]) == ("error", "datastore item 'teams' not found")


def datastore(world: World) -> str:
    (href,) = [one["href"] for one in world.links if one["rel"].endswith("/listDatastoreItems")]
    return href


def test_the_snippet_of_the_manual_is_refused_with_todays_spellings(world: World) -> None:
    command = {
        "pack-id": "Hipchat",
        "command-name": "SendMessage",
        "arguments": {"Message": "please contact {{ datastore('teams').devinf.email` }}"},
    }
    step = {"event": {"packName": "Hipchat", "name": "Asked"}, "command": command}
    (flows,) = [one["href"] for one in world.links if one["rel"].endswith("/listFlows")]
    answer = world.http.post(flows, json={"name": "contact", "steps": [step]})
    assert answer.status_code == 400
    errors = {error["path"]: error["message"] for error in answer.json()["errors"]}
    for old, new in (("pack-id", "packName"), ("command-name", "name"), ("arguments", "input")):
        assert errors[f"steps[0].command.{old}"].endswith(f"renamed to {new}")
    assert "steps[0].command.input.Message" in errors
