"""What plugins that speak JSON over HTTP share: calls with secrets in their headers, and places in answers."""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from flyte_site.rest.documents import parse_json
from packs.webapi.errors import SystemFailure, UserFailure
from packs.webapi.interfaces import SecretManager
from packs.webapi.outbound import Answer, Bounds, Outbound, throttled_by

TRY_AGAIN = (408, 425)
GONE = (404, 409, 410)
EXCERPT = 300
_SECRET = re.compile(r"\{secret:([A-Za-z0-9_.-]+)\}")


class Caller:
    """Calls with the bounds of a plugin's configuration. A header's `{secret:name}` stands for a secret."""

    def __init__(self, outbound: Outbound, secrets: SecretManager, timeout: timedelta, most_bytes: int) -> None:
        self._outbound = outbound
        self._secrets = secrets
        self._bounds = Bounds(timeout.total_seconds(), most_bytes)

    def json(self, method: str, url: str, headers: Mapping[str, str], body: Any = None) -> tuple[Any, dict[str, str]]:
        """The JSON of a good answer, and its headers. Raises `Throttled`, `SystemFailure`, `UserFailure`.

        A 404 may pass, when a service has not got round to what it has just taken: it is a `SystemFailure`, unless
        something was sent.
        """
        answer = self._call(method, url, headers, body)
        if answer.status in TRY_AGAIN or answer.status >= 500 or (answer.status == 404 and body is None):
            raise SystemFailure(f"the service answered {answer.status}")
        if answer.status >= 300:
            text = answer.body[:EXCERPT].decode("utf-8", "replace").replace("\x00", "")
            message = f"the service answered {answer.status}"
            raise UserFailure(message, payload={"message": message, "status": answer.status, "answer": text})
        try:
            told = parse_json(answer.body.decode()) if answer.body.strip() else None
        except (ValueError, RecursionError):
            raise SystemFailure("the service's answer is no JSON") from None
        return told, dict(answer.headers)

    def gone(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        """Have something ended; what is not there, or has ended, is fine. Raises `Throttled`, `SystemFailure`."""
        answer = self._call(method, url, headers, None)
        if answer.status >= 300 and answer.status not in GONE:
            raise SystemFailure(f"the service answered {answer.status}")

    def _call(self, method: str, url: str, headers: Mapping[str, str], body: Any) -> Answer:
        sent = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "flyte"}
        sent |= {name.lower(): self._with_secrets(value) for name, value in headers.items()}
        content = None
        if body is not None:
            sent["content-type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        answer = self._outbound.call(method.upper(), url, sent, content, self._bounds)
        if slower := throttled_by(answer):
            raise slower
        return answer

    def _with_secrets(self, value: str) -> str:
        return _SECRET.sub(lambda place: self._secrets.get(place[1]), value)


def at_path(value: Any, path: str) -> Any:
    """What stands at a dotted path such as `runs.0.state`; None where nothing does. The empty path is all of it."""
    for part in path.split(".") if path else ():
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def first_at(value: Any, paths: Iterable[str]) -> Any:
    """What stands at the first of these paths at which something does."""
    return next((found for path in paths if (found := at_path(value, path)) is not None), None)
