"""What follows from one difference later in the conversation: executions that are here and not there, or differ."""

import json
import re
from copy import deepcopy
from typing import Any

from tests.contract.changes import Change, World, objects
from tests.contract.comparison import ID, latest_change
from tests.contract.recording import Answer, Exchange, recorded

# Ids in the recording, of actions and executions: named after who sent the event, or after the flow.
CY, DI = "6b012c77686c8261d5a567c5", "6b012c78686c8261d5a567c7"
ED, SPOOF = "6b012c78686c8261d5a567c9", "6b012c79686c8261d5a567cb"
ED_EXECUTION, SPOOF_EXECUTION = "6b012c78686c8261d5a567c8", "6b012c79686c8261d5a567ca"
OWN_RESULT_EXECUTION = "6b012c80686c8261d5a5680c"
NO_ID_FIRST_ACTION = "6b012c7a686c8261d5a567d5"


def taken_instead(who: str, action_id: str, instead: str, instead_id: str) -> Change:
    """A take gets the action of one event instead of another's, which was alike but for `who`."""

    def change(exchange: Exchange, answer: Answer, world: World) -> None:
        text = json.dumps(answer.body).replace(f"hello {who}", f"hello {instead}").replace(action_id, instead_id)
        answer.body = json.loads(text)

    return change


def without_the_spoofed_event(exchange: Exchange, answer: Answer, world: World) -> None:
    """The take and the result that were the spoofed execution's fell to the one that waited: that of `ed`."""
    flows = executions(answer)
    if any(flow["correlationId"] == SPOOF_EXECUTION for flow in flows):
        kept = [flow for flow in flows if flow["correlationId"] != ED_EXECUTION]
        text = json.dumps(kept).replace(SPOOF_EXECUTION, ED_EXECUTION).replace(SPOOF, ED)
        answer.body["flows"] = json.loads(text.replace("spoof", "ed").replace('"Fake"', '"Src"'))


def fired_once(exchange: Exchange, answer: Answer, world: World) -> None:
    """The step without `dependsOn` has fired in an execution of its own, not in the one whose action ended."""
    for flow in executions(answer):
        if flow["correlationId"] == OWN_RESULT_EXECUTION:
            flow["actions"].pop("b", None)


def steps_have_ids(exchange: Exchange, answer: Answer, world: World) -> None:
    """Steps and actions without an id have one by their place; the recording shows the second action alone."""
    for flow in executions(answer):
        for place, step in enumerate(flow["steps"], start=1):
            step["id"] = step["id"] or f"step-{place}"
        if "" in flow["actions"]:
            second = flow["actions"].pop("") | {"stepId": "step-2"}
            first = deepcopy(second) | {"stepId": "step-1", "id": NO_ID_FIRST_ACTION, "input": "A"}
            flow["actions"] = {"step-1": first, "step-2": second}


def null_taken(exchange: Exchange, answer: Answer, world: World) -> None:
    """The action with a null in a list, as the recorded one with a null in a map."""
    like = recorded("detail take nullinmap 1")
    answer.status, answer.headers, answer.body = like.status, like.headers, _with_null_in_list(like.body)


def null_ran(exchange: Exchange, answer: Answer, world: World) -> None:
    """Its execution, as that of the flow with a null in a map, which ran next."""
    like = recorded("detail audit nullinmap").body["flows"]
    answer.body["flows"] += _with_null_in_list(like)


def _with_null_in_list(body: Any) -> Any:
    text = json.dumps(body).replace("nullinmap", "nullinlist")
    text = ID.sub(lambda found: f"5{found[0][1:]}", text)  # other ids than those of the execution it was made from
    like = json.loads(re.sub(r"T05:30:3[78]\.\d+Z", "T05:30:37.5Z", text))
    for owner in objects(like):
        if "input" in owner:
            owner["input"] = ["x", None]
    return like


def no_empty_result(exchange: Exchange, answer: Answer, world: World) -> None:
    """No `result` before there is one."""
    for owner in objects(answer.body):
        if owner.get("result", {}).get("event") == "":
            del owner["result"]


def in_order(exchange: Exchange, answer: Answer, world: World) -> None:
    """Executions by the latest change of their actions, now that these are other ones than in the recording."""
    executions(answer).sort(key=latest_change, reverse=True)


def executions(answer: Answer) -> list[dict[str, Any]]:
    """The executions of a list in the audit; none where the answer is no such list."""
    found: list[dict[str, Any]] = answer.body.get("flows", []) if isinstance(answer.body, dict) else []
    return found
