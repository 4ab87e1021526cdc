"""HttpJob: a job at some service over HTTP – submitted, asked for, cancelled – as the operator configured it."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from django.utils import timezone

from flyte_site.times import from_text, to_text
from packs.webapi.config import PluginConfig
from packs.webapi.errors import SystemFailure, UserFailure
from packs.webapi.interfaces import (
    AsyncPlugin,
    DeleteContext,
    GetContext,
    PluginEntry,
    PluginSetupContext,
    Requirements,
    StatusContext,
    TaskExecutionContextReader,
)
from packs.webapi.outbound import AllowedHosts, Outbound
from packs.webapi.phases import Phase, failure, queued, running, success
from packs.webapi.plugins.http_service import Caller, at_path, first_at

MAX_ID = 2000
KEYS = {"service", "parameters"}
_PLACE = re.compile(r"\{([A-Za-z0-9_]+)\}")


@dataclass(frozen=True)
class Service:
    """How to deal with one service. URLs may have `{parameter}` of the action's input, and `{id}` of the job.

    Places in answers are dotted paths (`run.state`, `runs.0.id`); `id` may also be `header:location`. `state` may name
    several, and the first that is there counts. `follow`: where the answer to a poll has the URL of what is to be asked
    instead. `token_header`, `token_field`: where the service takes the token that makes a second submission the same
    one.
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
    """`services` by name, which is also the quota's namespace. `request_timeout`, `max_response_bytes`: of a call."""

    services: dict[str, Service] = field(default_factory=dict)
    request_timeout: timedelta = timedelta(seconds=10)
    max_response_bytes: int = 1_048_576


@dataclass(frozen=True)
class Job:
    """A job that was submitted. `at`: when, as RFC 3339."""

    service: str
    id: str
    at: str


@dataclass(frozen=True)
class Seen:
    """A job as its service told it, cut down."""

    state: str
    message: str
    progress: Any
    output: Any


class HttpJob(AsyncPlugin):
    """Deals with every service that is configured."""

    def __init__(self, outbound: Outbound, setup: PluginSetupContext) -> None:
        self._config: HttpJobConfig = setup.config
        bounds = (self._config.request_timeout, self._config.max_response_bytes)
        self._caller = Caller(outbound, setup.secrets, *bounds)

    def get_config(self) -> HttpJobConfig:
        return self._config

    def resource_requirements(self, context: TaskExecutionContextReader) -> Requirements:
        return Requirements(namespace=read(context.input, self._config)[0])

    def create(self, context: TaskExecutionContextReader) -> tuple[Job, Seen | None]:
        name, parameters = read(context.input, self._config)
        service = self._config.services[name]
        token = context.metadata.token
        body = {**parameters, **({service.token_field: token} if service.token_field else {})}
        headers = {service.token_header: token} if service.token_header else {}
        url = filled(service.submit_url, parameters)
        told, own = self._caller.json(service.submit_method, url, service.headers | headers, body)
        job = Job(name, job_id(service, told, own), to_text(timezone.now()))
        seen = look(service, told)
        return job, seen if seen.state else None

    def get(self, context: GetContext) -> Seen:
        job: Job = context.resource_meta
        service = self._service(job)
        told, _ = self._caller.json("GET", self._url(service, service.poll_url, job), service.headers)
        if service.follow:
            onward = at_path(told, service.follow)
            if isinstance(onward, str) and onward:
                told, _ = self._caller.json("GET", same_host(service, onward), service.headers)
        seen = look(service, told)
        if not ended(service, seen) and timezone.now() - from_text(job.at) > service.longest:
            raise UserFailure(f"the job {job.id[:100]} runs longer than {service.longest}")
        return seen

    def delete(self, context: DeleteContext) -> None:
        job: Job = context.resource_meta
        service = self._service(job)
        if service.cancel_url:
            self._caller.gone(service.cancel_method, self._url(service, service.cancel_url, job), service.headers)

    def status(self, context: StatusContext) -> Phase:
        job: Job = context.resource_meta
        seen: Seen = context.resource
        service = self._service(job)
        told = {"service": job.service, "id": job.id, "state": seen.state}
        if matches(seen.state, service.succeeded):
            return success("JobSucceeded", told | {"output": seen.output})
        if matches(seen.state, service.failed):
            message = seen.message or f"the job ended in state {seen.state}"
            return failure(message, event="JobFailed", payload=told | {"message": message, "output": seen.output})
        if not seen.state:
            return queued("submitted")
        if seen.progress is None:
            return running(f"state {seen.state}")
        version = version_of(seen)
        return running(
            f"state {seen.state}: {seen.progress}"[:300],
            version=version,
            event="JobProgress",
            payload=told | {"progress": seen.progress},
        )

    def _service(self, job: Job) -> Service:
        service = self._config.services.get(job.service)
        if service is None:
            raise SystemFailure(f"the service {job.service!r} is configured no more")
        return service

    def _url(self, service: Service, template: str, job: Job) -> str:
        """The URL for a job. Where the template begins with `{id}`, the id is a URL itself, at the service's host."""
        if template.startswith("{id}"):
            return same_host(service, job.id) + template.removeprefix("{id}")
        return filled(template, {"id": job.id})


def read(given: Any, config: HttpJobConfig) -> tuple[str, dict[str, Any]]:
    """Service and parameters of an input `{"service": "ci", "parameters": {…}}`. Raises `UserFailure`."""
    if not isinstance(given, dict) or not set(given) <= KEYS or not isinstance(given.get("parameters", {}), dict):
        raise UserFailure('the input must be {"service": "…", "parameters": {…}}')
    name = given.get("service")
    if not isinstance(name, str) or name not in config.services:
        there_are = ", ".join(config.services) or "none"
        raise UserFailure(f"no service {str(name)[:80]!r} is configured; there are: {there_are}")
    return name, given.get("parameters", {})


def filled(template: str, values: dict[str, Any]) -> str:
    """A URL with the values in its places, percent-encoded. Raises `UserFailure` where one is missing."""

    def value(place: re.Match[str]) -> str:
        found = values.get(place[1])
        if not isinstance(found, str | int | float):
            raise UserFailure(f"the parameter {place[1]!r} is missing, or no text or number")
        return quote(str(found), safe="")

    return _PLACE.sub(value, template)


def same_host(service: Service, url: str) -> str:
    """A URL that the service gave, if it leads to the service's own host: the headers with secrets go there."""
    if url.startswith("/"):
        return _origin(service.submit_url) + url
    if _origin(url) != _origin(service.submit_url):
        raise UserFailure("the service gave a URL at another host")
    return url


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}".lower()


def job_id(service: Service, told: Any, headers: dict[str, str]) -> str:
    """The id of the job in the answer to its submission. Raises `SystemFailure` where there is none."""
    kind, _, name = service.id.partition(":")
    found = headers.get(name.lower()) if kind == "header" else at_path(told, service.id)
    if isinstance(found, bool) or not isinstance(found, str | int) or not 0 < len(str(found)) <= MAX_ID:
        raise SystemFailure(f"the answer to the submission has no id at {service.id!r}")
    return str(found)


def look(service: Service, told: Any) -> Seen:
    """What matters of an answer about a job."""
    state = first_at(told, service.state)
    message = at_path(told, service.message) if service.message else None
    output = at_path(told, service.output) if service.output else None
    progress = at_path(told, service.progress) if service.progress else None
    plain = "" if state is None else str(state)[:200]
    return Seen(plain, "" if message is None else str(message)[:1000], progress, output)


def matches(state: str, known: tuple[str, ...]) -> bool:
    """Whether a state is among these, whatever its letters' case."""
    return state.lower() in {one.lower() for one in known}


def ended(service: Service, seen: Seen) -> bool:
    return matches(seen.state, service.succeeded + service.failed)


def version_of(seen: Seen) -> int:
    """A number that is another one when the progress is: its digest, as PostgreSQL's integers have it."""
    text = f"{seen.state}\n{seen.progress}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big") >> 1


def entry(allowed_hosts: str) -> PluginEntry:
    """The plugin's entry; it may call these hosts (FLYTE_WEBAPI_ALLOWED_HOSTS)."""
    return PluginEntry(
        id="HttpJob",
        supported_task_types=("Run",),
        loader=partial(_load, allowed_hosts),
        config=HttpJobConfig(resource_meta=Job),
        events={"Run": ("JobSucceeded", "JobFailed")},
        progress_events=("JobProgress",),
    )


def _load(allowed_hosts: str, setup: PluginSetupContext) -> HttpJob:
    return HttpJob(Outbound(AllowedHosts.read(allowed_hosts)), setup)
