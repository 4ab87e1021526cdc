"""Run control: cancel an execution, retry a step, replay an event."""

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from flows.api import serializers
from flows.engine import control
from flows.engine.execution_locks import take_turn
from flyte_site.auth.activity_log import actor_of_caller, log_activity
from flyte_site.db.conflicts import retry_conflicts
from flyte_site.http.content_types import empty_response
from flyte_site.http.input.fields import problem_responses
from flyte_site.http.problems import Problem
from flyte_site.http.views import APIView, choice_parameter, get_choice

CONTROL_RESPONSES: dict[Any, Any] = {204: None, **problem_responses(404, 409)}
REPLAY_FLOWS = ("own", "all")


class ExecutionControlView(APIView):
    """The base of views that control executions."""

    def apply(self, verb: str, correlation_id: str, operation: Callable[[], None], **detail: Any) -> HttpResponse:
        """Run the operation, log the activity, return 204. Raises `Problem` 404 or 409 if it is not possible."""

        @retry_conflicts
        def run() -> None:
            with take_turn(correlation_id), transaction.atomic():
                operation()
                log_activity(actor_of_caller(self.request), verb, "execution", correlation_id, **detail)

        try:
            run()
        except control.ExecutionNotFoundError as error:
            raise Problem(404, str(error)) from None
        except control.InvalidExecutionStateError as error:
            raise Problem(409, str(error)) from None
        return empty_response(204)


class CancelExecutionView(ExecutionControlView):
    """Cancellation of an execution."""

    @extend_schema(
        operation_id="cancelExecution",
        summary="Cancel an execution",
        tags=["flowAudit"],
        request=None,
        responses=CONTROL_RESPONSES,
    )
    def post(self, request: Request, correlation_id: str) -> Any:
        """Cancel an execution: its queued actions are removed, and results of its running actions are rejected."""
        return self.apply("cancelled", correlation_id, lambda: control.cancel_execution(correlation_id))


class RetryStepView(ExecutionControlView):
    """Retries of a failed step."""

    @extend_schema(
        operation_id="retryStep",
        summary="Retry a failed step",
        tags=["flowAudit"],
        request=None,
        responses=CONTROL_RESPONSES,
    )
    def post(self, request: Request, correlation_id: str, step_id: str) -> Any:
        """Queue the failed action of a step again, with the same input."""
        return self.apply("retried", correlation_id, lambda: control.retry_step(correlation_id, step_id), step=step_id)


class ReplayEventView(APIView):
    """Replays of a trigger event."""

    @extend_schema(
        operation_id="replayEvent",
        summary="Replay an execution's event",
        tags=["flowAudit"],
        request=None,
        parameters=[
            choice_parameter(
                "flows", REPLAY_FLOWS, "The flows that handle the event again: the one of the execution, or all."
            )
        ],
        responses={202: serializers.ReplayOutput, **problem_responses(400, 404, 409)},
    )
    def post(self, request: Request, correlation_id: str) -> Response:
        """Handle the trigger event of an execution again, with the current version of its flow or with all flows."""
        all_flows = get_choice(request, "flows", REPLAY_FLOWS) == "all"
        try:
            execution_ids = control.replay_event(correlation_id, all_flows=all_flows)
        except control.ExecutionNotFoundError as error:
            raise Problem(404, str(error)) from None
        except control.InvalidExecutionStateError as error:
            raise Problem(409, str(error)) from None
        log_activity(actor_of_caller(request), "replayed", "execution", correlation_id, started=execution_ids)
        links = [self.links.to("execution", "v1", "audit", "flows", execution_id) for execution_id in execution_ids]
        return self.respond(serializers.ReplayOutput, {"correlationIds": execution_ids, "links": links}, status=202)
