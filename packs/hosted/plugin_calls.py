"""Calls of plugins: their arguments and results. Runs in threads and does not access the plugin's rows."""

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
from datastore.service import ItemUpdate, SecretTooLargeError, get_key_error, put_item
from flyte_site.auth.activity_log import VIA_JOB, Actor
from flyte_site.core.secrets.encryption import NoEncryptionKeysError
from packs.hosted.plugin_api.errors import UserFailure
from packs.hosted.plugin_api.interfaces import (
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
from packs.hosted.plugin_api.phases import Phase
from packs.hosted.runtime import PluginRuntime
from packs.models import Action
from packs.queue.action_secrets import input_with_secrets


class CallKind(StrEnum):
    """The method of the plugin to call. All but `get` count against the write rate."""

    CREATE = "create"
    DO = "do"
    GET = "get"
    FIND = "find"
    DELETE = "delete"


@dataclass(frozen=True)
class CallResult:
    """The result of a call: the meta as JSON (of `create` and `find`), and the phase of the resource if it is known."""

    meta: Any = None
    phase: Phase | None = None


@dataclass(frozen=True)
class PluginDatastore:
    """The server's datastore for plugins. `actor` appears in the activity log of values that it puts."""

    actor: str

    def get(self, key: str) -> Any:
        """Return the value of the key."""
        return get_value(key)

    def put(self, key: str, value: bytes, content_type: str) -> None:
        """Store a value under the key."""
        if problem := get_key_error(key) if key else "must not be empty":
            raise UserFailure(f"invalid key {key[:80]!r}: {problem}")
        if len(value) > (max_bytes := settings.FLYTE_MAX_DATASTORE_VALUE_BYTES):
            raise UserFailure(f"value of {len(value)} bytes exceeds the datastore's limit of {max_bytes} bytes")
        try:
            put_item(Actor(self.actor, VIA_JOB), key, ItemUpdate(value, content_type[:255]))
        except (NoEncryptionKeysError, SecretTooLargeError) as error:
            raise UserFailure(f"can't store secret item {key!r}: {error}") from None


def build_context(runtime: PluginRuntime, action: Action, attempt: int, taken_at: datetime) -> TaskExecutionContext:
    """Build the argument of `create` and `do` for an attempt at an action."""
    max_bytes = settings.FLYTE_MAX_RESULT_BYTES
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
        secrets=runtime.secrets,
        task=TaskReader(action.name, action.pack_name, action.claimed_by, action.timeout),
        input=input_with_secrets(action),
        metadata=metadata,
        output=OutputWriter(max_bytes),
        datastore=PluginDatastore(f"hosted pack {runtime.id}"),
        max_dataset_size_bytes=max_bytes,
    )


def prepare_call(
    runtime: PluginRuntime, kind: CallKind, meta: Any, reason: str, context: TaskExecutionContext | None
) -> Callable[[], CallResult]:
    """Return the call as a function for a thread; it raises the plugin's exceptions."""

    def run_call() -> CallResult:
        try:
            return _run_call(runtime, kind, meta, reason, context)
        finally:
            if runtime.config.caching.workers:
                connection.close()  # a plugin may have used the datastore

    return run_call


def _run_call(
    runtime: PluginRuntime, kind: CallKind, meta: Any, reason: str, context: TaskExecutionContext | None
) -> CallResult:
    plugin = runtime.get_plugin()
    if isinstance(plugin, SyncPlugin):
        return CallResult(phase=_with_output(plugin.do(_require_context(context)), _require_context(context)))
    if kind is CallKind.CREATE:
        return _run_create(plugin, _require_context(context))
    if kind is CallKind.FIND:
        return CallResult(meta=serialize_meta(plugin.find(_require_context(context))))
    typed_meta = deserialize_meta(runtime.config.resource_meta, meta)
    if kind is CallKind.DELETE:
        plugin.delete(DeleteContext(typed_meta, reason))
        return CallResult()
    resource = plugin.get(GetContext(typed_meta))
    return CallResult(phase=plugin.status(StatusContext(typed_meta, resource)))


def _run_create(plugin: AsyncPlugin, context: TaskExecutionContext) -> CallResult:
    """Return the meta and, if the service returned the resource, its phase."""
    meta, resource = plugin.create(context)
    stored_meta = serialize_meta(meta)
    phase = None if resource is None else _with_output(plugin.status(StatusContext(meta, resource)), context)
    return CallResult(stored_meta, phase)


def _require_context(context: TaskExecutionContext | None) -> TaskExecutionContext:
    if context is None:
        raise LookupError("action not found")
    return context


def _with_output(phase: Phase, context: TaskExecutionContext) -> Phase:
    """Return the phase with the payload that the plugin wrote to `output`, unless it has its own."""
    if phase.is_final and phase.payload is None and context.output.is_written:
        return dataclasses.replace(phase, payload=context.output.value)
    return phase


def serialize_meta(meta: ResourceMeta) -> Any:
    """Return the meta as JSON. Raise `TypeError` if that is impossible."""
    if dataclasses.is_dataclass(meta) and not isinstance(meta, type):
        meta = dataclasses.asdict(meta)
    return json.loads(json.dumps(meta))


def deserialize_meta(meta_type: type[Any], meta: Any) -> ResourceMeta:
    """Return the meta in the type of the plugin's configuration."""
    return meta_type(**meta) if dataclasses.is_dataclass(meta_type) else meta
