"""The configuration of a plugin: documented defaults, and overrides by dotted JSON names."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from packs.hosted.config_overrides import iter_config_fields, with_override
from packs.hosted.plugin_api.config import CachingConfig, PluginConfig, RateLimiterConfig

pytestmark = pytest.mark.unit


@dataclass(frozen=True)
class Part:
    url: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExampleConfig(PluginConfig):
    be_quick: bool = False
    parts: dict[str, Part] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def test_the_defaults_are_those_of_the_document() -> None:
    config = PluginConfig()
    assert config.caching == CachingConfig(
        size=100_000, resync_interval=timedelta(seconds=30), workers=10, max_system_failures=5
    )
    assert config.read_rate_limiter == RateLimiterConfig(qps=30, burst=300)
    assert config.write_rate_limiter == RateLimiterConfig(qps=20, burst=200)
    assert config.resource_quotas == {}


def test_every_field_has_a_dotted_json_name() -> None:
    assert [config_field.name for config_field in iter_config_fields(ExampleConfig())] == [
        "resourceQuotas.<name>",
        "readRateLimiter.qps",
        "readRateLimiter.burst",
        "writeRateLimiter.qps",
        "writeRateLimiter.burst",
        "caching.size",
        "caching.resyncInterval",
        "caching.workers",
        "caching.maxSystemFailures",
        "callTimeout",
        "beQuick",
        "parts.<name>.url",
        "parts.<name>.words",
        "names.<name>",
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("resourceQuotas.ci", "5", ExampleConfig(resource_quotas={"ci": 5})),
        ("readRateLimiter.qps", "7", ExampleConfig(read_rate_limiter=RateLimiterConfig(7, 300))),
        ("writeRateLimiter.burst", "1", ExampleConfig(write_rate_limiter=RateLimiterConfig(20, 1))),
        ("caching.size", "10", ExampleConfig(caching=CachingConfig(size=10))),
        ("caching.resyncInterval", "10s", ExampleConfig(caching=CachingConfig(resync_interval=timedelta(seconds=10)))),
        ("caching.workers", "0", ExampleConfig(caching=CachingConfig(workers=0))),
        ("caching.maxSystemFailures", "9", ExampleConfig(caching=CachingConfig(max_system_failures=9))),
        ("callTimeout", "1m", ExampleConfig(call_timeout=timedelta(minutes=1))),
        ("beQuick", "true", ExampleConfig(be_quick=True)),
        ("parts.a.url", "https://x=y", ExampleConfig(parts={"a": Part(url="https://x=y")})),
        ("parts.a.words", "one, two", ExampleConfig(parts={"a": Part(words=("one", "two"))})),
        ("names.a", "b", ExampleConfig(names={"a": "b"})),
        ("names.ci.example.org", "b", ExampleConfig(names={"ci.example.org": "b"})),
    ],
)
def test_any_field_can_be_set_by_its_name(name: str, text: str, expected: ExampleConfig) -> None:
    assert with_override(ExampleConfig(), name.split("."), text) == expected


def test_earlier_overrides_of_a_map_are_kept() -> None:
    config = with_override(ExampleConfig(), ["parts", "a", "url"], "u")
    config = with_override(config, ["parts", "a", "words"], "w")
    assert with_override(config, ["parts", "b", "url"], "v").parts == {"a": Part("u", ("w",)), "b": Part("v")}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nothing", "1", "unknown field 'nothing'"),
        ("caching.nothing", "1", "unknown field 'nothing'"),
        ("resourceMeta", "1", "unknown field"),
        ("caching.size", "many", "must be a non-negative integer"),
        ("caching.size", "-1", "must be a non-negative integer"),
        ("caching.size", "0", "at least 1"),
        ("caching.size.more", "1", "is a single value; remove '.more'"),
        ("caching.resyncInterval", "soon", "invalid duration 'soon'"),
        ("caching.resyncInterval", "0", "resyncInterval must be"),
        ("readRateLimiter.qps", "0", "qps must be at least 1"),
        ("beQuick", "perhaps", "true or false"),
        ("resourceQuotas", "5", "is a map"),
    ],
)
def test_an_invalid_override_is_reported(name: str, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_override(ExampleConfig(), name.split("."), text)
