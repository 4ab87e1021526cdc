"""The command line of `manage.py`: Flyte's commands first in its help, and hints for those of `flyte`."""

import re
import sys
import textwrap
from collections.abc import Iterable

from django.core.management import ManagementUtility, get_commands, load_command_class
from django.core.management.base import BaseCommand

FLYTE_APPS = {"audit", "datastore", "flows", "flyte_site", "packs"}
HINTS = {
    **{
        name: f"manage.py flows {name}, or flyte flows {name} with a running server"
        for name in ("validate", "diff", "apply", "export")
    },
    "try": "manage.py try_flow, or flyte try with a running server",
    **{name: f"flyte {name}" for name in ("audit", "completion", "events", "packs")},
    "start": "manage.py run",
}
HELP_WIDTH, SUMMARY_WIDTH = 100, 80


class FlyteManagementUtility(ManagementUtility):
    """Django's commands and Flyte's."""

    def main_help_text(self, commands_only: bool = False) -> str:
        """Describe Flyte's commands in a line each, then list the names of Django's."""
        if commands_only or self.settings_exception is not None:
            return str(super().main_help_text(commands_only))
        apps = get_commands()
        flyte_names = [name for name, app in apps.items() if app in FLYTE_APPS]
        summaries = {name: summarize_command(load_command_class(apps[name], name)) for name in flyte_names}
        django_names = sorted(apps.keys() - summaries.keys())
        return "\n".join(
            [
                "",
                f"Type '{self.prog_name} help COMMAND' for the options of a command.",
                "",
                "Flyte's commands:",
                *format_summaries(sorted(summaries.items())),
                "",
                "Commands of Django and its apps:",
                textwrap.fill(", ".join(django_names), HELP_WIDTH, initial_indent="  ", subsequent_indent="  "),
            ]
        )

    def fetch_command(self, subcommand: str) -> BaseCommand:
        """Load the command; for one that has another name here, print a hint and exit with 1."""
        if subcommand in HINTS and subcommand not in get_commands():
            sys.stderr.write(f"Unknown command: {subcommand!r}. Did you mean {HINTS[subcommand]}?\n")
            sys.stderr.write(f"Type '{self.prog_name} help' for usage.\n")
            sys.exit(1)
        return super().fetch_command(subcommand)


def summarize_command(command: BaseCommand) -> str:
    """Return the start of the command's help: a sentence, or a part of it that fits into a line."""
    sentence, *_ = re.split(r"\. |[;:] | \(", str(command.help))
    return textwrap.shorten(sentence.rstrip("."), SUMMARY_WIDTH, placeholder=" …")


def format_summaries(summaries: Iterable[tuple[str, str]]) -> list[str]:
    """Format names and summaries in two columns."""
    rows = list(summaries)
    width = max(len(name) for name, _ in rows) + 2
    return [f"  {name:{width}}{summary}" for name, summary in rows]
