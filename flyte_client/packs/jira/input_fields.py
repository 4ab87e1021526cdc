"""Validation of commands' inputs before Jira is called. All functions raise `ValueError`."""

from collections.abc import Mapping
from typing import Any

from flyte_client.packs.common.results import require_line

# Jira's fields that refer to objects by name, and fields with plain values.
NAMED_FIELDS = {"project": "key", "issuetype": "name", "priority": "name", "reporter": "name", "assignee": "name"}
PLAIN_FIELDS = ("summary", "description", "labels")
ECHOED_FIELDS = ("project", "issuetype", "summary", "description", "priority", "reporter")


def as_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def get_optional_text(fields: Mapping[str, Any], name: str) -> str:
    return require_line(fields, name) if fields.get(name) else ""


def build_issue_fields(command_input: Any) -> dict[str, Any]:
    """Return Jira's `fields` for a new issue: the input's `fields`, or built from plain names."""
    fields = as_mapping(command_input)
    if isinstance(fields.get("fields"), dict):
        return _trim_summary(fields["fields"])
    unknown = [name for name in fields if name not in NAMED_FIELDS and name not in PLAIN_FIELDS]
    if unknown:
        raise ValueError(
            f"unknown field {unknown[0]!r}; allowed fields: {', '.join([*NAMED_FIELDS, *PLAIN_FIELDS])}, "
            "or `fields` with Jira's format"
        )
    for name in ("project", "issuetype", "summary"):
        require_line(fields, name)
    issue_fields = _trim_summary({name: fields[name] for name in PLAIN_FIELDS if fields.get(name)})
    return issue_fields | {
        name: {key: require_line(fields, name)} for name, key in NAMED_FIELDS.items() if fields.get(name)
    }


def _trim_summary(issue_fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with the summary as one line: Jira rejects line breaks in it."""
    is_text = isinstance(issue_fields.get("summary"), str) and issue_fields["summary"].strip()
    return {**issue_fields, "summary": require_line(issue_fields, "summary")} if is_text else dict(issue_fields)


def pick_echoed_fields(command_input: Any) -> dict[str, Any]:
    """Return the fields of a new issue's input that the events repeat, as plain names."""
    fields = as_mapping(command_input)
    issue_fields = as_mapping(fields.get("fields", fields))
    return {name: _to_plain_value(issue_fields[name]) for name in ECHOED_FIELDS if issue_fields.get(name)}


def _to_plain_value(value: Any) -> Any:
    return (
        next((value[key] for key in ("key", "name", "id") if value.get(key)), "") if isinstance(value, dict) else value
    )
