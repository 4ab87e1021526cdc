"""The pack's commands, with the original pack's names."""

from collections.abc import Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.bamboo.builds import BambooBuilds
from flyte_client.packs.common.results import pick_fields, require_line, require_text, run_command

MAX_VARIABLES = 100
MAX_LABEL_LENGTH = 255


def declare_commands(pack: Pack, builds: BambooBuilds) -> None:
    """Declare the pack's commands."""

    @pack.command("TriggerPlan", events=["PlanTriggered", "FailedToTriggerPlan"])
    def trigger_plan(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "plan")
        variables = command_input.get("vars") if isinstance(command_input, dict) else None
        return _run_command(
            "PlanTriggered",
            "FailedToTriggerPlan",
            echoed,
            lambda: builds.trigger_build(echoed["plan"], _check_variables(variables)),
        )

    @pack.command("AddLabel", events=["LabelAdded", "FailedToAddLabel"])
    def add_label(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "build", "label")
        return _run_command(
            "LabelAdded", "FailedToAddLabel", echoed, lambda: builds.add_label(echoed["build"], _require_label(echoed))
        )

    @pack.command("DeleteLabel", events=["LabelDeleted", "FailedToDeleteLabel"])
    def delete_label(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "build", "label")
        return _run_command(
            "LabelDeleted",
            "FailedToDeleteLabel",
            echoed,
            lambda: builds.delete_label(echoed["build"], _require_label(echoed)),
        )

    @pack.command("AddComment", events=["CommentAdded", "FailedToAddComment"])
    def add_comment(command_input: Any) -> Event:
        echoed = pick_fields(command_input, "build", "comment")
        return _run_command(
            "CommentAdded",
            "FailedToAddComment",
            echoed,
            lambda: builds.add_comment(echoed["build"], require_text(echoed, "comment")),
        )


def _run_command(success_event: str, failure_event: str, echoed: Mapping[str, Any], call: Any) -> Event:
    return run_command(success_event, failure_event, echoed, call, "Bamboo")


def _require_label(echoed: Mapping[str, Any]) -> str:
    label = require_line(echoed, "label")
    if len(label) > MAX_LABEL_LENGTH or any(character.isspace() for character in label):
        raise ValueError(f"label: must have at most {MAX_LABEL_LENGTH} characters and no spaces")
    return label


def _check_variables(variables: Any) -> Mapping[str, str]:
    if not isinstance(variables or {}, dict) or len(variables or {}) > MAX_VARIABLES:
        raise ValueError(f"vars: must be an object with at most {MAX_VARIABLES} string values")
    for name, value in (variables or {}).items():
        if not isinstance(value, str):
            raise ValueError(f"vars.{name}: must be a string")
    return variables or {}
