"""Changes that turn recorded responses into expected ones: the verbs of the table in `differences`."""

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import yaml

from tests.contract.comparison import JsonText
from tests.contract.recording import PROBLEM, Exchange, ExchangeResponse, recorded

BASE = "http://H"
# Characters that are not escaped in a path segment; a query escapes them.
SEGMENT_SAFE = "!$&'()*+,;=:@"
SOME_TIME = "2026-11-21T05:30:28.849Z"
JSON_TYPE = "application/json; charset=utf-8"
YAML_TYPE = "application/x-yaml; charset=utf-8"


@dataclass
class ConversationState:
    """The effects of the conversation so far, here and in the recording, for later changes."""

    flows: list[Any] = field(default_factory=list)
    payload: Any = None
    only_there: set[str] = field(default_factory=set)
    only_here: dict[str, dict[str, Any]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def learn(self, exchange: Exchange, expected: ExchangeResponse) -> None:
        """Record an exchange once its expected response is known."""
        document = exchange.document()
        if exchange.path.endswith("/events") and isinstance(document, dict):
            self.payload = document.get("payload")
        if exchange.method in ("POST", "PUT"):
            self._learn_creation(exchange, document, expected)

    def _learn_creation(self, exchange: Exchange, document: Any, expected: ExchangeResponse) -> None:
        if exchange.path == "/v1/flows" and expected.status == 201:
            self.flows.append(document)
        if expected.status == 201 and exchange.path.startswith(COLLECTIONS):
            entry = list_entry(exchange, document, expected)
            here = entry["links"][0]["href"]
            self.order.append(here)
            self.only_there.discard(here)
            if exchange.recorded.status != 201:
                self.only_here[here] = entry
        elif exchange.recorded.status == 201 and "Location" in exchange.recorded.headers:
            self.only_there.add(exchange.recorded.headers["Location"])


COLLECTIONS = ("/v1/packs", "/v1/flows", "/v1/datastore")

Change: TypeAlias = Callable[[Exchange, ExchangeResponse, ConversationState], None]
"""A function that changes a response in place, from the recorded one to the expected one."""


def refused(status: int) -> Change:
    """Expect an error; the last row of the table adds the common error format."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        answer.status, answer.body = status, ""
        answer.headers = {name: value for name, value in answer.headers.items() if name == "Allow"}

    return change


def empty(status: int) -> Change:
    """Expect a response without a body."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        answer.status, answer.headers, answer.body = status, {}, ""

    return change


def header(name: str, value: str) -> Change:
    """Expect an additional header, or a different value of it."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        answer.headers[name] = value

    return change


def without(name: str) -> Change:
    """Expect a response without this header."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        answer.headers.pop(name, None)

    return change


def same_as(name: str) -> Change:
    """Expect the recorded response of another exchange."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        other = recorded(name)
        answer.status, answer.headers, answer.body = other.status, other.headers, other.body

    return change


def both(*changes: Change) -> Change:
    """Apply several changes in this order."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        for part in changes:
            part(exchange, answer, state)

    return change


def with_base_url(wrong: str, right: str) -> Change:
    """Expect links that start with `right` instead of `wrong`."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        answer.body = json.loads(json.dumps(answer.body).replace(wrong, right))

    return change


def head_of(name: str) -> Change:
    """Expect the status and headers of the recorded GET `name`, for HEAD."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        answer.status, answer.headers, answer.body = 200, recorded(name).headers, ""

    return change


def registered(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect an accepted pack: 201, its document and links."""
    posted = yaml.load(exchange.request_body or "", yaml.BaseLoader)  # noqa: S506 - all values stay text
    labels = posted.get("labels", {})
    pack_id = ".".join([posted["name"], *(part for label in sorted(labels.items()) for part in label)])
    answer.status = 201
    answer.headers = {"Location": href("packs", pack_id), "Content-Type": JSON_TYPE}
    answer.body = pack(pack_id, posted["name"], labels, posted.get("links", []))


def with_requested_type(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect the requested content type."""
    if answer.status == 201:
        answer.headers["Content-Type"] = (
            YAML_TYPE if "yaml" in exchange.request_headers.get("Accept", "") else JSON_TYPE
        )


def pack_found(pack_id: str) -> Change:
    """Expect a pack without commands, events and labels."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        answer.status, answer.headers, answer.body = 200, {"Content-Type": JSON_TYPE}, pack(pack_id, pack_id, {}, [])

    return change


def flow_saved(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect an accepted flow: 201, no body."""
    answer.status, answer.headers, answer.body = 201, {"Location": href("flows", exchange.document()["name"])}, ""


def flow_found(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect the flow in the path, as last posted."""
    flow_href = BASE + exchange.path
    flow = next(flow for flow in reversed(state.flows) if href("flows", flow["name"]) == flow_href)
    entries = {key: deepcopy(value) for key, value in flow.items() if value != []}
    help_link = {"href": f"{BASE}/swagger#/flow", "rel": "help"}
    links = [{"href": flow_href, "rel": "self"}, link("up", "flows"), help_link]
    answer.status, answer.headers, answer.body = 200, {"Content-Type": JSON_TYPE}, entries | {"links": links}


def pack(pack_id: str, name: str, labels: dict[str, str], own_links: list[Any]) -> dict[str, Any]:
    """Build the response with a pack without commands and events."""
    links = [
        *own_links,
        link("self", "packs", pack_id),
        link("up", "packs"),
        link(f"{BASE}/swagger#!/action/takeAction", "packs", pack_id, "actions", "take"),
        link(f"{BASE}/swagger#/event", "packs", pack_id, "events"),
    ]
    body: dict[str, Any] = {"id": pack_id, "name": name, "lastSeen": SOME_TIME, "links": links, "status": "live"}
    return body | ({"labels": labels} if labels else {})


def href(*segments: str) -> str:
    """Build the URL of a path under `/v1` from its unescaped segments."""
    return "/".join([BASE, "v1", *(quote(segment, safe=SEGMENT_SAFE) for segment in segments)])


def link(rel: str, *segments: str) -> dict[str, str]:
    """Build a link to a path under `/v1`."""
    return {"href": href(*segments), "rel": rel}


def list_entry(exchange: Exchange, document: Any, expected: ExchangeResponse) -> dict[str, Any]:
    """Build the list entry of a created object."""
    if exchange.path == "/v1/packs":
        entries = {key: value for key, value in expected.body.items() if key not in ("links", "commands", "events")}
        return entries | {"links": [link("self", "packs", expected.body["id"])]}
    if exchange.path == "/v1/flows":
        entries = {key: document[key] for key in ("name", "description") if key in document}
        return entries | {"links": [link("self", "flows", document["name"])]}
    key = unquote(exchange.path.removeprefix("/v1/datastore/"))
    content_type = re.search(r"(?m)^Content-Type: ([^\r]*)", exchange.request_body or "")
    return {
        "key": key,
        "contentType": content_type[1] if content_type else "text/plain",
        "links": [link("self", "datastore", key)],
    }


def with_created_entries(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect a list of the objects created here: packs and flows sorted by bytes, items in the order of creation."""
    kind = exchange.path.rpartition("/")[2]
    entries = [entry for entry in answer.body[kind] if entry["links"][0]["href"] not in state.only_there]
    collection = f"{href(kind)}/"
    extra = [entry for own_href, entry in state.only_here.items() if own_href.startswith(collection)]
    listed_hrefs = {entry["links"][0]["href"] for entry in entries}
    entries += [deepcopy(entry) for entry in extra if entry["links"][0]["href"] not in listed_hrefs]
    if kind == "datastore":
        entries.sort(key=lambda entry: state.order.index(entry["links"][0]["href"]))
    else:
        entries.sort(key=lambda entry: entry.get("id", entry["name"]).encode())
    answer.body[kind] = entries


def missing_if_refused(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect 404 for an object that the original created and this server refused."""
    if f"{BASE}{exchange.path}" in state.only_there and exchange.path not in COLLECTIONS:
        refused(404)(exchange, answer, state)


def escaped(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect escaped names in every href and in `Location`."""
    for owner in objects(answer.body):
        for name in (owner.get(key) for key in ("id", "name", "key")):
            for entry_link in owner.get("links", []):
                entry_link["href"] = _escaped(entry_link["href"], name)
    document = exchange.document()
    named = answer.body.get("id") if isinstance(answer.body, dict) else (document or {}).get("name")
    if "Location" in answer.headers:
        answer.headers["Location"] = _escaped(answer.headers["Location"], named)


def _escaped(address: str, name: Any) -> str:
    if not isinstance(name, str) or "links" in name:
        return address
    before, mark, query = address.partition("?commandName=")
    return before.replace(f"/{name}", f"/{quote(name, safe=SEGMENT_SAFE)}") + mark + quote(query, safe="")


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object in a value, including itself."""
    if isinstance(value, dict):
        yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in list(children):
        yield from objects(child)


def replace_in_texts(value: Any, pattern: str, replacement: str) -> Any:
    """Replace a regular expression in all texts of a value, except keys."""
    if isinstance(value, str):
        return re.sub(pattern, replacement, value)
    if isinstance(value, list):
        return [replace_in_texts(item, pattern, replacement) for item in value]
    if isinstance(value, dict):
        return {key: replace_in_texts(item, pattern, replacement) for key, item in value.items()}
    return value


def keys_renamed(names: dict[str, str]) -> Change:
    """Expect renamed keys of a command's input."""

    def change(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
        for owner in objects(answer.body):
            if isinstance(owner.get("input"), dict):
                owner["input"] = {names.get(key, key): value for key, value in owner["input"].items()}

    return change


def whole_numbers_print_as_such(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect 5 instead of `5.000000`."""
    answer.body = replace_in_texts(answer.body, r"(\d)\.000000\b", r"\1")


def numbers_exact(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect numbers that a 64-bit float can't represent, and minus zero, as posted."""
    posted = {"big": 9007199254740993, "neg": -0.0}
    rounded = {9007199254740992: 9007199254740993, 12345678901234567000: 12345678901234567890}
    for owner in objects(answer.body):
        if owner.get("big") in rounded:
            owner["big"] = rounded[owner["big"]]
        if owner.get("neg") == 0:
            owner["neg"] = posted["neg"]


def maps_print_as_json(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect compact JSON for a map or list in a text: the event's payload and a datastore list."""
    for owner in objects(answer.body):
        command_input = owner.get("input")
        if isinstance(command_input, dict):
            payload = owner["trigger"].get("payload") if "trigger" in owner else state.payload
            values = {"<map[string]interface {} Value>": payload, "<[]interface {} Value>": [1, 2]}
            for key, text in command_input.items():
                if isinstance(text, str) and text in values:
                    command_input[key] = JsonText(values[text])


def nulls_kept(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect the nulls of a command's input in the action."""
    commands = [step["command"].get("input") for flow in state.flows for step in flow.get("steps") or []]
    with_nulls = [
        command_input
        for command_input in commands
        if isinstance(command_input, dict) and _without_nulls(command_input) != command_input
    ]
    for owner in objects(answer.body):
        if isinstance(owner.get("input"), dict):
            for command_input in with_nulls:
                if _keys(_without_nulls(command_input)) == _keys(owner["input"]):
                    _add_nulls(owner["input"], command_input)


def _without_nulls(command_input: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_nulls(value) if isinstance(value, dict) else value
        for key, value in command_input.items()
        if value is not None
    }


def _keys(command_input: dict[str, Any]) -> Any:
    return {key: _keys(value) if isinstance(value, dict) else None for key, value in command_input.items()}


def _add_nulls(target: dict[str, Any], command_input: dict[str, Any]) -> None:
    for key, value in command_input.items():
        if value is None:
            target[key] = None
        elif isinstance(value, dict):
            _add_nulls(target[key], value)


def problem(exchange: Exchange, answer: ExchangeResponse, state: ConversationState) -> None:
    """Expect the common error format."""
    if answer.status >= 400 and exchange.method != "HEAD":
        answer.headers["Content-Type"] = "application/problem+json"
        answer.body = PROBLEM
