"""HTTP client of the command line: one call at a time, without retries."""

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.transport.api_client import check_response, describe_network_error, parse_json_object
from flyte_client.transport.links import find_link
from flyte_client.version import __version__

MAX_PAGES = 1000
WARNING_HEADER = "X-Flyte-Warning"
STATUS_HINTS = {401: "missing or invalid token: check FLYTE_JWT", 403: "not allowed: check the token's scopes"}


class ServerApi:
    """Calls that return 2xx responses, and raise `ServerAwayError` or `RefusedError` for anything else.

    `root` is the server's address; all other addresses come from links.
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
            encoded_headers = httpx.Headers(headers, encoding="utf-8")
            return check_response(self._http.request(method, url, content=body, headers=encoded_headers))
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
            raise RefusedError(0, f"invalid address {url}: {error}") from error
        except httpx.RequestError as error:
            raise ServerAwayError(describe_network_error(error, str(self._root))) from error
        except RefusedError as error:
            if hint := STATUS_HINTS.get(error.status):
                raise RefusedError(error.status, f"{error.detail} ({hint})") from None
            raise

    def get_json(self, url: httpx.URL) -> Mapping[str, Any]:
        """Fetch the JSON object at an address. Raises `RefusedError` if the server ignored a part of the request."""
        return self.get_page(url)[0]

    def get_page(self, url: httpx.URL) -> tuple[Mapping[str, Any], httpx.URL | None]:
        """Fetch the JSON object at an address, and the address of the next page in the `Link` header."""
        response = self.request("GET", url)
        if warning := response.headers.get(WARNING_HEADER):
            raise RefusedError(response.status_code, f"{url}: {warning}")
        next_url = response.links.get("next", {}).get("url")
        return parse_json_object(response), url.join(next_url) if next_url else None

    def find_url(self, rel: str) -> httpx.URL:
        """Return the address that the API's index links to under this rel, such as `listFlows`."""
        v1_url = find_link(index := self.get_json(self._root), "v1", self._root)
        v1_index = index if v1_url is None else self.get_json(v1_url)
        return self.require_link(v1_index, rel, v1_url or self._root)

    def require_link(self, document: Mapping[str, Any], rel: str, base: httpx.URL) -> httpx.URL:
        """Return a document's link. Raises `RefusedError` if it is missing: then this is not a Flyte server."""
        url = find_link(document, rel, base)
        if url is None:
            raise RefusedError(200, f"link {rel!r} not found at {base}: check that this is a Flyte server")
        return url

    def iter_items(self, url: httpx.URL, list_name: str) -> Iterator[Mapping[str, Any]]:
        """Yield all entries of a list, page by page. Raises `RefusedError` for a response without this list."""
        for _ in range(MAX_PAGES):
            page = self.get_json(url)
            # The original server sends null for an empty list.
            items = page.get(list_name, ...)
            if items is not None and not (isinstance(items, list) and all(isinstance(item, dict) for item in items)):
                raise RefusedError(200, f"list {list_name!r} not found at {url}: check that this is a Flyte server")
            yield from items or ()
            next_url = find_link(page, "next", url)
            if next_url is None:
                return
            if next_url == url:
                raise RefusedError(200, f"the next page of {url} is the same page")
            url = next_url
        raise RefusedError(200, f"more than {MAX_PAGES} pages at {url}")
