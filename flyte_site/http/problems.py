"""One shape for every error: RFC 9457 `application/problem+json`."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NotRequired, TypedDict

import structlog
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from rest_framework.exceptions import APIException, MethodNotAllowed

from flyte_site.core.safe_tracebacks import safe_database_message

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 5


class ErrorItem(TypedDict):
    """What is wrong at one place of the input: `path` such as `steps[0].event.name` ('' is the whole)."""

    path: str
    message: str
    line: NotRequired[int]
    column: NotRequired[int]


class Problem(Exception):  # noqa: N818 - the standard's own name
    """Ends a request with an error answer. `errors` says where the input was at fault."""

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
    """404 that names what was looked for."""
    return Problem(404, f"there is no {resource}")


def invalid_input(*errors: ErrorItem) -> Problem:
    """400 for input that was read but can't be accepted."""
    first = errors[0]
    prefix = f"{first['path']}: " if first["path"] else ""
    suffix = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(400, f"{prefix}{first['message']}{suffix}", errors=list(errors))


def exception_handler(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """DRF's exception handler. What it doesn't know goes on to `ProblemMiddleware`."""
    problem = to_problem(error)
    return problem.response() if problem else None


def to_problem(error: Exception) -> Problem | None:
    """The error answer that an exception stands for; None for a defect of ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, OperationalError | InterfaceError):
        log.error("database_away", error=safe_database_message(error))
        return Problem(503, "the database does not answer", headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    if isinstance(error, Http404):
        return Problem(404, "there is nothing at this path")
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


class ProblemMiddleware:
    """Gives the one shape to what no view answered: unknown paths, errors before or after a view, defects."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_problem = response.headers.get("Content-Type", "").startswith("application/problem+json")
        if response.status_code < 400 or is_problem or response.streaming:
            return response
        headers = {name: value for name, value in response.items() if name != "Content-Type"}
        return Problem(response.status_code, headers=headers).response()

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        problem = to_problem(error)
        if problem is None:
            log.exception("request_failed", method=request.method, path=request.path)
            problem = Problem(500, "the server has a defect here; its log says more")
        return problem.response()
