"""HTTP calls to the server, and the interpretation of its responses."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.transport.poll_connection import PollConnection
from flyte_client.transport.trace_context import carried_headers
from flyte_client.version import __version__
from flyte_formats.characters import replace_surrogates
from flyte_time.times import parse_time

MAX_POLL_WAIT_SECONDS = 30

# A wrong clock or a mistake on the server must not stop a pack for a very long time.
MAX_RETRY_AFTER = 3600.0
_ERRNO_PATTERN = re.compile(r"\[Errno -?\d+\] ")


@dataclass(frozen=True)
class LastCall:
    """The last call's end, on the monotonic clock, and its error, '' on success."""

    error: str = ""
    finished_at: float = field(default_factory=time.monotonic)


class ApiClient:
    """Calls with the pack's token and timeout. Thread-safe except for `poll`, which only one thread may call.

    `get`, `post` and `poll` return 2xx responses, and raise `ServerAwayError` or `RefusedError` for anything else.
    """

    def __init__(self, token: str | None, timeout: float) -> None:
        headers = {"Accept": "application/json", "User-Agent": f"flyte-client-python/{__version__}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        ssl_context = httpx.create_ssl_context()
        self._http = httpx.Client(headers=headers, timeout=timeout, verify=ssl_context)
        # Long polls use a separate connection, which can be closed without affecting other calls.
        self._poll_http = httpx.Client(headers=headers, verify=ssl_context)
        self._timeout = timeout
        self._poll_connection = PollConnection()
        self.last_call = LastCall("no call yet")

    def get(self, url: httpx.URL) -> httpx.Response:
        return self._send_checked(lambda: self._http.get(url), url)

    def post(
        self, url: httpx.URL, body: bytes = b"", *, key: str | None = None, timeout: float | None = None
    ) -> httpx.Response:
        """Post JSON. `key` is the idempotency key of an event; `timeout` can only shorten the pack's timeout."""
        headers = httpx.Headers({"Content-Type": "application/json", **carried_headers()}, encoding="utf-8")
        if key:
            headers["Idempotency-Key"] = replace_surrogates(key)
        seconds = self._timeout if timeout is None else min(timeout, self._timeout)
        return self._send_checked(lambda: self._http.post(url, content=body, headers=headers, timeout=seconds), url)

    def poll(self, url: httpx.URL, wait_seconds: int) -> httpx.Response:
        """Post, and let the server wait up to `wait_seconds` before it responds."""
        poll_url = url.copy_merge_params({"wait": wait_seconds})
        timeout = httpx.Timeout(self._timeout, read=self._timeout + wait_seconds)
        extensions = {"trace": self._poll_connection.trace}
        return self._send_checked(lambda: self._poll_http.post(poll_url, timeout=timeout, extensions=extensions), url)

    def abort_poll(self, *, immediately: bool = False) -> None:
        """Make the server answer a `poll` in another thread now; `immediately` ends it without an answer."""
        self._poll_connection.abort(immediately=immediately)

    def _send_checked(self, send: Callable[[], httpx.Response], url: httpx.URL) -> httpx.Response:
        try:
            response = check_response(send())
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise RefusedError(0, f"invalid address {url}: {error}") from error
        except httpx.RequestError as error:
            message = describe_network_error(error, f"{url.scheme}://{url.netloc.decode()}")
            self.last_call = LastCall(message)
            raise ServerAwayError(message) from error
        except (ServerAwayError, RefusedError) as error:
            self.last_call = LastCall(str(error))
            raise
        self.last_call = LastCall()
        return response


def describe_network_error(error: httpx.RequestError, address: str) -> str:
    """Describe a request without a response: `can't reach http://host:1 (connection refused)`."""
    is_unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    reason = _ERRNO_PATTERN.sub("", str(error)) or type(error).__name__
    if reason[1:2].islower():
        reason = reason[0].lower() + reason[1:]
    failure = "can't reach" if is_unreachable else "no response from"
    return f"{failure} {address} ({reason})"


def parse_json_object(response: httpx.Response) -> Mapping[str, Any]:
    """Parse the response's JSON object. Raises `RefusedError` for anything else: then this is not a Flyte server."""
    try:
        content = response.json()
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise RefusedError(response.status_code, f"invalid response from {response.url}: expected a JSON object")
    return content


def parse_retry_after(response: httpx.Response) -> float | None:
    """Return the response's `Retry-After` in seconds (RFC 9110, section 10.2.3: a number or a date), or None."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER)
    try:
        delay = parse_time(text).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(0.0, delay), MAX_RETRY_AFTER)


def parse_long_poll_seconds(response: httpx.Response) -> int:
    """Return the seconds that the server holds a long poll; 0 without long polling."""
    return min(_parse_seconds_header(response, "Flyte-Long-Poll"), MAX_POLL_WAIT_SECONDS)


def parse_lease_seconds(response: httpx.Response) -> int:
    """Return the lease of the action in the response in seconds; 0 from a server without leases."""
    return _parse_seconds_header(response, "Flyte-Lease")


def _parse_seconds_header(response: httpx.Response, header: str) -> int:
    text = response.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def check_response(response: httpx.Response) -> httpx.Response:
    """Return a 2xx response. Raises `ServerAwayError` or `RefusedError` for others."""
    if response.is_success:
        return response
    # 429 is temporary like 503: a refusal would lose events only because there were many of them.
    if response.is_server_error or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise ServerAwayError(
            f"{response.status_code} from {response.url}", parse_retry_after(response), response.status_code
        )
    problem = _parse_problem(response)
    raw_errors = problem.get("errors") if problem else None
    errors = [error for error in raw_errors or [] if isinstance(error, dict)] if isinstance(raw_errors, list) else []
    raise RefusedError(response.status_code, _describe_problem(response, problem, errors), errors)


def _parse_problem(response: httpx.Response) -> dict[str, Any] | None:
    try:
        problem = response.json()
    except (ValueError, RecursionError):
        return None
    return problem if isinstance(problem, dict) else None


def _describe_problem(response: httpx.Response, problem: dict[str, Any] | None, errors: list[dict[str, Any]]) -> str:
    """Return title, detail and errors of a problem document (RFC 9457), else the start of the response's text."""
    if problem is None:
        return response.text.strip()[:200] or response.reason_phrase
    parts = [problem.get("title"), problem.get("detail")]
    for error in errors:
        path, message = error.get("path"), error.get("message")
        parts.append(f"{path}: {message}" if path else message)
    # The detail of a problem with one error repeats the error.
    return "; ".join(dict.fromkeys(str(part) for part in parts if part))
