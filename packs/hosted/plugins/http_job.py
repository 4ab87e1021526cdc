"""HttpJob: a job at an HTTP service, submitted, polled and cancelled as the operator configured it."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from django.utils import timezone

from flyte_site.core.timestamps import format_rfc3339, parse_rfc3339
from packs.hosted.plugin_api.config import PluginConfig
from packs.hosted.plugin_api.errors import SystemFailure, UserFailure
from packs.hosted.plugin_api.interfaces import (
    AsyncPlugin,
    DeleteContext,
    GetContext,
    PluginEntry,
    PluginSetupContext,
    Requirements,
    StatusContext,
    TaskExecutionContextReader,
)
from packs.hosted.plugin_api.phases import Phase, failure, queued, running, success
from packs.hosted.plugins.http_client import OutboundClient
from packs.hosted.plugins.service_client import ServiceClient, get_at_path, get_first_at_path
from packs.hosted.ssrf_guard import AllowedHosts

MAX_JOB_ID_LENGTH = 2000
INPUT_KEYS = {"service", "parameters"}
_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_]+)\}")


@dataclass(frozen=True)
class HttpJobService:
    """The configuration of a service. URLs may have `{parameter}` of the action's input, and `{id}` of the job.

    Fields in responses are addressed by dotted paths (`run.state`, `runs.0.id`); `id` may also be `header:location`.
    An empty `output` is the whole response.
    `state` may list several paths; the first with a value counts. `follow`: path of a URL in the poll response that has
    the actual status. `token_header`, `token_field`: where to send the token that makes a repeated submission
    idempotent.
    """

    submit_url: str = ""
    submit_method: str = "POST"
    token_header: str = "Idempotency-Key"  # noqa: S105
    token_field: str = ""
    id: str = "id"
    poll_url: str = ""
    follow: str = ""
    state: tuple[str, ...] = ("state",)
    succeeded: tuple[str, ...] = ("succeeded", "success", "completed", "finished", "done")
    failed: tuple[str, ...] = ("failed", "failure", "error", "cancelled", "canceled", "aborted", "timedout")
    output: str = ""
    message: str = ""
    progress: str = ""
    cancel_url: str = ""
    cancel_method: str = "DELETE"
    headers: dict[str, str] = field(default_factory=dict)
    longest: timedelta = timedelta(days=1)


@dataclass(frozen=True)
class HttpJobConfig(PluginConfig):
    """`services` by name, which is also the quota's namespace. `request_timeout` and `max_response_bytes` limit each
    call.
    """

    services: dict[str, HttpJobService] = field(default_factory=dict)
    request_timeout: timedelta = timedelta(seconds=10)
    max_response_bytes: int = 1_048_576


@dataclass(frozen=True)
class SubmittedJob:
    """A submitted job. `at`: time of submission, as RFC 3339."""

    service: str
    id: str
    at: str


@dataclass(frozen=True)
class JobStatus:
    """The relevant fields of a job's status."""

    state: str
    message: str
    progress: Any
    output: Any


class HttpJobPlugin(AsyncPlugin):
    """A plugin for all configured services."""

    def __init__(self, outbound: OutboundClient, setup: PluginSetupContext) -> None:
        self._config: HttpJobConfig = setup.config
        limits = (self._config.request_timeout, self._config.max_response_bytes)
        self._client = ServiceClient(outbound, setup.secrets, *limits)

    def get_config(self) -> HttpJobConfig:
        return self._config

    def resource_requirements(self, context: TaskExecutionContextReader) -> Requirements:
        return Requirements(namespace=parse_input(context.input, self._config)[0])

    def create(self, context: TaskExecutionContextReader) -> tuple[SubmittedJob, JobStatus | None]:
        name, parameters = parse_input(context.input, self._config)
        service = self._config.services[name]
        token = context.metadata.token
        body = {**parameters, **({service.token_field: token} if service.token_field else {})}
        headers = {service.token_header: token} if service.token_header else {}
        url = fill_template(service.submit_url, parameters)
        document, response_headers = self._client.request_json(
            service.submit_method, url, service.headers | headers, body
        )
        job = SubmittedJob(name, parse_job_id(service, document, response_headers), format_rfc3339(timezone.now()))
        status = parse_job_status(service, document)
        return job, status if status.state else None

    def get(self, context: GetContext) -> JobStatus:
        job: SubmittedJob = context.resource_meta
        service = self._find_service(job)
        document, _ = self._client.request_json("GET", self._build_url(service, service.poll_url, job), service.headers)
        if service.follow:
            followed_url = get_at_path(document, service.follow)
            if isinstance(followed_url, str) and followed_url:
                document, _ = self._client.request_json(
                    "GET", require_same_host(service, followed_url), service.headers
                )
        status = parse_job_status(service, document)
        if not has_ended(service, status) and timezone.now() - parse_rfc3339(job.at) > service.longest:
            raise UserFailure(f"job {job.id[:100]} exceeds the maximum run time of {service.longest}")
        return status

    def delete(self, context: DeleteContext) -> None:
        job: SubmittedJob = context.resource_meta
        service = self._find_service(job)
        if service.cancel_url:
            self._client.request_end(
                service.cancel_method, self._build_url(service, service.cancel_url, job), service.headers
            )

    def status(self, context: StatusContext) -> Phase:
        job: SubmittedJob = context.resource_meta
        status: JobStatus = context.resource
        service = self._find_service(job)
        payload = {"service": job.service, "id": job.id, "state": status.state}
        if is_state_in(status.state, service.succeeded):
            return success("JobSucceeded", payload | {"output": status.output})
        if is_state_in(status.state, service.failed):
            message = status.message or f"job ended in state {status.state}"
            return failure(message, event="JobFailed", payload=payload | {"message": message, "output": status.output})
        if not status.state:
            return queued("submitted")
        if status.progress is None:
            return running(f"state {status.state}")
        version = progress_version(status)
        return running(
            f"state {status.state}: {status.progress}"[:300],
            version=version,
            event="JobProgress",
            payload=payload | {"progress": status.progress},
        )

    def _find_service(self, job: SubmittedJob) -> HttpJobService:
        service = self._config.services.get(job.service)
        if service is None:
            raise SystemFailure(f"service {job.service!r} is no longer configured")
        return service

    def _build_url(self, service: HttpJobService, template: str, job: SubmittedJob) -> str:
        """Build the URL for a job. If the template begins with `{id}`, the id is a URL at the service's host."""
        if template.startswith("{id}"):
            return require_same_host(service, job.id) + template.removeprefix("{id}")
        return fill_template(template, {"id": job.id})


def parse_input(value: Any, config: HttpJobConfig) -> tuple[str, dict[str, Any]]:
    """Parse an input `{"service": "ci", "parameters": {…}}` into service and parameters. Raise `UserFailure`."""
    if not isinstance(value, dict) or not set(value) <= INPUT_KEYS or not isinstance(value.get("parameters", {}), dict):
        raise UserFailure('invalid input: must be {"service": "…", "parameters": {…}}')
    name = str(value.get("service") or "").strip()
    if name not in config.services:
        configured = ", ".join(config.services) or "none"
        raise UserFailure(f"unknown service {name[:80]!r}; configured services: {configured}")
    return name, value.get("parameters", {})


def fill_template(template: str, values: dict[str, Any]) -> str:
    """Fill the placeholders of a URL with percent-encoded values. Raise `UserFailure` if one is missing."""

    def encode_parameter(placeholder: re.Match[str]) -> str:
        parameter = values.get(placeholder[1])
        if not isinstance(parameter, str | int | float):
            raise UserFailure(f"parameter {placeholder[1]!r} is required and must be text or a number")
        return quote(str(parameter).strip(), safe="")

    return _PLACEHOLDER.sub(encode_parameter, template)


def require_same_host(service: HttpJobService, url: str) -> str:
    """Return a URL of a response if it is at the service's own host: it receives headers with secrets."""
    if url.startswith("/"):
        return _origin(service.submit_url) + url
    if _origin(url) != _origin(service.submit_url):
        raise UserFailure(f"service returned a URL at a different host: {_origin(url)[:100]}")
    return url


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}".lower()


def parse_job_id(service: HttpJobService, document: Any, headers: dict[str, str]) -> str:
    """Return the job id of the submission's response. Raise `SystemFailure` if it is missing."""
    source, _, name = service.id.partition(":")
    raw_id = headers.get(name.lower()) if source == "header" else get_at_path(document, service.id)
    if isinstance(raw_id, bool) or not isinstance(raw_id, str | int) or not 0 < len(str(raw_id)) <= MAX_JOB_ID_LENGTH:
        raise SystemFailure(f"no job id at {service.id!r} in the response to the submission")
    return str(raw_id)


def parse_job_status(service: HttpJobService, document: Any) -> JobStatus:
    """Parse the relevant fields of a response about a job."""
    state = get_first_at_path(document, service.state)
    message = get_at_path(document, service.message) if service.message else None
    output = get_at_path(document, service.output)
    progress = get_at_path(document, service.progress) if service.progress else None
    state_text = "" if state is None else str(state)[:200]
    return JobStatus(state_text, "" if message is None else str(message)[:1000], progress, output)


def is_state_in(state: str, states: tuple[str, ...]) -> bool:
    """Return True if the state is among these, ignoring case."""
    return state.lower() in {candidate.lower() for candidate in states}


def has_ended(service: HttpJobService, status: JobStatus) -> bool:
    return is_state_in(status.state, service.succeeded + service.failed)


def progress_version(status: JobStatus) -> int:
    """Return a number that changes with the progress: a digest in the range of PostgreSQL's integers."""
    text = f"{status.state}\n{status.progress}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big") >> 1


def build_entry(allowed_hosts: str) -> PluginEntry:
    """Build the plugin's entry; it may call only these hosts (FLYTE_WEBAPI_ALLOWED_HOSTS)."""
    return PluginEntry(
        id="HttpJob",
        supported_task_types=("Run",),
        loader=partial(_load_plugin, allowed_hosts),
        config=HttpJobConfig(resource_meta=SubmittedJob),
        events={"Run": ("JobSucceeded", "JobFailed")},
        progress_events=("JobProgress",),
    )


def _load_plugin(allowed_hosts: str, setup: PluginSetupContext) -> HttpJobPlugin:
    return HttpJobPlugin(OutboundClient(AllowedHosts.parse(allowed_hosts)), setup)
