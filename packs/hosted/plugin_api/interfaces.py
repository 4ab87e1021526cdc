"""The interfaces of a plugin and its arguments. Source: Flyte's web API plugins (docs/reference/webapi.md)."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from flyte_formats.json_text import NestingError
from packs.hosted.plugin_api.config import PluginConfig
from packs.hosted.plugin_api.errors import UserFailure
from packs.hosted.plugin_api.phases import Phase

ResourceMeta: TypeAlias = Any
"""The identity of a resource at its service, such as an id or a URL. Stored as JSON, so keep it small."""
Resource: TypeAlias = Any
"""The fetched resource, reduced to the input of `status`. Never stored."""

NO_NAMESPACE = "default"


class SecretManager(Protocol):
    """Secrets on the server, from the operator. Never put one into a result, a reason or a message."""

    def get(self, name: str) -> str:
        """Return the secret. Raise `LookupError`."""


class DataStore(Protocol):
    """The server's datastore."""

    def get(self, key: str) -> Any:
        """Return the value: decoded JSON if its content type is JSON, otherwise text. Raise `LookupError`."""

    def put(self, key: str, value: bytes, content_type: str) -> None:
        """Store a value under the key. Raise `UserFailure` if it is too large."""


class MetricsScope(Protocol):
    """Counters in a scope of the plugin; `/metrics` and the pack's page have the sums over all processes."""

    def count(self, name: str, by: int = 1) -> None: ...

    def scope(self, name: str) -> "MetricsScope":
        """Return a scope within this one: the names of its counters begin with `name.`."""


@dataclass(frozen=True)
class PluginSetupContext:
    """The argument of a loader. `config` is the entry's configuration with the operator's overrides."""

    config: Any
    metrics: MetricsScope
    secrets: SecretManager


@dataclass(frozen=True)
class TaskReader:
    """The task: a command for the pack in a step of a flow. `timeout` is the step's, in seconds."""

    type: str
    pack_name: str
    pack_id: str
    timeout: int | None = None


@dataclass(frozen=True)
class TaskExecutionMetadata:
    """The identity of the action. `token` identifies this attempt, and is the same in every call of `create`."""

    token: str
    action_id: str
    attempt: int
    correlation_id: str
    flow_name: str
    step_id: str
    labels: Mapping[str, str]
    taken_at: datetime


@dataclass
class OutputWriter:
    """Payload of the result, for plugins whose final phase has none."""

    max_bytes: int
    value: Any = None
    is_written: bool = False

    def put(self, value: Any) -> None:
        """Set any JSON value. Raise `UserFailure` if it exceeds the size limit."""
        check_result_size(value, self.max_bytes)
        self.value, self.is_written = value, True


@dataclass(frozen=True)
class TaskExecutionContextReader:
    """The argument of `create` and `resource_requirements`."""

    secrets: SecretManager
    task: TaskReader
    input: Any
    metadata: TaskExecutionMetadata
    output: OutputWriter


@dataclass(frozen=True)
class TaskExecutionContext(TaskExecutionContextReader):
    """The argument of `do`: also has the datastore and the maximum size of a result, in bytes of JSON."""

    datastore: DataStore
    max_dataset_size_bytes: int


@dataclass(frozen=True)
class GetContext:
    """The resource to fetch."""

    resource_meta: ResourceMeta


@dataclass(frozen=True)
class DeleteContext:
    """The resource to delete, and the reason: `cancelled`, `timeout`, `failed`, `system failures` …"""

    resource_meta: ResourceMeta
    reason: str


@dataclass(frozen=True)
class StatusContext:
    """A resource as `get` or `create` returned it."""

    resource_meta: ResourceMeta
    resource: Resource


@dataclass(frozen=True)
class ResourceConstraints:
    """Maximum number of resources per flow and per execution; None for no limit."""

    per_flow: int | None = None
    per_execution: int | None = None


@dataclass(frozen=True)
class Requirements:
    """The namespace whose quota the resource counts against, and further constraints."""

    namespace: str = NO_NAMESPACE
    constraints: ResourceConstraints = field(default_factory=ResourceConstraints)


class AsyncPlugin(ABC):
    """A service that starts something and is polled for its status."""

    @abstractmethod
    def get_config(self) -> PluginConfig:
        """Return the configuration."""

    def resource_requirements(self, context: TaskExecutionContextReader) -> Requirements:
        """Return the quota that this task's resource counts against. Makes no calls. Raise `UserFailure`."""
        return Requirements()

    @abstractmethod
    def create(self, context: TaskExecutionContextReader) -> tuple[ResourceMeta, Resource | None]:
        """Create the resource. Called at least once: with the same `context.metadata.token` it must not create another.

        If the service's response contains the resource, return it too: `status` then follows at once. Raise
        `UserFailure` or `Throttled`; any other exception is a system failure and retried.
        """

    @abstractmethod
    def get(self, context: GetContext) -> Resource:
        """Return the resource in its current state. Raises like `create`."""

    @abstractmethod
    def delete(self, context: DeleteContext) -> None:
        """Delete the resource. Called at least once; must not fail if the resource no longer exists."""

    @abstractmethod
    def status(self, context: StatusContext) -> Phase:
        """Return the status of the resource. Makes no calls and does not wait."""

    def find(self, context: TaskExecutionContextReader) -> ResourceMeta | None:
        """Find a resource that `create` may have made although its response was lost, so that it can be deleted; None
        if it does not exist.

        By default, call `create` again: it is idempotent by token. If the service can search by token, override this.
        """
        return self.create(context)[0]


class SyncPlugin(ABC):
    """A service that answers immediately."""

    @abstractmethod
    def get_config(self) -> PluginConfig:
        """Return the configuration."""

    def resource_requirements(self, context: TaskExecutionContextReader) -> Requirements:
        """Return the quota that the call counts against."""
        return Requirements()

    @abstractmethod
    def do(self, context: TaskExecutionContext) -> Phase:
        """Make the call, at least once: after a crash or a system failure it is repeated with the same token."""


Plugin: TypeAlias = AsyncPlugin | SyncPlugin
PluginLoader: TypeAlias = Callable[[PluginSetupContext], Plugin]


@dataclass(frozen=True)
class PluginEntry:
    """The declaration of a plugin, before it is loaded.

    `id` is unique, and the name of the plugin's pack. `supported_task_types` are the pack's commands, `events` their
    possible results. `loader` is called once per process, before any other call. `is_default`: answers commands of
    hosted packs that no other plugin supports; at most one. `default_for_task_types`: commands that it answers if
    several plugins support them; at most one plugin per command.
    """

    id: str
    supported_task_types: Sequence[str]
    loader: PluginLoader
    is_default: bool = False
    default_for_task_types: Sequence[str] = ()
    config: PluginConfig = field(default_factory=PluginConfig)
    events: Mapping[str, Sequence[str]] = field(default_factory=dict)
    progress_events: Sequence[str] = ()


def check_result_size(value: Any, max_bytes: int) -> None:
    """Raise `UserFailure` if the value is not valid JSON or exceeds the size limit."""
    try:
        size = len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except RecursionError:
        raise UserFailure(f"result is {NestingError()}") from None
    except (TypeError, ValueError) as error:
        raise UserFailure(f"result is not valid JSON: {error}") from None
    if size > max_bytes:
        raise UserFailure(f"result of {size} bytes exceeds the limit of {max_bytes} bytes")
