"""The flows of the soak: a fan-out with a join, retries and short leases, and a flow that is triggered by its results.

The checks read the same documents. They stay simple because each step waits for one event of one pack, which only
the steps that it depends on send as their result.
"""

from typing import Any

SOURCE, ALPHA, BETA, PLAIN = "Source", "Alpha", "Beta", "Plain"
HAPPENED, FATAL = "Happened", "FATAL"

# The result of each step's handler if nothing fails.
RESULTS = {
    "start": "Begun",
    "left": "LeftDone",
    "middle": "MiddleDone",
    "right": "RightDone",
    "join": "Joined",
    "after": "AfterDone",
    "rescue": "Rescued",
    "echo": "Echoed",
}

KEY = "{{ Context.Key }}"


def command(pack: str, step: str, **options: Any) -> dict[str, Any]:
    """Return the command of a step, with the event's key and the step in its input for the handler."""
    return {"packName": pack, "name": step, "input": {"key": KEY, "step": step}, **options}


FAN_OUT: dict[str, Any] = {
    "name": "fan-out",
    "steps": [
        {
            "id": "start",
            "event": {"packName": SOURCE, "name": HAPPENED},
            "context": {"Key": "{{ Event.Payload.key }}"},
            "command": command(ALPHA, "start", timeout="3s", retries=4),
        },
        {
            "id": "left",
            "dependsOn": ["start"],
            "event": {"packName": ALPHA, "name": "Begun"},
            "command": command(ALPHA, "left", timeout="2s", retries=3, backoff=0.3),
        },
        {
            "id": "middle",
            "dependsOn": ["start"],
            "event": {"packName": ALPHA, "name": "Begun"},
            "command": command(PLAIN, "middle", timeout="2s", retries=2, backoff=1),
        },
        {
            "id": "right",
            "dependsOn": ["start"],
            "event": {"packName": ALPHA, "name": "Begun"},
            "command": command(BETA, "right", timeout="2s", packLabels={"env": "soak"}),
        },
        {
            "id": "join",
            "dependsOn": ["left", "middle", "right"],
            "dependsOnMode": "all",
            "event": {"packName": ALPHA, "name": "LeftDone"},
            "command": command(ALPHA, "join", timeout="3s", retries=1),
        },
        {
            "id": "rescue",
            "dependsOn": ["right"],
            "dependsOnMode": "all",
            "event": {"packName": BETA, "name": FATAL},
            "command": command(PLAIN, "rescue", timeout="3s", retries=5),
        },
        {
            "id": "after",
            "dependsOn": ["join"],
            "event": {"packName": ALPHA, "name": "Joined"},
            "command": command(BETA, "after", retries=1),
        },
    ],
}

ECHO: dict[str, Any] = {
    "name": "echo",
    "steps": [
        {
            "id": "echo",
            "event": {"packName": BETA, "name": "RightDone"},
            "context": {"Key": "{{ Event.Payload.key }}"},
            "command": command(PLAIN, "echo", retries=2),
        }
    ],
}

FLOWS = (FAN_OUT, ECHO)
STEPS: dict[str, dict[str, Any]] = {step["id"]: step for flow in FLOWS for step in flow["steps"]}

# The lease of steps without a timeout, in seconds.
LEASE_SECONDS = 4


def commands_of(pack: str) -> list[str]:
    """Return the commands that the flows send to a pack."""
    return [name for name, step in STEPS.items() if step["command"]["packName"] == pack]
