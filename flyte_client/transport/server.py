"""The server as one pack sees it: register, take, post; re-registering where the server has forgotten the pack."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import httpx

from flyte_client.errors import RefusedError, RegistrationRefusedError, ServerAwayError
from flyte_client.health import Health
from flyte_client.transport.api_client import (
    ApiClient,
    parse_json_object,
    parse_lease_seconds,
    parse_long_poll_seconds,
    parse_retry_after,
)
from flyte_client.transport.links import find_header_link, find_link
from flyte_client.transport.retry import ServerErrorTimeout, Shutdown, retry_until_stopped
from flyte_client.transport.trace_context import extract_trace_headers

T = TypeVar("T")

NOT_FOUND = 404
CONFLICT = 409
# What was sent is itself at fault: not JSON as the server reads it, too large, or of a wrong form.
PERMANENT_ERRORS = frozenset({400, 413, 422})
# How long a server that is told that no more calls come may take to answer the poll that waits.
POLL_ABORT_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackRegistration:
    """What the server answered when the pack registered: its id there, and where its actions and events are."""

    pack_id: str
    take_url: httpx.URL
    events_url: httpx.URL


@dataclass(frozen=True)
class Lease:
    """For how many seconds an action is the pack's, and where the pack says that it still works on it."""

    heartbeat_url: httpx.URL
    seconds: int


@dataclass(frozen=True)
class ClaimedAction:
    """Work that was taken: the command's name, its input (any JSON value) and where its result goes.

    `lease` is None where the server gives actions for good, as the original does. `carried` are headers that calls
    about the action take along (`carrying`). `request_id` is what the server's log calls all that one event caused; ''
    where the server does not say.
    """

    command: str
    input: Any
    result_url: httpx.URL
    lease: Lease | None = None
    trace_headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""

    @property
    def log_fields(self) -> dict[str, str]:
        """How the log names it."""
        return {"command": self.command} | ({"request_id": self.request_id} if self.request_id else {})

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.log_fields.items())


@dataclass(frozen=True)
class NoAction:
    """No action was waiting; `retry_after` is when to ask again, in seconds, if the server said so.

    `hung_up` tells that the pack itself ended the wait, so that something may have come meanwhile.
    """

    retry_after: float | None
    is_aborted: bool = False


class ServerClient:
    """Every call outlasts a server that is away, until `stopping` is asked for.

    Raises `ServerAwayError` when it gave up for that, and `RefusedError` for what the server does not accept.
    `root` is the address to start from; every other comes from links.
    """

    def __init__(
        self, root: str, api: ApiClient, definition: Mapping[str, Any], shutdown: Shutdown, stop_grace: float
    ) -> None:
        self._root = httpx.URL(root)
        self._api = api
        self._definition = json.dumps(definition).encode()
        self._shutdown = shutdown
        self._stop_grace = stop_grace
        self._registration: PackRegistration | None = None
        self._long_poll_seconds = 0
        self._lock = threading.Lock()

    def ensure_registered(self) -> PackRegistration:
        """The pack's registration, which is made on first use."""
        return self._replace_registration(None)

    def take(self) -> ClaimedAction | NoAction:
        """The next action for this pack, which the server waits for if it can. One thread alone may call this.

        A take has no grace: who is about to end takes nothing new.
        """
        return self._call_registered(
            lambda registration: retry_until_stopped(
                lambda: self._request_action(registration.take_url), "takeAction", self._shutdown
            )
        )

    def _request_action(self, url: httpx.URL) -> ClaimedAction | NoAction:
        wait = 0 if self._shutdown.is_pending else self._long_poll_seconds
        started_at = time.monotonic()
        response = self._api.poll(url, wait) if wait else self._api.post(url)
        self._long_poll_seconds = parse_long_poll_seconds(response)
        if response.status_code != httpx.codes.NO_CONTENT:
            return _parse_action(response)
        delay = parse_retry_after(response)
        if delay is None and wait and time.monotonic() - started_at >= wait / 2:
            delay = 0.0  # the server has done the waiting
        return NoAction(delay, is_aborted=wait > 0 and self._shutdown.is_pending)

    def abort_poll_on_shutdown(self, polling_done: threading.Event) -> None:
        """Wait for either end to be asked for, and then see that no `take` goes on waiting; until `polled` is set."""
        self._shutdown.wait_idle()
        deadline = time.monotonic() + POLL_ABORT_SECONDS
        while not polling_done.is_set():
            self._api.abort_poll(immediately=time.monotonic() >= deadline)
            polling_done.wait(POLL_ABORT_SECONDS / 10)

    def post_event(self, body: bytes, key: str, within: float | None = None) -> None:
        """Deliver an event, which counts once at a server that heeds the key: it stays the same with each attempt.

        No attempt begins later than `within` so many seconds.
        """
        deadline = None if within is None else time.monotonic() + within

        def post(registration: PackRegistration) -> httpx.Response:
            call = partial(self._api.post, registration.events_url, body, key=key)
            return retry_until_stopped(call, "event", self._shutdown, self._stop_grace, deadline)

        self._call_registered(post, deadline)

    def post_result(self, url: httpx.URL, body: bytes, within: float | None = None) -> None:
        """Deliver a result to its action's address. Nothing about it needs a key: an action has one result."""
        deadline = None if within is None else time.monotonic() + within
        server_error_timeout = ServerErrorTimeout()

        def post() -> httpx.Response:
            try:
                return self._api.post(url, body)
            except ServerAwayError as error:
                if server_error_timeout.can_retry(error):
                    raise
                raise RefusedError(error.status, "the server has said nothing else for too long") from error

        self._call_registered(
            lambda _: retry_until_stopped(post, "actionResult", self._shutdown, self._stop_grace, deadline), deadline
        )

    def extend_lease(self, lease: Lease, timeout: float) -> bool:
        """Say once, in at most `timeout` seconds, that an action is still worked on; False when it is not the pack's.

        A server that does not know the pack can't know whose the action is: only after registering again counts what
        it says.
        """
        registration = self.ensure_registered()
        status = self._post_heartbeat(lease, timeout)
        if status == NOT_FOUND:
            self._replace_registration(registration)
            status = self._post_heartbeat(lease, timeout)
        return status not in (CONFLICT, NOT_FOUND)

    def _post_heartbeat(self, lease: Lease, timeout: float) -> int:
        try:
            return self._api.post(lease.heartbeat_url, timeout=timeout).status_code
        except RefusedError as error:
            if error.status in (CONFLICT, NOT_FOUND):
                return error.status
            raise

    def is_healthy(self) -> bool:
        """Whether the server says, now and at the first asking, that it is well."""
        try:
            self._api.get(self._discover_url("info/health"))
        except (ServerAwayError, RefusedError):
            return False
        return True

    def report_last_call(self) -> Health:
        """How the last call went. Never unhealthy: to start the pack anew makes no server come back."""
        last_call = self._api.last_call
        age = f"{time.monotonic() - last_call.finished_at:.0f} s ago"
        return Health(True, f"the last call failed {age}: {last_call.error}" if last_call.error else f"answered {age}")

    def _call_registered(self, call: Callable[[PackRegistration], T], deadline: float | None = None) -> T:
        """Make the call; where the server no longer knows the pack, register again and make it once more."""
        registration = self._replace_registration(None, deadline)
        try:
            return call(registration)
        except RefusedError as error:
            if error.status != NOT_FOUND:
                raise
            return call(self._replace_registration(registration, deadline))

    def _replace_registration(
        self, outdated: PackRegistration | None, deadline: float | None = None
    ) -> PackRegistration:
        # Many threads may find the pack forgotten at once: the first registers it anew, the others use what it got.
        with self._locked_until(deadline):
            if self._registration is None or self._registration is outdated:
                try:
                    self._registration = retry_until_stopped(
                        self._register, "listPacks", self._shutdown, deadline=deadline
                    )
                except RefusedError as error:
                    raise RegistrationRefusedError(error.status, error.detail) from error
            return self._registration

    @contextmanager
    def _locked_until(self, deadline: float | None) -> Iterator[None]:
        """One thread at a time. Raises `ServerAwayError` where the one before, which may wait for long, is not done."""
        if not self._lock.acquire(timeout=-1 if deadline is None else max(0.0, deadline - time.monotonic())):
            raise ServerAwayError("the pack has not registered yet")
        try:
            yield
        finally:
            self._lock.release()

    def _register(self) -> PackRegistration:
        response = self._api.post(self._discover_url("pack/listPacks"), self._definition)
        self._long_poll_seconds = parse_long_poll_seconds(response)
        pack = parse_json_object(response)
        take_url = _require_link(pack, "takeAction", response.url)
        registration = PackRegistration(str(pack.get("id", "")), take_url, _require_link(pack, "event", response.url))
        logger.info("pack_registered pack=%s", registration.pack_id)
        return registration

    def _discover_url(self, rel: str) -> httpx.URL:
        """Where the API's first page links to, which is the root itself or one step behind it (`/` leads to `/v1`)."""
        response = self._api.get(self._root)
        v1_url = find_link(parse_json_object(response), "info/v1", response.url)
        if v1_url and not find_link(parse_json_object(response), rel, response.url):
            response = self._api.get(v1_url)
        return _require_link(parse_json_object(response), rel, response.url)


def _require_link(content: Mapping[str, Any], rel: str, base: httpx.URL) -> httpx.URL:
    url = find_link(content, rel, base)
    if url is None:
        raise RefusedError(200, f"{base} has no link to {rel}: is that the address of a Flyte server?")
    return url


def _parse_action(response: httpx.Response) -> ClaimedAction:
    content = parse_json_object(response)
    result_url = _require_link(content, "actionResult", response.url)
    command, request_id = str(content.get("command", "")), response.headers.get("X-Request-ID", "")
    return ClaimedAction(
        command, content.get("input"), result_url, _parse_lease(response), extract_trace_headers(response), request_id
    )


def _parse_lease(response: httpx.Response) -> Lease | None:
    heartbeat_url = find_header_link(response.headers.get("Link", ""), "heartbeat", response.url)
    seconds = parse_lease_seconds(response)
    return Lease(heartbeat_url, seconds) if heartbeat_url and seconds else None
