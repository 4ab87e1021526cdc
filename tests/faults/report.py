"""The soak in figures."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tests.faults.programs import Program
from tests.faults.story import Story

# A server that logs one of these has a defect.
NEVER_LOGGED = ("event=request_failed", "event=flow_failed", "event=job_failed", "Internal Server Error")
TRACEBACK = re.compile(r"\bTraceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)$", re.MULTILINE)


def table(story: Story) -> str:
    """Counts of what happened, a line a group."""
    sent = {note["key"] for note in story.told("event_sent")}
    accepted = {note["key"] for note in story.told("event_answered") if note["status"] == 202}
    tries = sum(1 for _ in story.told("event_sent"))
    rows: list[tuple[str, str]] = [
        ("events", f"{len(sent)} sent in {tries} tries, {len(accepted)} answered with 202"),
        ("executions", _counted(f"{one.flow} {one.state}" for one in story.executions)),
        ("actions", _counted(action.state for action in story.actions)),
        ("attempts", _counted(str(action.attempt) for action in story.actions)),
        ("leases ended", str(sum(bool(entry.get("leaseEnded")) for one in story.actions for entry in one.history))),
        ("late results", str(sum(bool(entry.get("late")) for one in story.actions for entry in one.history))),
        ("handler runs", f"{_count(story, 'began')} begun, {_count(story, 'ended')} ended"),
        ("faults", _counted(str(note["what"]) for note in story.told("fault"))),
        ("faults missed", _counted(str(note["what"]) for note in story.told("fault_missed"))),
        ("answers", _counted(f"{note['to']} {note['status']}" for note in story.told("answer"))),
        ("no answer", _counted(str(note["error"]) for note in story.told("no_answer"))),
    ]
    return "\n".join(f"  {name:14} {text or 'none'}" for name, text in rows)


def _count(story: Story, kind: str) -> int:
    return sum(1 for _ in story.told(kind))


def _counted(things: Iterable[str]) -> str:
    return ", ".join(f"{thing} {count}" for thing, count in sorted(Counter(things).items()))


def tracebacks(log: str) -> Counter[str]:
    """How often each exception ended a traceback in a log."""
    lines = log.replace("\\n", "\n")  # a log line has its traceback escaped
    return Counter(match[1][:160] for match in TRACEBACK.finditer(lines))


def told_by_logs(programs: Sequence[Program]) -> str:
    """What deserves a look, a line each: tracebacks, and how often programs ended though nobody killed them."""
    rows = [f"  {one.name:14} ended by itself with {one.ends}" for one in programs if one.ends]
    for program in programs:
        rows += [f"  {program.name:14} traceback {text} ({n})" for text, n in tracebacks(program.log()).items()]
    return "\n".join(rows)


def defects_logged(programs: Sequence[Program]) -> list[str]:
    """Lines that no server may log."""
    return [
        f"{program.name}: {line}"
        for program in programs
        for line in program.log().splitlines()
        if any(words in line for words in NEVER_LOGGED)
    ]
