"""A server's flows over HTTP, to be brought in line with files."""

from collections.abc import Mapping
from typing import Any

import httpx

from flyte_client.cli.remote import Remote
from flyte_client.errors import FlyteError, RefusedError
from flyte_client.flow_sync import SAME, Checked, Finding

BAD_INPUT, NOT_FOUND, NOT_ALLOWED, CHANGED_MEANWHILE = 400, 404, 405, 412


class RemoteShelf:
    """A server as a `flyte_client.flow_sync.Shelf`."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._flows: httpx.URL | None = None
        self._links: dict[str, httpx.URL] = {}

    @property
    def flows(self) -> httpx.URL:
        """Where the server lists its flows."""
        if self._flows is None:
            self._flows = self._remote.place("listFlows")
        return self._flows

    @property
    def trials(self) -> httpx.URL:
        """Where flows are tried and checked; the original server has no such place, so that nothing happens there."""
        return self.flows.copy_with(raw_path=self.flows.raw_path + b"/dry-run")

    def check(self, text: str) -> Checked:
        """What saving the text would do."""
        url = self.trials.copy_merge_params({"check": "true"})
        try:
            answer = self._remote.call("POST", url, text.encode(), _content_type(text)).json()
        except RefusedError as error:
            if error.status in (NOT_FOUND, NOT_ALLOWED):
                raise FlyteError("the server can't check flows: it is the original one, or too old") from None
            if error.status != BAD_INPUT or not error.errors:
                raise
            return Checked(findings=[_finding("error", one) for one in error.errors])
        findings = [_finding("warning", one) for one in answer["warnings"]]
        return Checked(answer["name"], answer["change"], answer.get("version", ""), answer.get("diff", ""), findings)

    def names(self) -> list[str]:
        """The names of all flows."""
        rows = self._remote.rows(self.flows, "flows")
        self._links = {str(row.get("name")): self._remote.link(row, "self", self.flows) for row in rows}
        return list(self._links)

    def text(self, name: str) -> str:
        """A flow as a text that can be saved again."""
        answer = self._remote.call("GET", self._own(name).copy_merge_params({"text": "true"}))
        if not answer.headers.get("Content-Type", "").startswith("text/plain"):
            raise FlyteError("the server can't give flows as text: it is the original one, or too old")
        return answer.text

    def save(self, text: str, checked: Checked, note: str) -> None:
        """Save the flow, if it is still on the version that was checked."""
        if checked.change == SAME:
            return
        condition = {"If-Match": f'"{checked.version}"'} if checked.version else {"If-None-Match": "*"}
        url = self.flows.copy_merge_params({"note": note}) if note else self.flows
        try:
            self._remote.call("POST", url, text.encode(), _content_type(text) | condition)
        except RefusedError as error:
            if error.status == CHANGED_MEANWHILE:
                raise FlyteError(f"{checked.name}: somebody has changed it meanwhile; look at `diff` again") from None
            raise

    def delete(self, name: str) -> None:
        """Delete the flow; one that is gone already is fine."""
        try:
            self._remote.call("DELETE", self._own(name))
        except RefusedError as error:
            if error.status != NOT_FOUND:
                raise

    def _own(self, name: str) -> httpx.URL:
        """Where one flow is: as the list links to it, which is read once."""
        if name not in self._links and name not in self.names():
            raise RefusedError(NOT_FOUND, f"there is no flow {name!r}")
        return self._links[name]


def _content_type(text: str) -> dict[str, str]:
    kind = "application/json" if text.lstrip().startswith("{") else "application/x-yaml"
    return {"Content-Type": f"{kind}; charset=utf-8"}


def _finding(kind: str, told: Mapping[str, Any]) -> Finding:
    return Finding(kind, told.get("path", ""), told.get("message", ""), told.get("line", 1), told.get("column", 1))
