"""What somebody does on an empty server to see a first flow run, and which of it is done: as the README has it."""

from dataclasses import dataclass, field

from flows.models import Execution, Flow
from packs.models import Pack

SAMPLE_MESSAGE = "flyte date"


@dataclass(frozen=True)
class CopyableLine:
    """A line to copy; `name` is unique on the page, `label` says what it is."""

    name: str
    label: str
    text: str


@dataclass(frozen=True)
class OnboardingStep:
    """One of the steps: what it is called, why, the lines to copy, and whether it is done."""

    title: str
    explanation: str
    is_done: bool
    lines: list[CopyableLine] = field(default_factory=list)


def is_new_server() -> bool:
    """Whether no flow ever ran here."""
    return not Execution.objects.exists()


def build_onboarding_steps(base_url: str) -> list[OnboardingStep]:
    """The steps, for a server that is reached at `base`, such as `http://localhost:8080`. Three queries."""
    return [
        OnboardingStep(
            "Start two packs",
            "Each in a terminal of its own, in the project’s folder. Packs tell what happens, and do what flows ask.",
            Pack.objects.filter(hosted=False).exists(),
            [
                _pack_command_line(base_url, "shell", "runs shell commands"),
                _pack_command_line(base_url, "console", "stands for a chat"),
            ],
        ),
        OnboardingStep(
            "Save a flow",
            "It says what follows what: when somebody writes a message, run a command, and answer with its output.",
            Flow.objects.exists(),
            [
                CopyableLine(
                    "line-flow",
                    "the README’s first flow",
                    f"curl -X POST {base_url}/v1/flows -H 'content-type: application/x-yaml'"
                    " -T examples/quickstart.yaml",
                )
            ],
        ),
        OnboardingStep(
            "Send an event",
            "Type this into the terminal of the pack that stands for a chat. The answer comes at once.",
            Execution.objects.exists(),
            [CopyableLine("line-event", "the message", SAMPLE_MESSAGE)],
        ),
    ]


def _pack_command_line(base_url: str, name: str, label: str) -> CopyableLine:
    return CopyableLine(f"line-{name}", label, f"FLYTE_API={base_url} .venv/bin/python -m flyte_client.packs.{name}")
