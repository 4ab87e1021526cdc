"""One shape for every error: RFC 9457 `application/problem+json`."""

from http import HTTPStatus
from typing import Any, NotRequired, TypedDict

import structlog
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework.exceptions import APIException, MethodNotAllowed

from flyte_site.core.observability import request_ids
from flyte_site.core.observability.safe_tracebacks import safe_database_message
from flyte_site.core.outage_log import outage_log
from flyte_site.db.conflicts import UNAVAILABLE_DETAIL, describe_busy, is_unavailable

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 5


class ErrorItem(TypedDict):
    """An error of the input with its `path`, such as `steps[0].event.name`; '' for the whole input."""

    path: str
    message: str
    line: NotRequired[int]
    column: NotRequired[int]


class Problem(Exception):  # noqa: N818 - the standard's own name
    """An error response that ends the request. `errors` lists the errors of the input."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        errors: list[ErrorItem] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, headers or {}

    def response(self) -> HttpResponse:
        title = HTTPStatus(self.status).phrase
        body: dict[str, Any] = {"title": title, "status": self.status, "detail": self.detail or title}
        if self.errors is not None:
            body["errors"] = self.errors
        return JsonResponse(
            body,
            status=self.status,
            headers=self.headers,
            content_type="application/problem+json; charset=utf-8",
            json_dumps_params={"ensure_ascii": True},
        )


def not_found(resource: str) -> Problem:
    """Build a 404 that names the resource, such as `flow 'x'`."""
    return Problem(404, f"{resource} not found")


def internal_error_detail() -> str:
    """Return the detail of a 500, with the request id to search for in the log."""
    return f"Internal server error. See the server log, request id {request_ids.current()}."


def invalid_input(*errors: ErrorItem) -> Problem:
    """Build a 400 for invalid input, with each error."""
    first = errors[0]
    prefix = f"{first['path']}: " if first["path"] else ""
    suffix = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(400, f"{prefix}{first['message']}{suffix}", errors=list(errors))


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Handle an exception in a DRF view; `ProblemMiddleware` handles those for which this returns None."""
    problem = to_problem(error)
    return problem.response() if problem else None


def to_problem(error: Exception) -> Problem | None:
    """Convert an exception to an error response; None for an exception that is a defect."""
    if isinstance(error, Problem):
        return error
    if is_unavailable(error):
        busy_reason = describe_busy(error)
        if busy_reason:
            log.warning("database_busy", reason=busy_reason)
        else:
            outage_log().record(safe_database_message(error))
        return Problem(503, busy_reason or UNAVAILABLE_DETAIL, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    if isinstance(error, Http404):
        return Problem(404, "not found")
    if isinstance(error, RequestDataTooBig):
        return Problem(413)
    if isinstance(error, PermissionDenied):
        return Problem(403)
    if isinstance(error, BadRequest | SuspiciousOperation):
        return Problem(400, str(error))
    if isinstance(error, MethodNotAllowed):
        return Problem(405, str(error.detail))
    if isinstance(error, APIException):
        return Problem(error.status_code, str(error.detail))
    return None


def respond_to_exception(request: HttpRequest, error: Exception) -> HttpResponse:
    """Build the response for an exception of a view, and log it if it is a defect."""
    problem = to_problem(error)
    if problem is None:
        log.exception("request_failed", method=request.method, path=request.path)
        problem = Problem(500, internal_error_detail())
    return problem.response()
