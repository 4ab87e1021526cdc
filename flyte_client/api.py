"""One HTTP call to the server, and what its answer means."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from flyte_client.carrying import carried_headers
from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.line import Line
from flyte_client.version import __version__

LONGEST_WAIT = 30

# A wrong clock or a typing error at the other end must not put a pack to sleep for ever.
LONGEST_RETRY_AFTER = 3600.0


@dataclass(frozen=True)
class Contact:
    """The last call: when it ended, by the monotonic clock, and what was wrong, if anything."""

    trouble: str = ""
    at: float = field(default_factory=time.monotonic)


class Api:
    """Calls with the pack's token and time limit. Safe to share between threads, but for `poll`, which is one's alone.

    `get`, `post` and `poll` return answers in 2xx and raise `ServerAwayError` or `RefusedError` for all else.
    """

    def __init__(self, token: str | None, timeout: float) -> None:
        headers = {"Accept": "application/json", "User-Agent": f"flyte-client-python/{__version__}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        trusted = httpx.create_ssl_context()
        self._http = httpx.Client(headers=headers, timeout=timeout, verify=trusted)
        # Polls that wait have a connection of their own: one that can be hung up without harm to other calls.
        self._polls = httpx.Client(headers=headers, verify=trusted)
        self._timeout = timeout
        self._line = Line()
        self.contact = Contact("nothing was asked yet")

    def get(self, url: httpx.URL) -> httpx.Response:
        return self._call(lambda: self._http.get(url), url)

    def post(
        self, url: httpx.URL, body: bytes = b"", *, key: str | None = None, timeout: float | None = None
    ) -> httpx.Response:
        """Post JSON. The same `key` says that this is the same event; `timeout` can only shorten the pack's own."""
        headers = {"Content-Type": "application/json", **carried_headers()}
        if key:
            headers["Idempotency-Key"] = key
        seconds = self._timeout if timeout is None else min(timeout, self._timeout)
        return self._call(lambda: self._http.post(url, content=body, headers=headers, timeout=seconds), url)

    def poll(self, url: httpx.URL, wait: int) -> httpx.Response:
        """Post, and let the server wait with its answer for up to `wait` seconds."""
        waiting = url.copy_merge_params({"wait": wait})
        timeout = httpx.Timeout(self._timeout, read=self._timeout + wait)
        extensions = {"trace": self._line.trace}
        return self._call(lambda: self._polls.post(waiting, timeout=timeout, extensions=extensions), url)

    def hang_up(self, *, at_once: bool = False) -> None:
        """Have a `poll` in another thread answered now; `at_once` ends it without an answer."""
        self._line.hang_up(at_once=at_once)

    def _call(self, send: Callable[[], httpx.Response], url: httpx.URL) -> httpx.Response:
        try:
            answer = accepted(send())
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise RefusedError(0, f"{url} can't be called: {error}") from error
        except httpx.RequestError as error:
            told = f"{type(error).__name__} at {url.scheme}://{url.netloc.decode()}: {error}"
            self.contact = Contact(told)
            raise ServerAwayError(told) from error
        except (ServerAwayError, RefusedError) as error:
            self.contact = Contact(str(error))
            raise
        self.contact = Contact()
        return answer


def document(answer: httpx.Response) -> Mapping[str, Any]:
    """The answer's JSON object. Raises `RefusedError` where it is none: then no Flyte server is at that address."""
    try:
        content = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise RefusedError(answer.status_code, f"{answer.url} answered with something that is no JSON object")
    return content


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the answer asks to wait (RFC 9110, section 10.2.3: a number or a date), or None."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER)
    try:
        pause = parsedate_to_datetime(text).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(0.0, pause), LONGEST_RETRY_AFTER)


def long_poll(answer: httpx.Response) -> int:
    """For how many seconds the server lets a take wait; 0 where it does not offer that."""
    return min(_seconds(answer, "Flyte-Long-Poll"), LONGEST_WAIT)


def lease_seconds(answer: httpx.Response) -> int:
    """For how many seconds the action in the answer is the pack's; 0 where the server gives actions for good."""
    return _seconds(answer, "Flyte-Lease")


def _seconds(answer: httpx.Response, header: str) -> int:
    text = answer.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def accepted(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is one of success. Raises `ServerAwayError` and `RefusedError` for others."""
    if answer.is_success:
        return answer
    # 429 asks for patience, as 503 does: giving up on it would lose events only because there were many.
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise ServerAwayError(f"{answer.status_code} from {answer.url}", retry_after(answer), answer.status_code)
    problem = _problem(answer)
    faults = problem.get("errors") if problem else None
    errors = [fault for fault in faults or [] if isinstance(fault, dict)] if isinstance(faults, list) else []
    raise RefusedError(answer.status_code, _reason(answer, problem, errors), errors)


def _problem(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        problem = answer.json()
    except ValueError:
        return None
    return problem if isinstance(problem, dict) else None


def _reason(answer: httpx.Response, problem: dict[str, Any] | None, errors: list[dict[str, Any]]) -> str:
    """The server's own words: title, detail and faults of a problem document (RFC 9457), else the start of the text."""
    if problem is None:
        return answer.text.strip()[:200] or answer.reason_phrase
    parts = [problem.get("title"), problem.get("detail")]
    parts += [f"{fault.get('path')}: {fault.get('message')}" for fault in errors]
    return "; ".join(str(part) for part in parts if part)
