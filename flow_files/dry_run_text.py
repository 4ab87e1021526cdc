"""Plain-text rendering of a dry run."""

from collections.abc import Iterator, Mapping
from typing import Any

from flyte_formats.output import format_json

# The outcomes of the API that are not words.
OUTCOME_TEXTS = {"notReached": "not reached"}


def format_error(error: Mapping[str, Any]) -> str:
    """Format an input error as one line."""
    location = f" (line {error['line']}, column {error['column']})" if "line" in error else ""
    return f"{error['path']}: {error['message']}{location}"


def format_dry_run(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a dry run's result as text for people."""
    yield f"flow {result['flow']}: {'would start' if result['starts'] else 'would not start'}"
    if result["eventMasked"]:
        yield "the stored event has redacted values; templates were evaluated with the redacted values"
    for kind in ("warning", "note"):
        for finding in result[f"{kind}s"]:
            yield f"{kind}: {finding['path']}: {finding['message']}"
    for step in result["steps"]:
        yield ""
        outcome = OUTCOME_TEXTS.get(step["outcome"], step["outcome"])
        yield f"{step['stepId']}: {outcome}{' on the result of ' + step['cause'] if 'cause' in step else ''}"
        yield from (f"  {line}" for line in _format_step(step))


def _format_step(step: Mapping[str, Any]) -> Iterator[str]:
    if "message" in step and "errors" not in step:
        yield step["message"]
    for name in ("inherited", "context"):
        yield from (f"{name} {key} = {_to_json(value)}" for key, value in step.get(name, {}).items())
    if "labels" in step and step["labels"]["wanted"]:
        yield f"labels required {_to_json(step['labels']['wanted'])}, actual {_to_json(step['labels']['had'])}"
    if "criteria" in step:
        yield f"criteria {step['criteria']['template']}"
        yield from (f"  {name} is {value}" for name, value in step["criteria"]["saw"].items())
        if "verdict" in step["criteria"]:
            yield f"  the criteria {_describe_verdict(step['criteria'])}"
    if "command" in step:
        command = step["command"]
        labels = f" {_to_json(command['packLabels'])}" if command["packLabels"] else ""
        yield f"command {command['packName']}{labels} {command['name']} {_to_json(command['input'])}"
    yield from (f"error at {format_error(error)}" for error in step.get("errors", []))
    yield from (f"warning at {format_error(warning)}" for warning in step.get("warnings", []))
    if "result" in step:
        yield f"result {step['result']['event']} {_to_json(step['result'].get('payload'))}"


def _describe_verdict(criteria: Mapping[str, Any]) -> str:
    if criteria["holds"]:
        return "are true"
    verdict = criteria["verdict"]
    return "are false" if verdict.lower() == "false" else f"evaluated to {verdict!r}, which counts as false"


def _to_json(value: Any) -> str:
    return format_json(value)
