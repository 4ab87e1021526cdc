"""What a plugin implements, and what it is given. Source: Flyte's web API plugins (docs/reference/webapi.md)."""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from packs.hosted.plugin_api.config import PluginConfig
from packs.hosted.plugin_api.errors import UserFailure
from packs.hosted.plugin_api.phases import Phase

ResourceMeta: TypeAlias = Any
"""What tells one resource from others at its service; kept as JSON, so small: an id, a URL."""
Resource: TypeAlias = Any
"""What `get` fetched, cut down to what `status` needs. Never kept."""

NO_NAMESPACE = "default"


class SecretManager(Protocol):
    """Secrets that the operator put on the server. Never let one get into a result, a reason or a message."""

    def get(self, name: str) -> str:
        """The secret. Raises `LookupError`."""


class DataStore(Protocol):
    """The server's datastore."""

    def get(self, key: str) -> Any:
        """The value: JSON where its content type says so, else text. Raises `LookupError`."""

    def put(self, key: str, value: bytes, content_type: str) -> None:
        """Keep a value under the key. Raises `UserFailure` where it is too large."""


class MetricsScope(Protocol):
    """Counters under a name of the plugin's own; the sums over all processes can be read by `queries.counts`."""

    def count(self, name: str, by: int = 1) -> None: ...

    def scope(self, name: str) -> "MetricsScope":
        """A scope within this one: its counters are called `name.…`."""


@dataclass(frozen=True)
class PluginSetupContext:
    """What a loader is given. `config` is the entry's own, with what the operator set laid over it."""

    config: Any
    metrics: MetricsScope
    secrets: SecretManager


@dataclass(frozen=True)
class TaskReader:
    """The task: a command for the pack, in a step of a flow. `timeout` is the step's, in seconds."""

    type: str
    pack_name: str
    pack_id: str
    timeout: int | None = None


@dataclass(frozen=True)
class TaskExecutionMetadata:
    """Which action this is. `token` names this attempt at it, and stays the same however often `create` is called."""

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
    """Takes the result's payload, where the phase that ends the action brings none."""

    max_bytes: int
    value: Any = None
    is_written: bool = False

    def put(self, value: Any) -> None:
        """Any JSON value. Raises `UserFailure` where it is larger than the server takes."""
        check_result_size(value, self.max_bytes)
        self.value, self.is_written = value, True


@dataclass(frozen=True)
class TaskExecutionContextReader:
    """What `create` and `resource_requirements` are given."""

    secrets: SecretManager
    task: TaskReader
    input: Any
    metadata: TaskExecutionMetadata
    output: OutputWriter


@dataclass(frozen=True)
class TaskExecutionContext(TaskExecutionContextReader):
    """What `do` is given: the datastore too, and how large a result may be, in bytes of JSON."""

    datastore: DataStore
    max_dataset_size_bytes: int


@dataclass(frozen=True)
class GetContext:
    """Which resource to fetch."""

    resource_meta: ResourceMeta


@dataclass(frozen=True)
class DeleteContext:
    """Which resource to delete, and why: `cancelled`, `timeout`, `lease ended`, `system failures` …"""

    resource_meta: ResourceMeta
    reason: str


@dataclass(frozen=True)
class StatusContext:
    """A resource as `get` or `create` has just brought it."""

    resource_meta: ResourceMeta
    resource: Resource


@dataclass(frozen=True)
class ResourceConstraints:
    """How many resources of one flow, or of one execution, may be there at once; None: no such bound."""

    per_flow: int | None = None
    per_execution: int | None = None


@dataclass(frozen=True)
class Requirements:
    """Which namespace's quota the resource counts against, and what else bounds it."""

    namespace: str = NO_NAMESPACE
    constraints: ResourceConstraints = field(default_factory=ResourceConstraints)


class AsyncPlugin(ABC):
    """A service that is told to begin something, and asked from time to time how it stands."""

    @abstractmethod
    def get_config(self) -> PluginConfig:
        """How the server is to deal with the service."""

    def resource_requirements(self, context: TaskExecutionContextReader) -> Requirements:
        """Which quota this task's resource counts against. Makes no calls. Raises `UserFailure`."""
        return Requirements()

    @abstractmethod
    def create(self, context: TaskExecutionContextReader) -> tuple[ResourceMeta, Resource | None]:
        """Begin it. Called at least once: `context.metadata.token` must make a repeat do nothing new.

        Where the service's answer holds the resource, give that too: `status` is then asked at once. Raises
        `UserFailure`, `Throttled`; anything else is a system failure, and tried again.
        """

    @abstractmethod
    def get(self, context: GetContext) -> Resource:
        """The resource as it is now. Raises like `create`."""

    @abstractmethod
    def delete(self, context: DeleteContext) -> None:
        """End it. Called at least once, and must not fail where there is nothing any more."""

    @abstractmethod
    def status(self, context: StatusContext) -> Phase:
        """How the resource stands. No calls, no waiting."""

    def find(self, context: TaskExecutionContextReader) -> ResourceMeta | None:
        """What `create` may have made although its answer got lost, so that it can be deleted; None: nothing.

        As `create` can be repeated under its token, that is what is done here. A service that can be asked by token
        should be.
        """
        return self.create(context)[0]


class SyncPlugin(ABC):
    """A service that answers at once."""

    @abstractmethod
    def get_config(self) -> PluginConfig:
        """How the server is to deal with the service."""

    def resource_requirements(self, context: TaskExecutionContextReader) -> Requirements:
        """Which quota the call counts against."""
        return Requirements()

    @abstractmethod
    def do(self, context: TaskExecutionContext) -> Phase:
        """Do it, at least once: after a crash or a system failure it is called again, with the same token."""


Plugin: TypeAlias = AsyncPlugin | SyncPlugin
PluginLoader: TypeAlias = Callable[[PluginSetupContext], Plugin]


@dataclass(frozen=True)
class PluginEntry:
    """A plugin as the server knows it before it is loaded.

    `id` is unique, and the name of the plugin's pack. `supported_task_types` are the pack's commands, `events` what may
    come of each. `loader` is called once a process, before anything else is asked of the plugin. `is_default`: it
    answers commands of hosted packs that no plugin names; one at most. `default_for_task_types`: those it answers where
    several plugins name them; one plugin a type at most.
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
    """Raises `UserFailure` where a value is no JSON, or has more bytes as such."""
    try:
        size = len(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserFailure(f"the result is no JSON: {error}") from None
    if size > max_bytes:
        raise UserFailure(f"the result has {size} bytes, and may have {max_bytes}")
