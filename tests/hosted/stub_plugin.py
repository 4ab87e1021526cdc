"""A service in this process with a journal, a plugin for it, and rounds that tests start."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.db.models import F

from flows.engine.jobs import HostedResults
from packs.hosted.catalog import Catalog
from packs.hosted.plugin_api.config import CachingConfig, PluginConfig, RateLimiterConfig
from packs.hosted.plugin_api.interfaces import (
    AsyncPlugin,
    DeleteContext,
    GetContext,
    PluginEntry,
    PluginSetupContext,
    Requirements,
    ResourceConstraints,
    StatusContext,
    TaskExecutionContextReader,
)
from packs.hosted.plugin_api.phases import Phase, failure, running, success
from packs.hosted.plugins.file_secrets import FileSecretManager
from packs.hosted.runtime import PluginRuntime
from packs.hosted_registry import HostedRegistry
from packs.models import Action, HostedResource
from tests.flows import builders as b

FAST = RateLimiterConfig(qps=1000, burst=100_000)
INLINE = PluginConfig(
    resource_quotas={},
    read_rate_limiter=FAST,
    write_rate_limiter=FAST,
    caching=CachingConfig(workers=0, max_system_failures=3),
)


@dataclass
class Service:
    """Jobs by token. A function in `answers` is called for its call and may raise; `journal` lists all calls."""

    jobs: dict[str, str] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)
    answers: dict[str, Callable[[], None]] = field(default_factory=dict)
    at_once: bool = False
    requirements: Requirements = field(default_factory=Requirements)

    def called(self, call: str) -> None:
        self.journal.append(call)
        if answer := self.answers.get(call):
            answer()

    def count(self, call: str) -> int:
        return self.journal.count(call)


class Stub(AsyncPlugin):
    """A plugin for the service."""

    def __init__(self, service: Service, setup: PluginSetupContext) -> None:
        self.service = service
        self.setup = setup

    def get_config(self) -> PluginConfig:
        config: PluginConfig = self.setup.config
        return config

    def resource_requirements(self, context: TaskExecutionContextReader) -> Requirements:
        if isinstance(context.input, dict):
            constraints = ResourceConstraints(context.input.get("perFlow"), context.input.get("perExecution"))
            return Requirements(context.input.get("namespace", "default"), constraints)
        return self.service.requirements

    def create(self, context: TaskExecutionContextReader) -> tuple[Any, str | None]:
        token = context.metadata.token
        state = self.service.jobs.setdefault(token, "running")
        self.service.called("create")
        return {"id": token}, state if self.service.at_once else None

    def get(self, context: GetContext) -> str:
        self.service.called("get")
        return self.service.jobs[context.resource_meta["id"]]

    def delete(self, context: DeleteContext) -> None:
        self.service.called("delete")
        self.service.called(f"delete: {context.reason}")
        self.service.jobs.pop(context.resource_meta["id"], None)

    def status(self, context: StatusContext) -> Phase:
        state = str(context.resource)
        if state.startswith("done"):
            return success("Done", state)
        if state.startswith("broken"):
            return failure(state, event="Broken")
        if state.startswith("at "):
            return running(state, version=int(state[3:]), event="Progress", payload=state)
        return running(state)


@dataclass
class StubWorld:
    """The service and the hosted plugin."""

    service: Service
    hosting: HostedRegistry

    def round(self) -> int:
        return self.hosting.reconcile("Stub", HostedResults())

    def later(self, **time: float) -> int:
        """Run a round after some time has passed for all rows."""
        let_time_pass(**time)
        return self.round()

    def upkeep(self) -> int:
        return self.hosting.run_upkeep()


def world(config: PluginConfig = INLINE, service: Service | None = None, **changes: Any) -> StubWorld:
    """Host a plugin `Stub` with the command `Do`."""
    service = service or Service()
    config = replace(config, **changes)
    entry = PluginEntry(
        "Stub",
        ("Do",),
        lambda setup: Stub(service, setup),
        config=config,
        events={"Do": ("Done", "Broken")},
        progress_events=("Progress",),
    )
    return StubWorld(service, host_plugins(entry))


def host_plugins(*entries: PluginEntry, redis_url: str = "") -> HostedRegistry:
    catalog = Catalog(entries)
    return HostedRegistry(
        catalog, {entry.id: PluginRuntime(entry, FileSecretManager(""), redis_url) for entry in entries}
    )


def ask(count: int = 1, pack: str = "Stub", name: str = "Do", input: Any = None, **options: Any) -> None:
    """Request `count` actions of the pack, each in a separate execution."""
    command = {"packName": pack, "name": name, "input": input, **options}
    b.save(b.step(id="do", command=command), b.follower("do", event="FATAL", pack=pack, id="alarm"))
    source = b.pack("Src")
    for _ in range(count):
        b.tell(source)


def let_time_pass(**time: float) -> None:
    """Move all due times into the past by this duration."""
    earlier = timedelta(**time)
    Action.objects.update(ready_at=F("ready_at") - earlier)
    Action.objects.filter(lease_ends_at__isnull=False).update(lease_ends_at=F("lease_ends_at") - earlier)
    HostedResource.objects.update(next_call_at=F("next_call_at") - earlier)
    for name in ("claimed_until", "ends_at"):
        HostedResource.objects.filter(**{f"{name}__isnull": False}).update(**{name: F(name) - earlier})


def raising(error: Exception) -> Any:
    """Build an answer of the service that raises this error."""

    def answer() -> None:
        raise error

    return answer


def states() -> list[str]:
    """Return the states of the requested actions, oldest first."""
    return list(Action.objects.filter(step_id="do").order_by("id").values_list("state", flat=True))


def result() -> Any:
    """Return the result of the only action."""
    return Action.objects.get(step_id="do").result
