"""A server with the flows of `examples/flows` in it, and packs that do as a test says; plain HTTP, along the links."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.server import ROOT

FLOWS = ROOT / "examples" / "flows"
MEDIA_TYPES = {".json": "application/json", ".yaml": "application/x-yaml"}
SECONDS = 60.0

Links = list[dict[str, str]]
Commands = Mapping[str, list[str]]


def link(links: Links, ending: str) -> str:
    """The one link whose rel ends so."""
    (href,) = [one["href"] for one in links if one["rel"].endswith(ending)]
    return href


class Taken:
    """An action that a pack has taken."""

    def __init__(self, http: httpx.Client, answer: Any) -> None:
        self._http = http
        self._result = link(answer["links"], "/actionResult")
        self.command: str = answer["command"]
        self.input: Any = answer["input"]

    def give(self, event: str, payload: Any = None) -> None:
        """Posts the result."""
        posted = self._http.post(self._result, json={"event": event, "payload": payload})
        assert posted.status_code == 202, posted.text


class ScriptedPack:
    """A registered pack that does nothing by itself."""

    def __init__(self, http: httpx.Client, answer: Any) -> None:
        self._http = http
        self._event = link(answer["links"], "/event")
        self._take = link(answer["links"], "/takeAction")
        self.id: str = answer["id"]

    def tell(self, event: str, payload: Any = None) -> None:
        """Posts an event."""
        posted = self._http.post(self._event, json={"event": event, "payload": payload})
        assert posted.status_code == 202, posted.text

    def poll(self) -> Taken | None:
        """Takes the next action, if any waits for this pack."""
        answer = self._http.post(self._take)
        if answer.status_code == 204:
            return None
        assert answer.status_code == 200, answer.text
        return Taken(self._http, answer.json())

    def take(self) -> Taken:
        """Takes the next action; there must be one."""
        taken = self.poll()
        assert taken is not None, f"nothing waits for {self.id}"
        return taken

    def do(self, event: str, payload: Any = None) -> Any:
        """Takes the next action and ends it with this event. Its command and its input."""
        taken = self.take()
        taken.give(event, payload)
        return taken.command, taken.input


class World:
    """The server at `url`, as its users and packs see it."""

    def __init__(self, http: httpx.Client, url: str) -> None:
        self.http = http
        self.links: Links = self.get(f"{url}/v1")["links"]
        self._before = {link(one["links"], "self") for one in self._all_executions() + self._all_events()}

    def clear(self) -> None:
        """Leaves nothing in the server that another test could notice: no flow, pack, item, nothing that waits."""
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
        return [link(one["links"], "self") for one in self.get(link(self.links, ending))[collection]]

    def get(self, url: str, **query: str) -> Any:
        answer = self.http.get(url, params=query or None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def load(self, file: str) -> str:
        """Posts a flow of the examples. What the server warns of, else empty."""
        path = FLOWS / file
        headers = {"content-type": MEDIA_TYPES[path.suffix]}
        posted = self.http.post(link(self.links, "/listFlows"), content=path.read_bytes(), headers=headers)
        assert posted.status_code == 201, posted.text
        return str(posted.headers.get("x-flyte-warning", ""))

    def put(self, key: str, file: str, media_type: str = "application/json") -> None:
        """Puts a file of the examples into the datastore."""
        value = (file, (FLOWS / file).read_bytes(), media_type)
        put = self.http.put(f"{link(self.links, '/listDatastoreItems')}/{key}", files={"value": value})
        assert put.status_code in (201, 204), put.text

    def pack(self, name: str, commands: Commands | None = None, /, **labels: str) -> ScriptedPack:
        """Registers a pack; `commands` are names of commands, each with the events that may come of it."""
        declared = [{"name": command, "events": events} for command, events in (commands or {}).items()]
        body = {"name": name, "labels": labels, "commands": declared}
        answer = self.http.post(link(self.links, "/listPacks"), json=body)
        assert answer.status_code == 201, answer.text
        return ScriptedPack(self.http, answer.json())

    def flow(self, name: str) -> Any:
        """A flow that was loaded."""
        return self.get(f"{link(self.links, '/listFlows')}/{name}")

    def executions(self, flow: str = "", **filters: str) -> list[Any]:
        """The executions in the audit, of one flow or of all, newest first."""
        return self._new(self._all_executions(flowName=flow, **filters))

    def execution(self, flow: str) -> Any:
        """The flow's only execution, as its own page in the audit shows it."""
        (found,) = self.executions(flow)
        return self.get(link(found["links"], "self"))

    def outcomes(self, flow: str, event: str) -> Any:
        """What the flow made of the last event of this name: step ids, each with its outcome in the audit."""
        last = self._new(self._all_events(event=event))[0]
        (outcome,) = [one for one in last["outcomes"] if one["flow"] == flow]
        return {step["stepId"]: step for step in outcome["steps"]}

    def _all_executions(self, **filters: str) -> list[Any]:
        return list(self.get(link(self.links, "/findFlows"), limit="500", **filters)["flows"])

    def _all_events(self, **filters: str) -> list[Any]:
        events = link(self.links, "/findFlows").replace("/audit/flows", "/audit/events")
        return list(self.get(events, limit="500", **filters)["events"])

    def _new(self, found: list[Any]) -> list[Any]:
        return [one for one in found if link(one["links"], "self") not in self._before]


def states(execution: Any) -> dict[str, str]:
    """The last state of each action by step id."""
    return {step: action["state"]["value"] for step, action in execution["actions"].items()}


def walked(action: Any) -> list[str]:
    """All states that an action went through."""
    return [state["value"] for state in action["states"]]


def flow_files() -> list[Path]:
    """The files of `examples/flows` that hold flows."""
    return [path for path in sorted(FLOWS.iterdir()) if "steps" in read(path)]


def read(path: Path) -> Any:
    """The value in a YAML or JSON file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))
