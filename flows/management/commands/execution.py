"""`manage.py execution`: cancel an execution, retry a step, replay its event."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from flows.engine import control
from flyte_site.auth.activity_log import COMMAND_LINE_ACTOR, log_activity
from flyte_site.scheduler.command import DatabaseCommand


class Command(DatabaseCommand):
    """Run control for scripts; the API has the same under `/v1/audit/flows/{id}/…`."""

    help = "Cancel an execution, retry a failed step, or replay its trigger event."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("correlation_id", metavar="ID", help="execution id")
        parser.add_argument(
            "action", metavar="ACTION", choices=["cancel", "retry", "replay"], help="cancel, retry or replay"
        )
        parser.add_argument("step_id", metavar="STEP", nargs="?", help="for retry: id of the step")
        parser.add_argument(
            "--all-flows",
            action="store_true",
            help="for replay: let all subscribed flows handle the event, not only the flow of the execution",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        execution_id, action = options["correlation_id"], options["action"]
        if action == "retry" and not options["step_id"]:
            raise CommandError(f"retry requires a step id: manage.py execution {execution_id} retry STEP")
        if action != "retry" and options["step_id"]:
            raise CommandError(
                f"{action} accepts no step id, because it concerns the whole execution: "
                f"manage.py execution {execution_id} {action}"
            )
        try:
            execution_ids = self.run_operation(options)
        except control.ExecutionNotFoundError as error:
            raise CommandError(str(error)) from None
        except control.InvalidExecutionStateError as error:
            raise CommandError(str(error)) from None
        self.log_operation(options, execution_ids)
        if options["action"] == "replay" and not execution_ids:
            raise CommandError("the event was replayed, but no trigger step fired this time: no execution was started")
        self.stdout.write("\n".join(execution_ids) if options["action"] == "replay" else f"{options['action']}: done")

    def log_operation(self, options: dict[str, Any], execution_ids: list[str]) -> None:
        verb = {"cancel": "cancelled", "retry": "retried", "replay": "replayed"}[options["action"]]
        detail = {"step": options["step_id"], "started": execution_ids}
        fields = {name: value for name, value in detail.items() if value}
        log_activity(COMMAND_LINE_ACTOR, verb, "execution", options["correlation_id"], **fields)

    def run_operation(self, options: dict[str, Any]) -> list[str]:
        """Run the operation; return the ids of executions that a replay started."""
        if options["action"] == "cancel":
            control.cancel_execution(options["correlation_id"])
            return []
        if options["action"] == "retry":
            control.retry_step(options["correlation_id"], options["step_id"])
            return []
        return control.replay_event(options["correlation_id"], all_flows=options["all_flows"])
