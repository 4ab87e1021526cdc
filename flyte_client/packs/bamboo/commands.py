"""The commands, by the original pack's names."""

from collections.abc import Mapping
from typing import Any

from flyte_client.events import Event
from flyte_client.pack import Pack
from flyte_client.packs.bamboo.builds import Builds
from flyte_client.packs.basis.outcomes import given, outcome, text

MOST_VARIABLES = 100
LONGEST_LABEL = 255


def declare_commands(pack: Pack, builds: Builds) -> None:
    """Give the pack its commands."""

    @pack.command("TriggerPlan", events=["PlanTriggered", "FailedToTriggerPlan"])
    def trigger_plan(fields: Any) -> Event:
        told = given(fields, "plan")
        variables = fields.get("vars") if isinstance(fields, dict) else None
        return _ended(
            "PlanTriggered", "FailedToTriggerPlan", told, lambda: builds.trigger(told["plan"], _variables(variables))
        )

    @pack.command("AddLabel", events=["LabelAdded", "FailedToAddLabel"])
    def add_label(fields: Any) -> Event:
        told = given(fields, "build", "label")
        return _ended("LabelAdded", "FailedToAddLabel", told, lambda: builds.add_label(told["build"], _label(told)))

    @pack.command("DeleteLabel", events=["LabelDeleted", "FailedToDeleteLabel"])
    def delete_label(fields: Any) -> Event:
        told = given(fields, "build", "label")
        return _ended(
            "LabelDeleted", "FailedToDeleteLabel", told, lambda: builds.delete_label(told["build"], _label(told))
        )

    @pack.command("AddComment", events=["CommentAdded", "FailedToAddComment"])
    def add_comment(fields: Any) -> Event:
        told = given(fields, "build", "comment")
        return _ended(
            "CommentAdded", "FailedToAddComment", told, lambda: builds.add_comment(told["build"], text(told, "comment"))
        )


def _ended(done: str, failed: str, told: Mapping[str, Any], do: Any) -> Event:
    return outcome(done, failed, "Bamboo", told, do)


def _label(told: Mapping[str, Any]) -> str:
    label = text(told, "label")
    if len(label) > LONGEST_LABEL or any(character.isspace() for character in label):
        raise ValueError(f"label must have no spaces, and at most {LONGEST_LABEL} characters")
    return label


def _variables(fields: Any) -> Mapping[str, str]:
    if not isinstance(fields or {}, dict) or len(fields or {}) > MOST_VARIABLES:
        raise ValueError(f"vars must be an object of at most {MOST_VARIABLES} texts")
    for name, value in (fields or {}).items():
        if not isinstance(value, str):
            raise ValueError(f"vars.{name} must be a text")
    return fields or {}
