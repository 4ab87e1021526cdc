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

from flyte_client.api import Api, document, lease_seconds, long_poll, retry_after
from flyte_client.carrying import carried_by
from flyte_client.errors import RefusedError, RegistrationRefusedError, ServerAwayError
from flyte_client.health import Health
from flyte_client.links import find_header_link, find_link
from flyte_client.patience import Bearing, Stopping, persist

T = TypeVar("T")

NOT_FOUND = 404
CONFLICT = 409
# What was sent is itself at fault: not JSON as the server reads it, too large, or of a wrong form.
UNFIT = frozenset({400, 413, 422})
# How long a server that is told that no more calls come may take to answer the poll that waits.
HANG_UP_SECONDS = 2.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Registration:
    """What the server answered when the pack registered: its id there, and where its actions and events are."""

    pack_id: str
    take: httpx.URL
    events: httpx.URL


@dataclass(frozen=True)
class Lease:
    """For how many seconds an action is the pack's, and where the pack says that it still works on it."""

    heartbeat: httpx.URL
    seconds: int


@dataclass(frozen=True)
class Action:
    """Work that was taken: the command's name, its input (any JSON value) and where its result goes.

    `lease` is None where the server gives actions for good, as the original does. `carried` are headers that calls
    about the action take along (`carrying`). `request_id` is what the server's log calls all that one event caused; ''
    where the server does not say.
    """

    command: str
    input: Any
    result: httpx.URL
    lease: Lease | None = None
    carried: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""

    @property
    def log_fields(self) -> dict[str, str]:
        """How the log names it."""
        return {"command": self.command} | ({"request_id": self.request_id} if self.request_id else {})

    def __str__(self) -> str:
        return " ".join(f"{name}={value}" for name, value in self.log_fields.items())


@dataclass(frozen=True)
class Nothing:
    """No action was waiting; `retry_after` is when to ask again, in seconds, if the server said so.

    `hung_up` tells that the pack itself ended the wait, so that something may have come meanwhile.
    """

    retry_after: float | None
    hung_up: bool = False


class Server:
    """Every call outlasts a server that is away, until `stopping` is asked for.

    Raises `ServerAwayError` when it gave up for that, and `RefusedError` for what the server does not accept.
    `root` is the address to start from; every other comes from links.
    """

    def __init__(self, root: str, api: Api, definition: Mapping[str, Any], stopping: Stopping, grace: float) -> None:
        self._root = httpx.URL(root)
        self._api = api
        self._definition = json.dumps(definition).encode()
        self._stopping = stopping
        self._grace = grace
        self._registration: Registration | None = None
        self._long_poll = 0
        self._lock = threading.Lock()

    def registration(self) -> Registration:
        """The pack's registration, which is made on first use."""
        return self._registered_after(None)

    def take(self) -> Action | Nothing:
        """The next action for this pack, which the server waits for if it can. One thread alone may call this.

        A take has no grace: who is about to end takes nothing new.
        """
        return self._registered(
            lambda known: persist(lambda: self._take_from(known.take), "takeAction", self._stopping)
        )

    def _take_from(self, url: httpx.URL) -> Action | Nothing:
        wait = 0 if self._stopping.soon else self._long_poll
        began = time.monotonic()
        answer = self._api.poll(url, wait) if wait else self._api.post(url)
        self._long_poll = long_poll(answer)
        if answer.status_code != httpx.codes.NO_CONTENT:
            return _action(answer)
        pause = retry_after(answer)
        if pause is None and wait and time.monotonic() - began >= wait / 2:
            pause = 0.0  # the server has done the waiting
        return Nothing(pause, hung_up=wait > 0 and self._stopping.soon)

    def hang_up_when_stopping(self, polled: threading.Event) -> None:
        """Wait for either end to be asked for, and then see that no `take` goes on waiting; until `polled` is set."""
        self._stopping.idle()
        until = time.monotonic() + HANG_UP_SECONDS
        while not polled.is_set():
            self._api.hang_up(at_once=time.monotonic() >= until)
            polled.wait(HANG_UP_SECONDS / 10)

    def post_event(self, body: bytes, key: str, within: float | None = None) -> None:
        """Deliver an event, which counts once at a server that heeds the key: it stays the same with each attempt.

        No attempt begins later than `within` so many seconds.
        """
        until = None if within is None else time.monotonic() + within

        def post(known: Registration) -> httpx.Response:
            call = partial(self._api.post, known.events, body, key=key)
            return persist(call, "event", self._stopping, self._grace, until)

        self._registered(post, until)

    def post_result(self, url: httpx.URL, body: bytes, within: float | None = None) -> None:
        """Deliver a result to its action's address. Nothing about it needs a key: an action has one result."""
        until = None if within is None else time.monotonic() + within
        bearing = Bearing()

        def post() -> httpx.Response:
            try:
                return self._api.post(url, body)
            except ServerAwayError as away:
                if bearing.bears(away):
                    raise
                raise RefusedError(away.status, "the server has said nothing else for too long") from away

        self._registered(lambda _: persist(post, "actionResult", self._stopping, self._grace, until), until)

    def extend(self, lease: Lease, timeout: float) -> bool:
        """Say once, in at most `timeout` seconds, that an action is still worked on; False when it is not the pack's.

        A server that does not know the pack can't know whose the action is: only after registering again counts what
        it says.
        """
        known = self.registration()
        status = self._extended(lease, timeout)
        if status == NOT_FOUND:
            self._registered_after(known)
            status = self._extended(lease, timeout)
        return status not in (CONFLICT, NOT_FOUND)

    def _extended(self, lease: Lease, timeout: float) -> int:
        try:
            return self._api.post(lease.heartbeat, timeout=timeout).status_code
        except RefusedError as refusal:
            if refusal.status in (CONFLICT, NOT_FOUND):
                return refusal.status
            raise

    def healthy(self) -> bool:
        """Whether the server says, now and at the first asking, that it is well."""
        try:
            self._api.get(self._linked("info/health"))
        except (ServerAwayError, RefusedError):
            return False
        return True

    def contact(self) -> Health:
        """How the last call went. Never unhealthy: to start the pack anew makes no server come back."""
        contact = self._api.contact
        ago = f"{time.monotonic() - contact.at:.0f} s ago"
        return Health(True, f"the last call failed {ago}: {contact.trouble}" if contact.trouble else f"answered {ago}")

    def _registered(self, call: Callable[[Registration], T], until: float | None = None) -> T:
        """Make the call; where the server no longer knows the pack, register again and make it once more."""
        known = self._registered_after(None, until)
        try:
            return call(known)
        except RefusedError as refusal:
            if refusal.status != NOT_FOUND:
                raise
            return call(self._registered_after(known, until))

    def _registered_after(self, outdated: Registration | None, until: float | None = None) -> Registration:
        # Many threads may find the pack forgotten at once: the first registers it anew, the others use what it got.
        with self._alone(until):
            if self._registration is None or self._registration is outdated:
                try:
                    self._registration = persist(self._register, "listPacks", self._stopping, until=until)
                except RefusedError as refusal:
                    raise RegistrationRefusedError(refusal.status, refusal.detail) from refusal
            return self._registration

    @contextmanager
    def _alone(self, until: float | None) -> Iterator[None]:
        """One thread at a time. Raises `ServerAwayError` where the one before, which may wait for long, is not done."""
        if not self._lock.acquire(timeout=-1 if until is None else max(0.0, until - time.monotonic())):
            raise ServerAwayError("the pack has not registered yet")
        try:
            yield
        finally:
            self._lock.release()

    def _register(self) -> Registration:
        answer = self._api.post(self._linked("pack/listPacks"), self._definition)
        self._long_poll = long_poll(answer)
        pack = document(answer)
        take = _needed(pack, "takeAction", answer.url)
        registration = Registration(str(pack.get("id", "")), take, _needed(pack, "event", answer.url))
        logger.info("pack_registered pack=%s", registration.pack_id)
        return registration

    def _linked(self, rel: str) -> httpx.URL:
        """Where the API's first page links to, which is the root itself or one step behind it (`/` leads to `/v1`)."""
        answer = self._api.get(self._root)
        version = find_link(document(answer), "info/v1", answer.url)
        if version and not find_link(document(answer), rel, answer.url):
            answer = self._api.get(version)
        return _needed(document(answer), rel, answer.url)


def _needed(content: Mapping[str, Any], rel: str, base: httpx.URL) -> httpx.URL:
    url = find_link(content, rel, base)
    if url is None:
        raise RefusedError(200, f"{base} has no link to {rel}: is that the address of a Flyte server?")
    return url


def _action(answer: httpx.Response) -> Action:
    content = document(answer)
    result = _needed(content, "actionResult", answer.url)
    command, request_id = str(content.get("command", "")), answer.headers.get("X-Request-ID", "")
    return Action(command, content.get("input"), result, _lease(answer), carried_by(answer), request_id)


def _lease(answer: httpx.Response) -> Lease | None:
    heartbeat = find_header_link(answer.headers.get("Link", ""), "heartbeat", answer.url)
    seconds = lease_seconds(answer)
    return Lease(heartbeat, seconds) if heartbeat and seconds else None
