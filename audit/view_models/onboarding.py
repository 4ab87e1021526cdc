"""The steps to a first running flow on an empty server, as in the README, and their progress."""

from dataclasses import dataclass, field

from flows.models import Execution, Flow
from packs.models import Pack

SAMPLE_MESSAGE = "flyte date"


@dataclass(frozen=True)
class CopyableLine:
    """A line to copy. `name` is unique on the page, `label` describes the line."""

    name: str
    label: str
    text: str


@dataclass(frozen=True)
class OnboardingStep:
    """A step: title, explanation, lines to copy, and True if it is done."""

    title: str
    explanation: str
    is_done: bool
    lines: list[CopyableLine] = field(default_factory=list)


def is_new_server() -> bool:
    """Return True if no flow ever ran on this server."""
    return not Execution.objects.exists()


def build_onboarding_steps(base_url: str) -> list[OnboardingStep]:
    """Build the steps for a server with this base URL, such as `http://localhost:8080`. Three queries."""
    return [
        OnboardingStep(
            "Start two packs",
            "Run each in its own terminal, in the project’s folder. Packs report events and run the commands of flows.",
            Pack.objects.filter(hosted=False).exists(),
            [
                _pack_command_line(base_url, "shell", "runs shell commands"),
                _pack_command_line(base_url, "console", "simulates a chat"),
            ],
        ),
        OnboardingStep(
            "Save a flow",
            "The flow runs a command when someone writes “flyte date”, and replies with its output.",
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
            "Type this into the terminal of the simulated chat. The reply appears at once.",
            Execution.objects.exists(),
            [CopyableLine("line-event", "the message", SAMPLE_MESSAGE)],
        ),
    ]


def _pack_command_line(base_url: str, name: str, label: str) -> CopyableLine:
    return CopyableLine(f"line-{name}", label, f"FLYTE_API={base_url} .venv/bin/python -m flyte_client.packs.{name}")
