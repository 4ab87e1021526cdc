"""A Flyte server as people's programs see it: one call at a time, each answered or told why not; nothing is retried."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.transport.api_client import check_response, parse_json_object
from flyte_client.transport.links import find_link
from flyte_client.version import __version__

MAX_PAGES = 1000
STATUS_HINTS = {401: "no token, or none that the server takes: is FLYTE_JWT set?", 403: "the token does not allow this"}


class ServerApi:
    """Calls that return answers in 2xx, and raise `ServerAwayError` or `RefusedError` for all else.

    `root` is the server's address; every other comes from links.
    """

    def __init__(self, root: str, token: str | None, timeout: float) -> None:
        headers = {"Accept": "application/json", "User-Agent": f"flyte-python/{__version__}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(headers=headers, timeout=timeout, verify=httpx.create_ssl_context())
        self._root = httpx.URL(root)

    def request(
        self,
        method: str,
        url: httpx.URL,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        try:
            return check_response(self._http.request(method, url, content=body, headers=headers))
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
            raise RefusedError(0, f"{url} can't be called: {error}") from error
        except httpx.RequestError as error:
            raise ServerAwayError(f"{self._root} does not answer ({type(error).__name__}: {error})") from error
        except RefusedError as error:
            if hint := STATUS_HINTS.get(error.status):
                raise RefusedError(error.status, f"{error.detail} ({hint})") from None
            raise

    def get_json(self, url: httpx.URL) -> Mapping[str, Any]:
        """The JSON object at an address."""
        return parse_json_object(self.request("GET", url))

    def find_url(self, rel: str) -> httpx.URL:
        """Where the API has what its first page links to under this rel, such as `listFlows`."""
        v1_url = find_link(index := self.get_json(self._root), "v1", self._root)
        v1_index = index if v1_url is None else self.get_json(v1_url)
        return self.require_link(v1_index, rel, v1_url or self._root)

    def require_link(self, document: Mapping[str, Any], rel: str, base: httpx.URL) -> httpx.URL:
        """Where a document links to. Raises `RefusedError` where it does not: then no Flyte server is there."""
        url = find_link(document, rel, base)
        if url is None:
            raise RefusedError(200, f"{base} has no link {rel!r}: is a Flyte server there?")
        return url

    def iter_items(self, url: httpx.URL, list_name: str) -> Iterator[Mapping[str, Any]]:
        """All entries of a list, page after page."""
        for _ in range(MAX_PAGES):
            page = self.get_json(url)
            items = page.get(list_name)
            yield from (item for item in (items if isinstance(items, list) else []) if isinstance(item, dict))
            next_url = find_link(page, "next", url)
            if next_url is None or next_url == url:
                return
            url = next_url
