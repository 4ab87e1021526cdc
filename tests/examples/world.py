"""A server with the flows of `examples/flows`, and packs controlled by the test, over plain HTTP."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.server import ROOT

FLOWS, DATA = ROOT / "examples" / "flows", ROOT / "examples" / "data"
MEDIA_TYPES = {".json": "application/json", ".yaml": "application/x-yaml"}
SECONDS = 60.0

Links = list[dict[str, str]]
Commands = Mapping[str, list[str]]


def link(links: Links, ending: str) -> str:
    """Return the single link whose rel ends with `rel`."""
    (href,) = [entry["href"] for entry in links if entry["rel"].endswith(ending)]
    return href


class Taken:
    """An action that a pack has taken."""

    def __init__(self, http: httpx.Client, answer: Any) -> None:
        self._http = http
        self._result = link(answer["links"], "/actionResult")
        self.command: str = answer["command"]
        self.input: Any = answer["input"]

    def send_result(self, event: str, payload: Any = None) -> None:
        """Post the result."""
        posted = self._http.post(self._result, json={"event": event, "payload": payload})
        assert posted.status_code == 202, posted.text


class ScriptedPack:
    """A registered pack that the test controls."""

    def __init__(self, http: httpx.Client, answer: Any) -> None:
        self._http = http
        self._event = link(answer["links"], "/event")
        self._take = link(answer["links"], "/takeAction")
        self.id: str = answer["id"]

    def send_event(self, event: str, payload: Any = None) -> None:
        """Post an event."""
        posted = self._http.post(self._event, json={"event": event, "payload": payload})
        assert posted.status_code == 202, posted.text

    def poll(self) -> Taken | None:
        """Take the next action, if any is queued for this pack."""
        answer = self._http.post(self._take)
        if answer.status_code == 204:
            return None
        assert answer.status_code == 200, answer.text
        return Taken(self._http, answer.json())

    def take(self) -> Taken:
        """Take the next action; fail without one."""
        taken = self.poll()
        assert taken is not None, f"no action is queued for {self.id}"
        return taken

    def do(self, event: str, payload: Any = None) -> Any:
        """Take the next action and post this result; return its command and input."""
        taken = self.take()
        taken.send_result(event, payload)
        return taken.command, taken.input


class ExampleClient:
    """A client for the server at `url`."""

    def __init__(self, http: httpx.Client, url: str) -> None:
        self.http = http
        self.links: Links = self.get(f"{url}/v1")["links"]
        self._before = {link(entry["links"], "self") for entry in self._all_executions() + self._all_events()}

    def clear(self) -> None:
        """Delete all flows, packs, items and queued actions."""
        for flow in self._listed("/listFlows", "flows"):
            self.http.delete(flow)
        for item in self._listed("/listDatastoreItems", "datastore"):
            self.http.delete(item)
        for url in self._listed("/listPacks", "packs"):
            pack = ScriptedPack(self.http, self.get(url))
            while pack.poll():
                pass
            self.http.delete(url)

    def _listed(self, ending: str, collection: str) -> list[str]:
        return [link(entry["links"], "self") for entry in self.get(link(self.links, ending))[collection]]

    def get(self, url: str, **query: str) -> Any:
        answer = self.http.get(url, params=query or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def load(self, file: str) -> str:
        """Post a flow of the examples; return the server's warnings, or ''."""
        path = FLOWS / file
        headers = {"content-type": MEDIA_TYPES[path.suffix]}
        posted = self.http.post(link(self.links, "/listFlows"), content=path.read_bytes(), headers=headers)
        assert posted.status_code == 201, posted.text
        return str(posted.headers.get("x-flyte-warning", ""))

    def put(self, key: str, file: str, media_type: str = "application/json") -> None:
        """Put a file of `examples/data` into the datastore."""
        value = (file, (DATA / file).read_bytes(), media_type)
        put = self.http.put(f"{link(self.links, '/listDatastoreItems')}/{key}", files={"value": value})
        assert put.status_code in (201, 204), put.text

    def pack(self, name: str, commands: Commands | None = None, /, **labels: str) -> ScriptedPack:
        """Register a pack; `commands` maps names of commands to their possible result events."""
        declared = [{"name": command, "events": events} for command, events in (commands or {}).items()]
        body = {"name": name, "labels": labels, "commands": declared}
        answer = self.http.post(link(self.links, "/listPacks"), json=body)
        assert answer.status_code == 201, answer.text
        return ScriptedPack(self.http, answer.json())

    def flow(self, name: str) -> Any:
        """Return a loaded flow."""
        return self.get(f"{link(self.links, '/listFlows')}/{name}")

    def executions(self, flow: str = "", **filters: str) -> list[Any]:
        """Return the executions in the audit, of one flow or of all, newest first."""
        return self._new(self._all_executions(flowName=flow, **filters))

    def execution(self, flow: str) -> Any:
        """Return the flow's only execution with its details."""
        (execution,) = self.executions(flow)
        return self.get(link(execution["links"], "self"))

    def outcomes(self, flow: str, event: str) -> Any:
        """Return the outcome of each step for the last event with this name."""
        last = self._new(self._all_events(event=event))[0]
        (outcome,) = [outcome for outcome in last["outcomes"] if outcome["flow"] == flow]
        return {step["stepId"]: step for step in outcome["steps"]}

    def _all_executions(self, **filters: str) -> list[Any]:
        return list(self.get(link(self.links, "/findFlows"), limit="500", **filters)["flows"])

    def _all_events(self, **filters: str) -> list[Any]:
        events = link(self.links, "/findFlows").replace("/audit/flows", "/audit/events")
        return list(self.get(events, limit="500", **filters)["events"])

    def _new(self, entries: list[Any]) -> list[Any]:
        return [entry for entry in entries if link(entry["links"], "self") not in self._before]


def states(execution: Any) -> dict[str, str]:
    """Return the last state of each action by step id."""
    return {step: action["state"]["value"] for step, action in execution["actions"].items()}


def list_states(action: Any) -> list[str]:
    """Return all states of an action."""
    return [state["value"] for state in action["states"]]


def flow_files() -> list[Path]:
    """Return the flow files of `examples/flows`."""
    return sorted(FLOWS.iterdir())


def read(path: Path) -> Any:
    """Parse a YAML or JSON file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))
