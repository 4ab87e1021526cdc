"""Packs and actions in the REST API."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from rest_framework import serializers

from flyte_site.core.dot_segments import get_dot_segment_error
from flyte_site.http.input.fields import (
    InputSerializer,
    LabelsField,
    LinkSerializer,
    ListInputField,
    NameField,
    StrictTextField,
)
from flyte_site.http.input.parsing import STRING
from flyte_site.http.output.links import Link, LinkBuilder
from flyte_site.http.output.serializers import (
    LinksField,
    OutputContext,
    OutputSerializer,
    StringMapField,
    TimestampField,
)
from packs.models import Action, Pack, build_pack_id
from packs.queue.action_secrets import input_with_secrets
from packs.queue.leases import lease_seconds

MAX_IDENTITY_LENGTH = 512
RESERVED_RELS = ("self", "up")
RESERVED_REL_SUFFIXES = ("/event", "/takeAction", "/actionResult")

# Fields in which YAML's `yes` or `1` is text (see `flyte_site.http.input.parsing`).
STRING_FIELDS: dict[str, Any] = {
    "name": STRING,
    "labels": {"*": STRING},
    "commands": {"*": {"name": STRING, "events": {"*": STRING}}},
    "events": {"*": {"name": STRING}},
}


class LinkInput(InputSerializer):
    """A link of a pack, usually to its documentation."""

    href = StrictTextField(max_length=2000)
    rel = StrictTextField(max_length=2000)


class CommandInput(InputSerializer):
    """A command that the pack can run, and its possible result events."""

    name = NameField()
    events = ListInputField(child=NameField(), allow_null=True, default=None)


class DeclaredEventInput(InputSerializer):
    """An event that the pack may send."""

    name = NameField()
    links = ListInputField(child=LinkInput(), allow_null=True, default=None)


class PackInput(InputSerializer):
    """A pack to register. Its id is built from its name and labels."""

    name = NameField()
    labels = LabelsField(allow_null=True, default=dict)
    commands = ListInputField(child=CommandInput(), allow_null=True, default=list)
    events = ListInputField(child=DeclaredEventInput(), allow_null=True, default=list)
    links = ListInputField(child=LinkInput(), allow_null=True, default=list)

    def validate_name(self, name: str) -> str:
        if error := get_dot_segment_error(name):
            raise serializers.ValidationError(error)
        return name

    def validate_links(self, links: list[Mapping[str, str]] | None) -> list[Mapping[str, str]]:
        for link in links or []:
            rel = link.get("rel", "")
            if rel in RESERVED_RELS or rel.endswith(RESERVED_REL_SUFFIXES):
                raise serializers.ValidationError(f"rel {rel!r} is reserved for the server")
        return links or []

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        lists = {key: attrs[key] or [] for key in ("commands", "events", "links")}
        values = {"name": attrs["name"], "labels": attrs["labels"] or {}, **lists}
        if len(build_pack_id(values["name"], values["labels"])) > MAX_IDENTITY_LENGTH:
            raise serializers.ValidationError(
                f"name and labels together exceed the limit of {MAX_IDENTITY_LENGTH} characters"
            )
        return values


class PackIdentity(OutputSerializer):
    """The identity of a pack."""

    id = serializers.CharField(source="identity")
    name = serializers.CharField()
    labels = StringMapField(required=False)


class PackSummary(PackIdentity):
    """A pack of the list."""

    lastSeen = TimestampField(source="last_seen")  # noqa: N815
    links = LinksField()
    status = serializers.ChoiceField(choices=["live", "warning", "critical"])

    def get_links(self, pack: Pack, context: OutputContext) -> list[Link]:
        return [context.links.to("self", "v1", "packs", pack.identity)]


class CommandOutput(OutputSerializer):
    """A command, with a link to take only its actions."""

    name = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField(), allow_null=True)
    links = LinksField()

    def get_links(self, command: Mapping[str, Any], context: OutputContext) -> list[Link]:
        pack: Pack = context.values["pack"]
        path = ("v1", "packs", pack.identity, "actions", "take")
        query = f"commandName={quote(command['name'], safe='')}"
        return [context.links.documented("#!/action/takeAction", *path, query=query)]


class DeclaredEvent(OutputSerializer):
    """An event that a pack declared."""

    name = serializers.CharField()
    links = LinkSerializer(many=True, required=False)

    def render(self, instance: Mapping[str, Any], context: OutputContext) -> dict[str, Any]:
        return self.render_document({key: value for key, value in instance.items() if value}, context)


class PackOutput(PackIdentity):
    """A pack with its declaration."""

    commands = CommandOutput(many=True, required=False)
    events = DeclaredEvent(many=True, required=False)
    lastSeen = TimestampField(source="last_seen")  # noqa: N815
    links = LinksField()
    status = serializers.ChoiceField(choices=["live", "warning", "critical"])

    def get_links(self, pack: Pack, context: OutputContext) -> list[Link]:
        path = ("v1", "packs", pack.identity)
        return [
            *pack.links,
            context.links.to("self", *path),
            context.links.to("up", "v1", "packs"),
            context.links.documented("#!/action/takeAction", *path, "actions", "take"),
            context.links.documented("#/event", *path, "events"),
        ]


class PackList(OutputSerializer):
    """A page of packs, with a `next` link if there are more."""

    links = LinkSerializer(many=True)
    packs = PackSummary(many=True)


class TakenAction(OutputSerializer):
    """An action for the pack that took it, with a link for its result.

    `serialize_taken_action` renders it, because packs take actions all the time; a test compares both.
    """

    command = serializers.CharField(source="name")
    input = serializers.JSONField(allow_null=True)
    links = LinksField()

    def get_links(self, action: Action, context: OutputContext) -> list[Link]:
        url, query = _build_action_url(action, context.values["pack"], context.links)
        return [_build_result_link(url, query, context.links)]


def serialize_taken_action(action: Action, pack: Pack, links: LinkBuilder) -> tuple[dict[str, Any], dict[str, str]]:
    """Return `TakenAction` data for the pack that took the action, and headers with its lease.

    It is the only response that contains the action's secrets. The headers have the link to extend the lease (RFC
    8288); they are headers because the body has the format of the original and gets no additional fields.
    """
    seconds = lease_seconds(action)
    url, query = _build_action_url(action, pack, links)
    command_input = action.input if action.secrets is None else input_with_secrets(action)
    data = {"command": action.name, "input": command_input, "links": [_build_result_link(url, query, links)]}
    return data, {"Link": f'<{url}/heartbeat{query}>; rel="heartbeat"', "Flyte-Lease": str(seconds)}


def _build_action_url(action: Action, pack: Pack, links: LinkBuilder) -> tuple[str, str]:
    """Return the URL of the action without the resource, and the query for its attempt."""
    url = links.href("v1", "packs", pack.identity, "actions", action.id)
    return url, f"?attempt={action.attempt}" if action.attempt > 1 else ""


def _build_result_link(action_url: str, query: str, links: LinkBuilder) -> Link:
    return {"href": f"{action_url}/result{query}", "rel": f"{links.base}/swagger#/actionResult"}
