"""One HTTP call to the server, and what its answer means."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from flyte_client.errors import RefusedError, ServerAwayError

# A wrong clock or a typing error at the other end must not put a pack to sleep for ever.
LONGEST_RETRY_AFTER = 3600.0


class Api:
    """Calls with the pack's token and time limit. Safe to share between threads.

    `get` and `post` return answers in 2xx and raise `ServerAwayError` or `RefusedError` for all else.
    """

    def __init__(self, token: str | None, timeout: float) -> None:
        headers = {"Accept": "application/json", "User-Agent": "flyte-client-python"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(headers=headers, timeout=timeout)

    def get(self, url: httpx.URL) -> httpx.Response:
        return self._call("GET", url, None)

    def post(self, url: httpx.URL, body: bytes = b"") -> httpx.Response:
        return self._call("POST", url, body)

    def _call(self, method: str, url: httpx.URL, body: bytes | None) -> httpx.Response:
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            answer = self._http.request(method, url, content=body, headers=headers)
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise RefusedError(0, f"{url} can't be called: {error}") from error
        except httpx.RequestError as error:
            raise ServerAwayError(f"{type(error).__name__}: {error}") from error
        return _accepted(answer)


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


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    # 429 asks for patience, as 503 does: giving up on it would lose events only because there were many.
    if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise ServerAwayError(f"{answer.status_code} from {answer.url}", retry_after(answer))
    raise RefusedError(answer.status_code, _reason(answer))


def _reason(answer: httpx.Response) -> str:
    """The server's own words: title, detail and faults of a problem document (RFC 9457), else the start of the text."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return answer.text.strip()[:200] or answer.reason_phrase
    faults = problem.get("errors")
    parts = [problem.get("title"), problem.get("detail")]
    parts += [f"{fault.get('path')}: {fault.get('message')}" for fault in faults or [] if isinstance(fault, dict)]
    return "; ".join(str(part) for part in parts if part)
