"""Consequences of a difference later in the conversation: executions that exist only here, or differ."""

import json
import re
from copy import deepcopy
from typing import Any

from tests.contract.changes import Change, ConversationState, objects
from tests.contract.comparison import ID, latest_change
from tests.contract.recording import Exchange, ExchangeResponse, recorded

# Ids of actions and executions in the recording, named after the sender of the event, or after the flow.
CY, DI = "6b012c77686c8261d5a567c5", "6b012c78686c8261d5a567c7"
ED, SPOOF = "6b012c78686c8261d5a567c9", "6b012c79686c8261d5a567cb"
ED_EXECUTION, SPOOF_EXECUTION = "6b012c78686c8261d5a567c8", "6b012c79686c8261d5a567ca"
OWN_RESULT_EXECUTION = "6b012c80686c8261d5a5680c"
NO_ID_FIRST_ACTION = "6b012c7a686c8261d5a567d5"


def taken_instead(who: str, action_id: str, instead: str, instead_id: str) -> Change:
    """Return the action of another event in a take; the two differ only in `who`."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        text = json.dumps(answer.body).replace(f"hello {who}", f"hello {instead}").replace(action_id, instead_id)
        answer.body = json.loads(text)

    return change


def without_the_spoofed_event(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Assign the take and the result of the spoofed execution to the waiting one of `ed`."""
    flows = executions(answer)
    if any(flow["correlationId"] == SPOOF_EXECUTION for flow in flows):
        others = [flow for flow in flows if flow["correlationId"] != ED_EXECUTION]
        text = json.dumps(others).replace(SPOOF_EXECUTION, ED_EXECUTION).replace(SPOOF, ED)
        answer.body["flows"] = json.loads(text.replace("spoof", "ed").replace('"Fake"', '"Src"'))


def fired_once(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Remove the step without `dependsOn` from the execution whose action finished: it fires in a new one."""
    for flow in executions(answer):
        if flow["correlationId"] == OWN_RESULT_EXECUTION:
            flow["actions"].pop("b", None)


def steps_have_ids(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Add ids by position to steps and actions without one; the recording has only the second action."""
    for flow in executions(answer):
        for number, step in enumerate(flow["steps"], start=1):
            step["id"] = step["id"] or f"step-{number}"
        if "" in flow["actions"]:
            second = flow["actions"].pop("") | {"stepId": "step-2"}
            first = deepcopy(second) | {"stepId": "step-1", "id": NO_ID_FIRST_ACTION, "input": "A"}
            flow["actions"] = {"step-1": first, "step-2": second}


def null_taken(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Return the action with a null in a list, like the recorded one with a null in a map."""
    like = recorded("detail take nullinmap 1")
    answer.status, answer.headers, answer.body = like.status, like.headers, _with_null_in_list(like.body)


def null_ran(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Add the execution of that action, like that of the flow with a null in a map, which ran next."""
    like = recorded("detail audit nullinmap").body["flows"]
    answer.body["flows"] += _with_null_in_list(like)


def _with_null_in_list(body: Any) -> Any:
    text = json.dumps(body).replace("nullinmap", "nullinlist")
    text = ID.sub(lambda flows: f"5{flows[0][1:]}", text)  # ids that differ from those of the original execution
    like = json.loads(re.sub(r"T05:30:3[78]\.\d+Z", "T05:30:37.5Z", text))
    for owner in objects(like):
        if "input" in owner:
            owner["input"] = ["x", None]
    return like


def no_empty_result(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Remove the empty `result` of an unfinished action."""
    for owner in objects(answer.body):
        if owner.get("result", {}).get("event") == "":
            del owner["result"]


def in_order(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Sort executions by the latest change of their actions, which differ from the recording."""
    executions(answer).sort(key=latest_change, reverse=True)


def executions(answer: ExchangeResponse) -> list[dict[str, Any]]:
    """Return the executions of a list in the audit; [] for other responses."""
    flows: list[dict[str, Any]] = answer.body.get("flows", []) if isinstance(answer.body, dict) else []
    return flows
