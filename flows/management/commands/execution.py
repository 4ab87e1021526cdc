"""`manage.py execution`: cancel one, retry a step of it, replay its event."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from flows import control
from flyte_site.changes import COMMAND_LINE, record
from flyte_site.periodic.by_hand import DatabaseCommand


class Command(DatabaseCommand):
    """Run control for scripts; the API has the same under `/v1/audit/flows/{id}/…`."""

    help = "Cancel an execution, retry a step of it that ended FATAL, or replay the event that began it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("correlation_id")
        parser.add_argument("what", choices=["cancel", "retry", "replay"])
        parser.add_argument("step_id", nargs="?", help="for retry: the step")
        parser.add_argument("--all-flows", action="store_true", help="for replay: every flow that listens hears of it")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["what"] == "retry") != bool(options["step_id"]):
            raise CommandError("retry needs the id of a step, and only retry does")
        try:
            done = self.do(options)
        except control.UnknownError as unknown:
            raise CommandError(f"there is no {unknown}") from None
        except control.NotPossibleError as reason:
            raise CommandError(str(reason)) from None
        self.note(options, done)
        self.stdout.write("\n".join(done) if options["what"] == "replay" else f"{options['what']}: done")

    def note(self, options: dict[str, Any], done: list[str]) -> None:
        what = {"cancel": "cancelled", "retry": "retried", "replay": "replayed"}[options["what"]]
        detail = {"step": options["step_id"], "started": done}
        told = {name: value for name, value in detail.items() if value}
        record(COMMAND_LINE, what, "execution", options["correlation_id"], **told)

    def do(self, options: dict[str, Any]) -> list[str]:
        """The ids of executions that a replay began."""
        if options["what"] == "cancel":
            control.cancel(options["correlation_id"])
            return []
        if options["what"] == "retry":
            control.retry(options["correlation_id"], options["step_id"])
            return []
        return control.replay(options["correlation_id"], every_flow=options["all_flows"])
