"""Figures of a soak, and the defects in its logs."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from tests.faults.programs import SoakProgram
from tests.faults.story import Story

# A server that logs one of these has a defect.
NEVER_LOGGED = ("event=request_failed", "event=flow_failed", "event=job_failed", "Internal Server Error")
TRACEBACK = re.compile(r"\bTraceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(\S.*)$", re.MULTILINE)


def table(story: Story) -> str:
    """Format the counts of events, executions, actions and faults as a table."""
    sent = {note["key"] for note in story.notes_of_kind("event_sent")}
    accepted = {note["key"] for note in story.notes_of_kind("event_answered") if note["status"] == 202}
    tries = sum(1 for _ in story.notes_of_kind("event_sent"))
    rows: list[tuple[str, str]] = [
        ("events", f"{len(sent)} sent in {tries} tries, {len(accepted)} answered with 202"),
        ("executions", _counted(f"{execution.flow} {execution.state}" for execution in story.executions)),
        ("actions", _counted(action.state for action in story.actions)),
        ("attempts", _counted(str(action.attempt) for action in story.actions)),
        (
            "leases ended",
            str(sum(bool(entry.get("leaseEnded")) for action in story.actions for entry in action.history)),
        ),
        ("late results", str(sum(bool(entry.get("late")) for action in story.actions for entry in action.history))),
        ("handler runs", f"{_count(story, 'began')} begun, {_count(story, 'ended')} ended"),
        ("faults", _counted(str(note["what"]) for note in story.notes_of_kind("fault"))),
        (
            "frozen",
            _counted(
                "in a transaction" if note["in_transaction"] else "otherwise" for note in story.notes_of_kind("frozen")
            ),
        ),
        ("faults missed", _counted(str(note["what"]) for note in story.notes_of_kind("fault_missed"))),
        ("answers", _counted(f"{note['to']} {note['status']}" for note in story.notes_of_kind("answer"))),
        ("no answer", _counted(str(note["error"]) for note in story.notes_of_kind("no_answer"))),
    ]
    return "\n".join(f"  {name:14} {text or 'none'}" for name, text in rows)


def _count(story: Story, kind: str) -> int:
    return sum(1 for _ in story.notes_of_kind(kind))


def _counted(things: Iterable[str]) -> str:
    return ", ".join(f"{thing} {count}" for thing, count in sorted(Counter(things).items()))


def tracebacks(log: str) -> Counter[str]:
    """Count the tracebacks in a log by their exceptions."""
    lines = log.replace("\\n", "\n")  # a log line has its traceback escaped
    return Counter(match[1][:160] for match in TRACEBACK.finditer(lines))


def summarize_logs(programs: Sequence[SoakProgram]) -> str:
    """Format the tracebacks, and the exit codes of programs that nobody stopped, a line each."""
    rows = [f"  {program.name:14} ended by itself with {program.ends}" for program in programs if program.ends]
    for program in programs:
        rows += [f"  {program.name:14} traceback {text} ({n})" for text, n in tracebacks(program.log()).items()]
    return "\n".join(rows)


def defects_logged(programs: Sequence[SoakProgram]) -> list[str]:
    """Return the lines that no server may log."""
    return [
        f"{program.name}: {line}"
        for program in programs
        for line in program.log().splitlines()
        if any(words in line for words in NEVER_LOGGED)
    ]
