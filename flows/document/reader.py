"""Reads a flow document: typed values, or every error in it, each with its path."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from flows.document.contexts import context_warnings
from flows.document.dependencies import ancestors, reachable
from flows.document.shells import shell_warnings
from flows.document.types import TRUE, UNREAD, Command, EventDefinition, Finding, FlowDocument, Step
from flows.lang import CompiledValue, Template, TemplateError, compile_template, compile_value

MAX_NAME = 255
DEPENDS_ON_MODES = ("any", "all")
FLOW_KEYS = ("name", "description", "labels", "enabled", "steps")
STEP_KEYS = ("id", "dependsOn", "dependsOnMode", "event", "context", "criteria", "command")
EVENT_KEYS = ("name", "packName", "packLabels")
COMMAND_KEYS = ("name", "packName", "packLabels", "input", "timeout", "retries", "backoff")
OLD_SPELLINGS = {
    "pack-id": "packName",
    "pack-name": "packName",
    "pack-labels": "packLabels",
    "command-name": "name",
    "event-name": "name",
    "arguments": "input",
    "depends-on": "dependsOn",
}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass
class Reader:
    """Reads one document, noting all that is wrong on the way; what can't be read becomes an empty value."""

    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def error(self, path: str, message: str) -> None:
        self.errors.append(Finding(path, message))

    def warn(self, path: str, message: str) -> None:
        self.warnings.append(Finding(path, message))

    def flow(self, value: Any) -> FlowDocument:
        data = self.mapping(self.without_links(value), "", FLOW_KEYS)
        name = self.name(data, "name", "name")
        description = self.text(data, "description", "description")
        labels = self.labels(data.get("labels"), "labels")
        enabled = data.get("enabled")
        if enabled is not None and not isinstance(enabled, bool):
            self.error("enabled", f"must be true or false, not {_kind(enabled)}")
        raw_steps = data.get("steps")
        if not isinstance(raw_steps, list):
            self.error("steps", f"must be a list of steps{_but(data, 'steps')}")
            raw_steps = []
        if raw_steps == [] and "steps" in data:
            self.warn("steps", "is empty: the flow does nothing")
        steps = tuple(self.step(raw, index) for index, raw in enumerate(raw_steps))
        self.check_ids(steps)
        self.check_dependencies(steps)
        self.warnings += [*shell_warnings(steps), *context_warnings(steps)]
        source = _compact(
            {
                "name": name,
                "description": description,
                "labels": labels,
                "steps": [self.step_source(raw) for raw in raw_steps],
            }
        )
        return FlowDocument(
            name, description, labels, enabled, steps, source, tuple(sorted(self.warnings, key=lambda w: w.path))
        )

    def without_links(self, value: Any) -> Any:
        """A flow as the server gave it brings its links along; they are not the flow's."""
        if not isinstance(value, Mapping) or "links" not in value:
            return value
        self.warn("links", "are the server's, and not kept")
        return {key: item for key, item in value.items() if key != "links"}

    def step(self, value: Any, index: int) -> Step:
        path = f"steps[{index}]"
        data = self.mapping(value, path, STEP_KEYS)
        depends_on = self.text_list(data.get("dependsOn"), f"{path}.dependsOn")
        mode = self.text(data, "dependsOnMode", f"{path}.dependsOnMode") or "any"
        if mode not in DEPENDS_ON_MODES:
            self.error(f"{path}.dependsOnMode", f"must be any or all, not {mode!r}")
        return Step(
            id=self.step_id(data, path) or f"step-{index + 1}",
            path=path,
            event=self.event(data, path),
            context=self.templates(data.get("context"), f"{path}.context"),
            context_names=_keys(data.get("context")),
            criteria=self.criteria(data, path),
            command=self.command(data, path),
            depends_on=depends_on,
            depends_on_mode="all" if mode == "all" else "any",
        )

    def step_id(self, data: Mapping[str, Any], path: str) -> str:
        return self.name(data, "id", f"{path}.id") if data.get("id") not in (None, "") else ""

    def event(self, step: Mapping[str, Any], step_path: str) -> EventDefinition:
        path = f"{step_path}.event"
        data = self.part(step, "event", path, EVENT_KEYS)
        return EventDefinition(
            pack_name=self.name(data, "packName", f"{path}.packName"),
            name=self.name(data, "name", f"{path}.name"),
            pack_labels=self.templates(data.get("packLabels"), f"{path}.packLabels"),
        )

    def command(self, step: Mapping[str, Any], step_path: str) -> Command:
        path = f"{step_path}.command"
        data = self.part(step, "command", path, COMMAND_KEYS)
        return Command(
            pack_name=self.name(data, "packName", f"{path}.packName"),
            name=self.name(data, "name", f"{path}.name"),
            pack_labels=self.templates(data.get("packLabels"), f"{path}.packLabels"),
            input=self.compiled(data.get("input"), f"{path}.input"),
            timeout=self.duration(data.get("timeout"), f"{path}.timeout"),
            retries=int(self.number(data.get("retries"), f"{path}.retries", whole=True, most=100)),
            backoff=self.number(data.get("backoff"), f"{path}.backoff", whole=False, most=86400),
        )

    def criteria(self, step: Mapping[str, Any], step_path: str) -> Template | None:
        path = f"{step_path}.criteria"
        text = self.text(step, "criteria", path)
        if not text:
            return None
        try:
            template = _compile_lines(text)
        except TemplateError as error:
            self.template_errors([error], path)
            return None
        self.warnings += [Finding(path, w.message, w.line, w.column) for w in template.warnings]
        if "{{" not in text and "{%" not in text and text.strip("\r\n") not in TRUE:
            self.warn(path, "has no {{ … }} and is always false")
        return template

    def templates(self, value: Any, path: str) -> CompiledValue:
        """A mapping of names to templates: context, pack labels."""
        return self.compiled(self.labels(value, path), path)

    def compiled(self, value: Any, path: str) -> CompiledValue:
        problems: list[TemplateError] = []
        compiled = compile_value(value, path, problems)
        self.template_errors(problems, path)
        self.warnings += [Finding(w.path, w.message, w.line, w.column) for w in compiled.warnings]
        return compiled

    def template_errors(self, problems: list[TemplateError], path: str) -> None:
        self.errors += [Finding(p.path or path, _template_message(p), p.line, p.column) for p in problems]

    def part(self, step: Mapping[str, Any], key: str, path: str, known: tuple[str, ...]) -> dict[str, Any]:
        """The `event` or `command` of a step; `labels` in it counts as `packLabels`, as in the original's examples."""
        if not isinstance(step.get(key), Mapping):
            self.error(path, f"must be a mapping with a name and a packName{_but(step, key)}")
            return {"name": UNREAD, "packName": UNREAD}
        raw = dict(step[key])
        if "labels" in raw:
            self.warn(f"{path}.labels", "is taken as packLabels, which is its name")
            if "packLabels" in raw:
                self.error(f"{path}.labels", "stands beside packLabels; keep one of them")
            raw.setdefault("packLabels", raw.pop("labels"))
        return self.mapping(raw, path, known)

    def mapping(self, value: Any, path: str, known: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            self.error(path, f"must be a mapping, not {_kind(value)}")
            return {"name": UNREAD, "steps": [], "event": {}, "command": {}} if not path else {}
        for key in value:
            if key not in known:
                self.error(f"{path}.{key}" if path else key, f"unknown key{_suggestion(key, known)}")
        # An old spelling is one error, not a second one for the missing key.
        renamed = {OLD_SPELLINGS[key]: value[key] for key in value if OLD_SPELLINGS.get(key) in known}
        # So is a misspelt one: the first error, to which people are led, is then the mistake itself.
        unknown = {key: item for key, item in value.items() if key not in known}
        meant = {_meant(key, known): item for key, item in unknown.items() if _meant(key, known)}
        return meant | renamed | {key: value[key] for key in value if key in known}

    def name(self, data: Mapping[str, Any], key: str, path: str) -> str:
        value = data.get(key)
        if not isinstance(value, str) or not value:
            self.error(path, f"must be text that is not empty{_but(data, key)}")
            return UNREAD
        if len(value) > MAX_NAME or _CONTROL.search(value):
            self.error(path, f"must have at most {MAX_NAME} characters and no control characters")
        return value

    def text(self, data: Mapping[str, Any], key: str, path: str) -> str:
        value = data.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.error(path, f"must be text, not {_kind(value)}{_quote_hint(value)}")
            return ""
        if "\x00" in value:
            self.error(path, "must have no NUL character, which PostgreSQL can't keep")
        return value

    def text_list(self, value: Any, path: str) -> tuple[str, ...]:
        if value is None:
            return ()
        if not isinstance(value, list):
            self.error(path, f"must be a list of step ids, not {_kind(value)}")
            return ()
        for index, item in enumerate(value):
            if not isinstance(item, str):
                self.error(f"{path}[{index}]", f"must be text, not {_kind(item)}")
        return tuple(item for item in value if isinstance(item, str))

    def labels(self, value: Any, path: str) -> dict[str, str]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.error(path, f"must be a mapping of names to text, not {_kind(value)}")
            return {}
        for key, item in value.items():
            if item is not None and not isinstance(item, str):
                self.error(f"{path}.{key}", f"must be text, not {_kind(item)}{_quote_hint(item)}")
        return {key: item or "" for key, item in value.items() if item is None or isinstance(item, str)}

    def duration(self, value: Any, path: str) -> int | None:
        if value is None:
            return None
        match = _DURATION.fullmatch(value) if isinstance(value, str) and len(value) < 40 else None
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0, 0)
        total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
        if not 0 < total <= 366 * 86400:
            self.error(path, f"must be a time such as 30s, 10m or 1h30m, at most a year, not {str(value)[:40]!r}")
            return None
        return total

    def number(self, value: Any, path: str, *, whole: bool, most: int) -> float:
        if value is None:
            return 0
        right = isinstance(value, int) if whole else isinstance(value, int | float)
        if isinstance(value, bool) or not right or not 0 <= value <= most:
            self.error(path, f"must be a {'whole ' if whole else ''}number from 0 to {most}, not {str(value)[:40]!r}")
            return 0
        return float(value)

    def check_ids(self, steps: tuple[Step, ...]) -> None:
        seen: dict[str, int] = {}
        for index, step in enumerate(steps):
            if step.id in seen:
                self.error(f"steps[{index}].id", f"{step.id!r} is the id of steps[{seen[step.id]}] already")
            seen.setdefault(step.id, index)

    def check_dependencies(self, steps: tuple[Step, ...]) -> None:
        ids = [step.id for step in steps]
        for index, step in enumerate(steps):
            for place, named in enumerate(step.depends_on):
                if named not in ids:
                    self.error(
                        f"steps[{index}].dependsOn[{place}]", f"there is no step {named!r}{_suggestion(named, ids)}"
                    )
        can_fire = reachable(steps)
        for index, step in enumerate(steps):
            path = f"steps[{index}].dependsOn"
            if step.id not in can_fire and all(named in ids for named in step.depends_on):
                self.error(path, f"step {step.id!r} can never fire: no trigger leads to what it depends on")
            elif step.id in ancestors(step.id, steps):
                self.warn(path, f"step {step.id!r} depends on itself by way of others; it fires once, from outside")

    def step_source(self, raw: Any) -> dict[str, Any]:
        """A step as it is stored: the original leaves out what is empty, but always shows an input."""
        data = raw if isinstance(raw, Mapping) else {}
        source = {key: data[key] for key in STEP_KEYS if key in data}
        source["event"] = _part_source(data.get("event"), EVENT_KEYS)
        source["command"] = _part_source(data.get("command"), COMMAND_KEYS)
        source["command"].setdefault("input", None)
        return _compact(source)


def _compile_lines(text: str) -> Template:
    """Compile criteria, which may run over several lines: the language itself has no line breaks inside `{{ … }}`."""
    lines = text.splitlines()
    try:
        return compile_template(" ".join(lines))
    except TemplateError as error:
        error.line, error.column = _place_in_lines(lines, error.column)
        raise


def _place_in_lines(lines: list[str], column: int) -> tuple[int, int]:
    """Line and column, from 1, of a column of the lines joined by one character each."""
    for number, line in enumerate(lines, start=1):
        if column <= len(line) + 1:
            return number, column
        column -= len(line) + 1
    return len(lines), column


def _part_source(raw: Any, known: tuple[str, ...]) -> dict[str, Any]:
    data = dict(raw) if isinstance(raw, Mapping) else {}
    if "labels" in data:
        data.setdefault("packLabels", data.pop("labels"))
    kept = {key: data[key] for key in known if key in data}
    return {key: item for key, item in kept.items() if key == "input" or item not in (None, {}, [], "")}


def _compact(data: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in data.items() if item not in (None, "", [], {})}


def _suggestion(key: str, known: tuple[str, ...] | list[str]) -> str:
    if key in OLD_SPELLINGS and OLD_SPELLINGS[key] in known:
        return f"; today it is called {OLD_SPELLINGS[key]}"
    meant = _meant(key, known)
    return f"; did you mean {meant}?" if meant else _listing(known)


def _meant(key: str, known: tuple[str, ...] | list[str]) -> str:
    """The known key that is spelt most like this one; empty where none is near."""
    folded = {name.lower(): name for name in known}
    close = get_close_matches(str(key).lower(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else ""


def _listing(known: tuple[str, ...] | list[str]) -> str:
    return f"; known are {', '.join(dict.fromkeys(known))}" if 0 < len(known) <= 12 else ""


def _template_message(error: TemplateError) -> str:
    return f"{error.message}; did you mean {error.suggestion}?" if error.suggestion else error.message


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _keys(value: Any) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, Mapping) else frozenset()


def _but(data: Mapping[str, Any], key: str) -> str:
    return f", not {_kind(data[key])}" if key in data and data[key] != "" else ""


def _quote_hint(value: Any) -> str:
    return "; put it in quotes" if isinstance(value, bool | int | float) else ""
