"""Flow store of a server over HTTP, for synchronization with files."""

from collections.abc import Mapping
from typing import Any

import httpx

from flow_files.errors import FlowStoreError
from flow_files.sync import SAME, FlowCheck, FlowFinding
from flyte_client.cli.server_api import ServerApi
from flyte_client.errors import RefusedError

BAD_REQUEST, NOT_FOUND, METHOD_NOT_ALLOWED, PRECONDITION_FAILED = 400, 404, 405, 412


class RemoteFlowStore:
    """A server as a `flow_files.sync.FlowStore`."""

    def __init__(self, api: ServerApi) -> None:
        self._api = api
        self._flows_url: httpx.URL | None = None
        self._flow_urls: dict[str, httpx.URL] = {}

    @property
    def flows_url(self) -> httpx.URL:
        """The address of the server's list of flows."""
        if self._flows_url is None:
            self._flows_url = self._api.find_url("listFlows")
        return self._flows_url

    @property
    def dry_run_url(self) -> httpx.URL:
        """The address for dry runs and checks; the original server answers it with an error, and changes nothing."""
        return self.flows_url.copy_with(raw_path=self.flows_url.raw_path + b"/dry-run")

    def check(self, text: str) -> FlowCheck:
        """Return the effect of saving the text."""
        url = self.dry_run_url.copy_merge_params({"check": "true"})
        try:
            preview = self._api.request("POST", url, text.encode(), _content_type_header(text)).json()
        except RefusedError as error:
            if error.status in (NOT_FOUND, METHOD_NOT_ALLOWED):
                raise FlowStoreError(
                    "the server does not support checking flows: it is the original server, or too old"
                ) from None
            if error.status != BAD_REQUEST or not error.errors:
                raise
            return FlowCheck(findings=[_parse_finding("error", item) for item in error.errors])
        findings = [_parse_finding("warning", item) for item in preview["warnings"]]
        return FlowCheck(
            preview["name"], preview["change"], preview.get("version", ""), preview.get("diff", ""), findings
        )

    def names(self) -> list[str]:
        """Return the names of all flows."""
        rows = self._api.iter_items(self.flows_url, "flows")
        self._flow_urls = {str(row.get("name")): self._api.require_link(row, "self", self.flows_url) for row in rows}
        return list(self._flow_urls)

    def text(self, name: str) -> str:
        """Return a flow as text that can be saved again."""
        response = self._api.request("GET", self._find_flow_url(name).copy_merge_params({"text": "true"}))
        if not response.headers.get("Content-Type", "").startswith("text/plain"):
            raise FlowStoreError("the server does not support flows as text: it is the original server, or too old")
        return response.text

    def save(self, text: str, check: FlowCheck, note: str) -> None:
        """Save the flow if its current version is the checked one."""
        if check.change == SAME:
            return
        precondition = {"If-Match": f'"{check.version}"'} if check.version else {"If-None-Match": "*"}
        url = self.flows_url.copy_merge_params({"note": note}) if note else self.flows_url
        try:
            self._api.request("POST", url, text.encode(), _content_type_header(text) | precondition)
        except RefusedError as error:
            if error.status == PRECONDITION_FAILED:
                raise FlowStoreError(f"{check.name}: the flow was changed by someone else; run `diff` again") from None
            raise

    def delete(self, name: str) -> None:
        """Delete the flow; a flow that is already deleted is not an error."""
        try:
            self._api.request("DELETE", self._find_flow_url(name))
        except RefusedError as error:
            if error.status != NOT_FOUND:
                raise

    def _find_flow_url(self, name: str) -> httpx.URL:
        """Return the address of a flow from the links in the list, which is read once."""
        if name not in self._flow_urls and name not in self.names():
            raise RefusedError(NOT_FOUND, f"flow {name!r} not found")
        return self._flow_urls[name]


def _content_type_header(text: str) -> dict[str, str]:
    media_type = "application/json" if text.lstrip().startswith("{") else "application/x-yaml"
    return {"Content-Type": f"{media_type}; charset=utf-8"}


def _parse_finding(kind: str, item: Mapping[str, Any]) -> FlowFinding:
    return FlowFinding(kind, item.get("path", ""), item.get("message", ""), item.get("line", 1), item.get("column", 1))
