"""Packs and actions on the wire."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from rest_framework import serializers

from flyte_site.rest.documents import TEXT
from flyte_site.rest.fields import InputSerializer, Labels, LinkSerializer, Name, Text
from flyte_site.rest.links import Links
from flyte_site.times import to_text
from packs import queue
from packs.models import Action, Pack, pack_id
from packs.sealed import whole_input

MAX_IDENTITY = 512
RESERVED_RELS = ("self", "up")
RESERVED_ENDINGS = ("/event", "/takeAction", "/actionResult")

# Where YAML's `yes` or `1` is a name or a label (see rest.documents).
TEXT_PLACES: dict[str, Any] = {
    "name": TEXT,
    "labels": {"*": TEXT},
    "commands": {"*": {"name": TEXT, "events": {"*": TEXT}}},
    "events": {"*": {"name": TEXT}},
}


class LinkInput(InputSerializer):
    """A link that a pack brings: usually its documentation."""

    href = Text(max_length=2000)
    rel = Text(max_length=2000)


class CommandInput(InputSerializer):
    """A command that the pack can run, and the events that may come of it."""

    name = Name()
    events = serializers.ListField(child=Name(), allow_null=True, default=None)


class DeclaredEventInput(InputSerializer):
    """An event that the pack may send."""

    name = Name()
    links = serializers.ListField(child=LinkInput(), allow_null=True, default=None)


class PackInput(InputSerializer):
    """A pack that registers. Its id follows from its name and labels."""

    name = Name()
    labels = Labels(allow_null=True, default=dict)
    commands = serializers.ListField(child=CommandInput(), allow_null=True, default=list)
    events = serializers.ListField(child=DeclaredEventInput(), allow_null=True, default=list)
    links = serializers.ListField(child=LinkInput(), allow_null=True, default=list)

    def validate_links(self, links: list[Mapping[str, str]] | None) -> list[Mapping[str, str]]:
        for link in links or []:
            rel = link.get("rel", "")
            if rel in RESERVED_RELS or rel.endswith(RESERVED_ENDINGS):
                raise serializers.ValidationError(f"the rel {rel!r} is the server's own")
        return links or []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        lists = {key: attrs[key] or [] for key in ("commands", "events", "links")}
        values = {"name": attrs["name"], "labels": attrs["labels"] or {}, **lists}
        if len(pack_id(values["name"], values["labels"])) > MAX_IDENTITY:
            raise serializers.ValidationError(f"name and labels together have more than {MAX_IDENTITY} characters")
        return values


class PackSummary(serializers.Serializer[Any]):
    """A pack as lists show it."""

    id = serializers.CharField()
    name = serializers.CharField()
    labels = serializers.DictField(child=serializers.CharField(), required=False)
    lastSeen = serializers.DateTimeField()  # noqa: N815
    status = serializers.ChoiceField(choices=["live", "warning", "critical"])
    links = LinkSerializer(many=True)


class CommandOutput(serializers.Serializer[Any]):
    """A command, with the link to take actions of it alone."""

    name = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField(), allow_null=True)
    links = LinkSerializer(many=True)


class DeclaredEvent(serializers.Serializer[Any]):
    """An event that a pack declared."""

    name = serializers.CharField()
    links = LinkSerializer(many=True, required=False)


class PackOutput(PackSummary):
    """A pack with all that it declared."""

    commands = CommandOutput(many=True, required=False)
    events = DeclaredEvent(many=True, required=False)


class PackList(serializers.Serializer[Any]):
    """A page of packs; a `next` link where there are more."""

    packs = PackSummary(many=True)
    links = LinkSerializer(many=True)


class TakenAction(serializers.Serializer[Any]):
    """An action for the pack that took it; the link takes its result."""

    command = serializers.CharField()
    input = serializers.JSONField(allow_null=True)
    links = LinkSerializer(many=True)


def _identity(pack: Pack) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": pack.identity, "name": pack.name}
    return shown | ({"labels": pack.labels} if pack.labels else {})


def summary(pack: Pack, links: Links) -> dict[str, Any]:
    """`PackSummary` of a pack."""
    own = links.to("self", "v1", "packs", pack.identity)
    return _identity(pack) | {"lastSeen": to_text(pack.last_seen), "links": [own], "status": pack.status}


def detail(pack: Pack, links: Links) -> dict[str, Any]:
    """`PackOutput` of a pack."""
    place = ("v1", "packs", pack.identity)
    shown = _identity(pack)
    if pack.commands:
        shown["commands"] = [_command(command, place, links) for command in pack.commands]
    if pack.events:
        shown["events"] = [{key: event[key] for key in ("name", "links") if event.get(key)} for event in pack.events]
    own = [
        links.to("self", *place),
        links.to("up", "v1", "packs"),
        links.documented("#!/action/takeAction", *place, "actions", "take"),
        links.documented("#/event", *place, "events"),
    ]
    return shown | {"lastSeen": to_text(pack.last_seen), "links": [*pack.links, *own], "status": pack.status}


def _command(command: Mapping[str, Any], place: tuple[str, ...], links: Links) -> dict[str, Any]:
    query = f"commandName={quote(command['name'], safe='')}"
    take = links.documented("#!/action/takeAction", *place, "actions", "take", query=query)
    return {"name": command["name"], "events": command["events"], "links": [take]}


def taken(action: Action, pack: Pack, links: Links) -> dict[str, Any]:
    """`TakenAction` of an action that `pack` has just taken: the one place where its secrets are told."""
    result = links.documented("#/actionResult", *_place(action, pack, "result"), query=_attempt(action))
    return {"command": action.name, "input": whole_input(action), "links": [result]}


def lease(action: Action, pack: Pack, links: Links) -> dict[str, str]:
    """Headers that tell how long a taken action is `pack`'s, and where it can extend that (a link as of RFC 8288).

    Headers, because the body's form is the original's, and nothing is added to that.
    """
    href = links.href(*_place(action, pack, "heartbeat"), query=_attempt(action))
    return {"Link": f'<{href}>; rel="heartbeat"', "Flyte-Lease": str(queue.lease_seconds(action))}


def _place(action: Action, pack: Pack, door: str) -> tuple[str, ...]:
    return ("v1", "packs", pack.identity, "actions", action.id, door)


def _attempt(action: Action) -> str:
    return f"attempt={action.attempt}" if action.attempt > 1 else ""
