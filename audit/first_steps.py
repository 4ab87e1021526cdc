"""What somebody does on an empty server to see a first flow run, and which of it is done: as the README has it."""

from dataclasses import dataclass, field

from flows.models import Execution, Flow
from packs.models import Pack

TYPED = "flyte date"


@dataclass(frozen=True)
class Line:
    """A line to copy; `name` is unique on the page, `label` says what it is."""

    name: str
    label: str
    text: str


@dataclass(frozen=True)
class Step:
    """One of the steps: what it is called, why, the lines to copy, and whether it is done."""

    title: str
    explained: str
    done: bool
    lines: list[Line] = field(default_factory=list)


def is_first_time() -> bool:
    """Whether no flow ever ran here."""
    return not Execution.objects.exists()


def first_steps(base: str) -> list[Step]:
    """The steps, for a server that is reached at `base`, such as `http://localhost:8080`. Three queries."""
    return [
        Step(
            "Start two packs",
            "Each in a terminal of its own, in the project’s folder. Packs tell what happens, and do what flows ask.",
            Pack.objects.filter(hosted=False).exists(),
            [_pack(base, "shell", "runs shell commands"), _pack(base, "console", "stands for a chat")],
        ),
        Step(
            "Save a flow",
            "It says what follows what: when somebody writes a message, run a command, and answer with its output.",
            Flow.objects.exists(),
            [
                Line(
                    "line-flow",
                    "the README’s first flow",
                    f"curl -X POST {base}/v1/flows -H 'content-type: application/x-yaml' -T examples/quickstart.yaml",
                )
            ],
        ),
        Step(
            "Send an event",
            "Type this into the terminal of the pack that stands for a chat. The answer comes at once.",
            Execution.objects.exists(),
            [Line("line-event", "the message", TYPED)],
        ),
    ]


def _pack(base: str, name: str, what: str) -> Line:
    return Line(f"line-{name}", what, f"FLYTE_API={base} .venv/bin/python -m flyte_client.packs.{name}")
