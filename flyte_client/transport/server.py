"""The server's API for one pack: register, take, post; register again if the server no longer knows the pack."""

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
from flyte_client.transport.retry import MAX_SERVER_ERROR_SECONDS, ServerErrorTimeout, Shutdown, retry_until_stopped
from flyte_client.transport.trace_context import extract_trace_headers

T = TypeVar("T")

NOT_FOUND = 404
CONFLICT = 409
# In the response to an event whose idempotency key the server has received before.
REPEATED_HEADER = "Idempotent-Replayed"
# Time in which the server should answer the waiting poll after `abort_poll`.
POLL_ABORT_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PackRegistration:
    """The pack's id on the server, and the addresses for its actions and events."""

    pack_id: str
    take_url: httpx.URL
    events_url: httpx.URL


@dataclass(frozen=True)
class Lease:
    """The lease of a claimed action: its duration in seconds, and the address for heartbeats."""

    heartbeat_url: httpx.URL
    seconds: int


@dataclass(frozen=True)
class ClaimedAction:
    """An action that the pack has taken: the command, its input (any JSON value) and the address for its result.

    `lease` is None from a server without leases, such as the original. `trace_headers` are sent with calls about the
    action (see `propagate_headers`). `request_id` is the id in the server's log for everything that one event caused,
    '' if the server does not send one.
    """

    command: str
    input: Any
    result_url: httpx.URL
    lease: Lease | None = None
    trace_headers: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""

    @property
    def log_fields(self) -> dict[str, str]:
        """The fields that identify the action in the log."""
        return {"command": self.command} | ({"request_id": self.request_id} if self.request_id else {})

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.log_fields.items())


@dataclass(frozen=True)
class NoAction:
    """An empty queue; `retry_after` is the delay in seconds that the server asked for, or None.

    `is_aborted` is True if the pack ended the long poll itself, so that an action may have been queued meanwhile.
    """

    retry_after: float | None
    is_aborted: bool = False


class ServerClient:
    """Client for the server; calls are retried while the server is unreachable, until shutdown.

    They raise `ServerAwayError` after a shutdown request, and `RefusedError` if the server refuses the request.
    `root` is the server's address; all other addresses come from links.
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
        """Return the pack's registration; register on first use."""
        return self._replace_registration(None)

    def take(self) -> ClaimedAction | NoAction:
        """Take the next action, with a long poll if the server supports it. Only one thread may call this.

        A take is not retried after a shutdown request: a pack that is shutting down takes nothing new.
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
            delay = 0.0  # the server already waited
        return NoAction(delay, is_aborted=wait > 0 and self._shutdown.is_pending)

    def abort_poll_on_shutdown(self, polling_done: threading.Event) -> None:
        """Wait for a shutdown request, then end any waiting `take`, until `polling_done` is set."""
        self._shutdown.wait_idle()
        deadline = time.monotonic() + POLL_ABORT_SECONDS
        while not polling_done.is_set():
            self._api.abort_poll(immediately=time.monotonic() >= deadline)
            polling_done.wait(POLL_ABORT_SECONDS / 10)

    def post_event(self, body: bytes, key: str, within: float | None = None) -> bool:
        """Deliver an event; all attempts have the same idempotency key, so the event counts once.

        No attempt starts later than `within` seconds. Return False if the server had received the key before.
        """
        deadline = None if within is None else time.monotonic() + within

        def post(registration: PackRegistration) -> httpx.Response:
            call = partial(self._api.post, registration.events_url, body, key=key)
            return retry_until_stopped(call, "event", self._shutdown, self._stop_grace, deadline)

        response = self._call_registered(post, deadline)
        return REPEATED_HEADER not in response.headers

    def post_result(self, url: httpx.URL, body: bytes, within: float | None = None) -> None:
        """Deliver a result to its action's address. No key is needed, because an action has one result."""
        deadline = None if within is None else time.monotonic() + within
        server_error_timeout = ServerErrorTimeout()

        def post() -> httpx.Response:
            try:
                return self._api.post(url, body)
            except ServerAwayError as error:
                if server_error_timeout.can_retry(error):
                    raise
                raise RefusedError(
                    error.status, f"the server answered with {error.status} for {MAX_SERVER_ERROR_SECONDS:.0f} seconds"
                ) from error

        self._call_registered(
            lambda _: retry_until_stopped(post, "actionResult", self._shutdown, self._stop_grace, deadline), deadline
        )

    def extend_lease(self, lease: Lease, timeout: float) -> bool:
        """Send one heartbeat within `timeout` seconds; return False if the lease is lost.

        A server that does not know the pack can't know the action's owner, so register again before trusting a 404.
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
        """Return True if the server responds to one call that it is healthy."""
        try:
            self._api.get(self._discover_url("info/health"))
        except (ServerAwayError, RefusedError):
            return False
        return True

    def report_last_call(self) -> Health:
        """Report the last call. Always healthy, because restarting the pack does not help against an absent server."""
        last_call = self._api.last_call
        age = f"{time.monotonic() - last_call.finished_at:.0f} s ago"
        return Health(True, f"the last call failed {age}: {last_call.error}" if last_call.error else f"answered {age}")

    def _call_registered(self, call: Callable[[PackRegistration], T], deadline: float | None = None) -> T:
        """Make the call; if the server no longer knows the pack, register again and repeat it once."""
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
        # Several threads may get a 404 at once: the first registers again, the others use its registration.
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
        """Hold the registration lock. Raises `ServerAwayError` if another thread holds it until the deadline."""
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
        """Return the address of `rel` in the API's index, which is at the root or one link away (`/` to `/v1`)."""
        response = self._api.get(self._root)
        v1_url = find_link(parse_json_object(response), "info/v1", response.url)
        if v1_url and not find_link(parse_json_object(response), rel, response.url):
            response = self._api.get(v1_url)
        return _require_link(parse_json_object(response), rel, response.url)


def _require_link(content: Mapping[str, Any], rel: str, base: httpx.URL) -> httpx.URL:
    url = find_link(content, rel, base)
    if url is None:
        raise RefusedError(200, f"link {rel!r} not found at {base}: check that this is a Flyte server")
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
