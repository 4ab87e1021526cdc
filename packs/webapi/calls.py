"""Calls of plugins: what each is given, and what it gave. Runs in threads, and knows no rows."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import connection

from datastore.lookup import get_value
from datastore.saving import ItemUpdate, SecretTooLargeError, get_key_error, put_item
from flyte_site.changes import JOB, Actor
from flyte_site.encryption import NoKeysError
from packs.models import Action
from packs.sealed import whole_input
from packs.webapi.errors import UserFailure
from packs.webapi.hosts import Host
from packs.webapi.interfaces import (
    AsyncPlugin,
    DeleteContext,
    GetContext,
    OutputWriter,
    ResourceMeta,
    StatusContext,
    SyncPlugin,
    TaskExecutionContext,
    TaskExecutionMetadata,
    TaskReader,
)
from packs.webapi.phases import Phase


class Kind(StrEnum):
    """What a plugin is asked for. All but `get` count against the write rate."""

    CREATE = "create"
    DO = "do"
    GET = "get"
    FIND = "find"
    DELETE = "delete"


@dataclass(frozen=True)
class Answer:
    """What a call gave: the meta as JSON (of `create` and `find`), and how the resource stands, if that is known."""

    meta: Any = None
    phase: Phase | None = None


@dataclass(frozen=True)
class Datastore:
    """The server's datastore, as plugins see it. `actor` is who stands in the history of what is put."""

    actor: str

    def get(self, key: str) -> Any:
        """The value under the key."""
        return get_value(key)

    def put(self, key: str, value: bytes, content_type: str) -> None:
        """Keep a value under the key."""
        if not key or (fault := get_key_error(key)):
            raise UserFailure(f"the key {key[:80]!r} {fault if key else 'is empty'}")
        if len(value) > settings.FLYTE_MAX_DATASTORE_VALUE_BYTES:
            raise UserFailure(f"the value has {len(value)} bytes: more than the datastore takes")
        try:
            put_item(Actor(self.actor, JOB), key, ItemUpdate(value, content_type[:255]))
        except (NoKeysError, SecretTooLargeError) as error:
            raise UserFailure(f"the item {key!r} is secret, and can't be put: {error}") from None


def context_of(host: Host, action: Action, attempt: int, taken_at: datetime) -> TaskExecutionContext:
    """What `create` and `do` are given for an attempt at an action."""
    most = settings.FLYTE_MAX_BODY_BYTES
    metadata = TaskExecutionMetadata(
        token=f"{action.id}-{attempt}",
        action_id=action.id,
        attempt=attempt,
        correlation_id=action.correlation_id,
        flow_name=action.flow_name,
        step_id=action.step_id,
        labels=action.pack_labels,
        taken_at=taken_at,
    )
    return TaskExecutionContext(
        secrets=host.secrets,
        task=TaskReader(action.name, action.pack_name, action.holder, action.timeout),
        input=whole_input(action),
        metadata=metadata,
        output=OutputWriter(most),
        datastore=Datastore(f"hosted pack {host.id}"),
        max_dataset_size_bytes=most,
    )


def call(host: Host, kind: Kind, meta: Any, reason: str, context: TaskExecutionContext | None) -> Callable[[], Answer]:
    """The call as something to be done in a thread; raises what the plugin raises."""

    def work() -> Answer:
        try:
            return _call(host, kind, meta, reason, context)
        finally:
            if host.config.caching.workers:
                connection.close()  # a plugin may have used the datastore

    return work


def _call(host: Host, kind: Kind, meta: Any, reason: str, context: TaskExecutionContext | None) -> Answer:
    plugin = host.plugin()
    if isinstance(plugin, SyncPlugin):
        return Answer(phase=_written(plugin.do(_given(context)), _given(context)))
    if kind is Kind.CREATE:
        return _create(plugin, _given(context))
    if kind is Kind.FIND:
        return Answer(meta=stored(plugin.find(_given(context))))
    restored = restore(host.config.resource_meta, meta)
    if kind is Kind.DELETE:
        plugin.delete(DeleteContext(restored, reason))
        return Answer()
    resource = plugin.get(GetContext(restored))
    return Answer(phase=plugin.status(StatusContext(restored, resource)))


def _create(plugin: AsyncPlugin, context: TaskExecutionContext) -> Answer:
    """The meta; and, where the service told it at once, how the resource stands."""
    meta, resource = plugin.create(context)
    kept = stored(meta)
    phase = None if resource is None else _written(plugin.status(StatusContext(meta, resource)), context)
    return Answer(kept, phase)


def _given(context: TaskExecutionContext | None) -> TaskExecutionContext:
    if context is None:
        raise LookupError("the action is gone")
    return context


def _written(phase: Phase, context: TaskExecutionContext) -> Phase:
    """The phase with the payload that the plugin wrote to `output`, where it brings none of its own."""
    if phase.ends and phase.payload is None and context.output.written:
        return dataclasses.replace(phase, payload=context.output.value)
    return phase


def stored(meta: ResourceMeta) -> Any:
    """The meta as JSON. Raises `TypeError` where it can't be."""
    if dataclasses.is_dataclass(meta) and not isinstance(meta, type):
        meta = dataclasses.asdict(meta)
    return json.loads(json.dumps(meta))


def restore(kind: type[Any], meta: Any) -> ResourceMeta:
    """The meta in the type of the plugin's configuration."""
    return kind(**meta) if dataclasses.is_dataclass(kind) else meta
