"""A Flyte server as people's programs see it: one call at a time, each answered or told why not; nothing is retried."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from flyte_client.api import accepted, document
from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.links import find_link
from flyte_client.version import __version__

MAX_PAGES = 1000
HINTS = {401: "no token, or none that the server takes: is FLYTE_JWT set?", 403: "the token does not allow this"}


class Remote:
    """Calls that return answers in 2xx, and raise `ServerAwayError` or `RefusedError` for all else.

    `root` is the server's address; every other comes from links.
    """

    def __init__(self, root: str, token: str | None, timeout: float) -> None:
        headers = {"Accept": "application/json", "User-Agent": f"flyte-python/{__version__}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(headers=headers, timeout=timeout, verify=httpx.create_ssl_context())
        self._root = httpx.URL(root)

    def call(
        self,
        method: str,
        url: httpx.URL,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return accepted(self._http.request(method, url, content=body, headers=headers))
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
            raise RefusedError(0, f"{url} can't be called: {error}") from error
        except httpx.RequestError as error:
            raise ServerAwayError(f"{self._root} does not answer ({type(error).__name__}: {error})") from error
        except RefusedError as error:
            if hint := HINTS.get(error.status):
                raise RefusedError(error.status, f"{error.detail} ({hint})") from None
            raise

    def get(self, url: httpx.URL) -> Mapping[str, Any]:
        """The JSON object at an address."""
        return document(self.call("GET", url))

    def place(self, rel: str) -> httpx.URL:
        """Where the API has what its first page links to under this rel, such as `listFlows`."""
        at_root = find_link(index := self.get(self._root), "v1", self._root)
        v1 = index if at_root is None else self.get(at_root)
        return self.link(v1, rel, at_root or self._root)

    def link(self, shown: Mapping[str, Any], rel: str, base: httpx.URL) -> httpx.URL:
        """Where a document links to. Raises `RefusedError` where it does not: then no Flyte server is there."""
        found = find_link(shown, rel, base)
        if found is None:
            raise RefusedError(200, f"{base} has no link {rel!r}: is a Flyte server there?")
        return found

    def rows(self, url: httpx.URL, name: str) -> Iterator[Mapping[str, Any]]:
        """All entries of a list, page after page."""
        for _ in range(MAX_PAGES):
            page = self.get(url)
            listed = page.get(name)
            yield from (row for row in (listed if isinstance(listed, list) else []) if isinstance(row, dict))
            following = find_link(page, "next", url)
            if following is None or following == url:
                return
            url = following
