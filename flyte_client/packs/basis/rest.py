"""Another system's REST API, in JSON: who calls it, what is tried again, and what its refusals say."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from flyte_client import settings
from flyte_client.api import retry_after
from flyte_client.current import current_action
from flyte_client.errors import SettingsError
from flyte_client.packs.basis import environment as variables
from flyte_client.patience import growing_pauses

LARGEST_ANSWER = 10 * 1024 * 1024
LONGEST_WORDS = 500
TOO_MANY = 429
NEVER = threading.Event()

logger = logging.getLogger(__name__)


class RestError(Exception):
    """It was not done; the text is the other system's, as far as it gave one, and holds no secret of ours.

    `status` is 0 where no answer came. `temporary` tells that later it might work.
    """

    def __init__(self, reason: str, *, status: int = 0, temporary: bool = False) -> None:
        super().__init__(reason[:LONGEST_WORDS])
        self.status = status
        self.temporary = temporary


@dataclass(frozen=True)
class Access:
    """Where the API is and who calls it: `user` with `password`, or `token` alone.

    `timeout` is how long one call may be silent, `patience` how long one is tried again, both in seconds.
    """

    url: str
    timeout: float
    patience: float
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def read_access(environment: Mapping[str, str], prefix: str) -> Access:
    """From `PREFIX_URL`, `_USER`, `_PASSWORD`, `_TOKEN`, `_TIMEOUT`, `_WAIT_SECONDS`. Raises `SettingsError`."""
    user, password, token = (
        variables.secret(environment, f"{prefix}_{name}") for name in ("USER", "PASSWORD", "TOKEN")
    )
    if bool(user) != bool(password):
        raise SettingsError(f"{prefix}_USER: goes with {prefix}_PASSWORD, and one of them is not set")
    if bool(user) == bool(token):
        raise SettingsError(f"{prefix}_TOKEN: set either it, or {prefix}_USER and {prefix}_PASSWORD")
    return Access(
        url=variables.address(environment, f"{prefix}_URL"),
        timeout=settings.seconds(environment, f"{prefix}_TIMEOUT", 30.0),
        patience=settings.seconds(environment, f"{prefix}_WAIT_SECONDS", 60.0),
        user=user,
        password=password,
        token=token,
    )


class Rest:
    """Calls from any thread; all give the answer's JSON value, None where it is empty, and raise `RestError`.

    While the other system is away, `get` is tried again; what changes something only where it surely was not done:
    nobody was reached, or the answer was 429. All end early when the action in hand is cancelled, or `ending` is set.
    """

    def __init__(self, access: Access) -> None:
        headers = {"Accept": "application/json", "User-Agent": "flyte-packs", "X-Atlassian-Token": "no-check"}
        if access.token:
            headers["Authorization"] = f"Bearer {access.token}"
        self._auth = httpx.BasicAuth(access.user, access.password) if access.user else None
        self._access = access
        self._http = httpx.Client(headers=headers, timeout=access.timeout, verify=httpx.create_ssl_context())

    def get(self, path: str, ending: threading.Event | None = None, **query: str | int) -> Any:
        return self._patiently(lambda: self._call("GET", path, None, query), True, ending or _cancelled())

    def post(self, path: str, body: Any = None, **query: str | int) -> Any:
        return self._patiently(lambda: self._call("POST", path, body, query), False, _cancelled())

    def put(self, path: str, body: Any) -> Any:
        return self._patiently(lambda: self._call("PUT", path, body, {}), False, _cancelled())

    def delete(self, path: str) -> Any:
        return self._patiently(lambda: self._call("DELETE", path, None, {}), False, _cancelled())

    def _patiently(self, call: Callable[[], Any], harmless: bool, ending: threading.Event) -> Any:
        deadline = time.monotonic() + self._access.patience
        for own_pause in growing_pauses():
            try:
                return call()
            except _AwayError as away:
                pause = own_pause if away.pause is None else away.pause
                again = (harmless or away.untouched) and time.monotonic() + pause <= deadline
                if not again or ending.wait(pause):
                    raise RestError(str(away), status=away.status, temporary=True) from None
                logger.warning("call_again wait_s=%.1f reason=%r", pause, str(away))
        raise AssertionError("the pauses never end")

    def _call(self, method: str, path: str, body: Any, query: Mapping[str, str | int]) -> Any:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        request = self._http.build_request(
            method, self._access.url + path, content=content, headers=headers, params=query or None
        )
        try:
            answer = self._http.send(request, auth=self._auth, stream=True)
            try:
                raw = _read(answer)
            finally:
                answer.close()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _AwayError(f"can't be reached: {error}", untouched=True) from None
        except httpx.HTTPError as error:
            raise _AwayError(f"gave no answer: {type(error).__name__} {error}".strip(), untouched=False) from None
        return _accepted(answer, raw)


class _AwayError(Exception):
    """`untouched`: surely nothing was done. `pause` is what the other side wants, in seconds."""

    def __init__(self, reason: str, *, untouched: bool, status: int = 0, pause: float | None = None) -> None:
        super().__init__(reason)
        self.untouched = untouched
        self.status = status
        self.pause = pause


def segment(text: str) -> str:
    """A part of a path that can't become more than one. Raises `ValueError` for what servers take for another path."""
    if text in ("", ".", "..") or not text.isprintable():
        raise ValueError(f"{text!r} is no name that can be used")
    return quote(text, safe="")


def _cancelled() -> threading.Event:
    try:
        return current_action().cancelled
    except LookupError:
        return NEVER


def _read(answer: httpx.Response) -> bytes:
    parts, size = [], 0
    for part in answer.iter_bytes():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise RestError(f"the answer is larger than {LARGEST_ANSWER} bytes", status=answer.status_code)
        parts.append(part)
    return b"".join(parts)


def _accepted(answer: httpx.Response, raw: bytes) -> Any:
    status = answer.status_code
    content = _parsed(raw)
    if status in (TOO_MANY, 502, 503, 504):
        said = f"status {status}{_words(content)}"
        raise _AwayError(said, untouched=status == TOO_MANY, status=status, pause=retry_after(answer))
    if not 200 <= status < 300:
        raise RestError(f"status {status}{_words(content)}", status=status, temporary=status >= 500)
    if raw and content is None:
        raise RestError(f"status {status}, but the answer is no JSON: is that the address of the API?", status=status)
    return content


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        return None


def _words(content: Any) -> str:
    """What a refusal says, in the forms that Jira, Bamboo and Bitbucket have for it."""
    if not isinstance(content, dict):
        return ""
    errors = content.get("errors")
    several = errors if isinstance(errors, list) else []
    found = [content.get("message"), *_listed(content.get("errorMessages"))]
    found += [one.get("message") for one in several if isinstance(one, dict)]
    found += [f"{name}: {words}" for name, words in errors.items()] if isinstance(errors, dict) else []
    said = "; ".join(" ".join(words.split()) for words in found if isinstance(words, str) and words)
    return f": {said}" if said else ""


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
