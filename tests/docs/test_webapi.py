"""The pages on hosted packs: the plugin that is printed works, and the tables say what the code does."""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.engine import control
from flows.engine.jobs import HostedResults
from flows.models import Execution
from packs.hosted.catalog import apply_config, load_entries
from packs.hosted.config_overrides import iter_config_fields
from packs.hosted.plugin_api.config import CachingConfig, PluginConfig
from packs.hosted.plugin_api.interfaces import PluginEntry
from packs.hosted.plugins.http_job import HttpJobService
from packs.hosted_registry import HostedRegistry
from packs.models import Action, ActionState, HostedCount
from tests.docs.pages import blocks
from tests.hosted.stub_plugin import ask, host_plugins, let_time_pass, result, states
from tests.hosted.web_service import WebService, web_service
from tests.server import ROOT

HOW_TO = ROOT / "docs" / "how-to" / "write-a-plugin.md"
REFERENCE = ROOT / "docs" / "reference" / "webapi.md"
# The types, fields and methods of Flyte's package documentation.
DOCUMENT = re.findall(
    r"\w+",
    """
    AsyncPlugin GetConfig ResourceRequirements Create Get Delete Status SyncPlugin Do PluginConfig ResourceQuotas
    ReadRateLimiter WriteRateLimiter Caching ResourceMeta CachingConfig Size ResyncInterval Workers MaxSystemFailures
    RateLimiterConfig QPS Burst GetPFlagSet PluginEntry ID SupportedTaskTypes PluginLoader IsDefault
    DefaultForTaskTypes PluginSetupContext MetricsScope GetContext DeleteContext Reason StatusContext Resource
    ResourceNamespace ResourceConstraintsSpec TaskExecutionContext DataStore MaxDatasetSizeBytes
    TaskExecutionContextReader SecretManager TaskReader InputReader TaskExecutionMetadata OutputWriter PhaseInfo
    """,
)


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PluginEntry]:
    """The page's plugin, found as the server finds it."""
    folder = tmp_path_factory.mktemp("plugins")
    (program,) = blocks(HOW_TO, "python")
    (folder / "report_plugin.py").write_text(program)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    yield load_entries(["report_plugin.ENTRY"], [])[0]
    sys.path.remove(str(folder))


@pytest.fixture
def service() -> Iterator[WebService]:
    with web_service() as started:
        yield started


def hosted(entry: PluginEntry, service: WebService) -> HostedRegistry:
    (found,) = apply_config([entry], [f"webapi.Report.url={service.url}"], [])
    return host_plugins(replace(found, config=replace(found.config, caching=CachingConfig(workers=2))))


def work(hosting: HostedRegistry) -> None:
    let_time_pass(seconds=31)
    hosting.reconcile("Report", HostedResults())


def reports(service: WebService, report: dict[str, Any]) -> None:
    def answer(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, json.dumps({"id": 7} if method == "POST" else report).encode()

    service.respond = answer


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_the_plugin_on_the_page_makes_reports(entry: PluginEntry, service: WebService) -> None:
    hosting = hosted(entry, service)
    ask(pack="Report", name="Make", input={"month": "2026-11"})
    reports(service, {"state": "making", "percent": 40})
    work(hosting)
    work(hosting)
    assert states() == [ActionState.PENDING]
    reports(service, {"state": "ready", "url": "https://x/7.pdf"})
    work(hosting)
    assert (result()["event"], result()["payload"]) == ("ReportReady", {"url": "https://x/7.pdf"})
    token = f"{Action.objects.get(step_id='do').id}-1"
    assert json.loads(service.requests[0].body) == {"key": token, "month": "2026-11"}
    assert HostedCount.objects.get(plugin="Report", name="plugin.ordered").value == 1


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_the_plugin_on_the_page_cancels_and_slows_down(entry: PluginEntry, service: WebService) -> None:
    hosting = hosted(entry, service)
    ask(pack="Report", name="Make", input={"month": "2026-11"})
    reports(service, {"state": "making", "percent": 40})
    work(hosting)
    service.respond_with(429, retry_after="1")
    work(hosting)
    assert HostedCount.objects.get(plugin="Report", name="throttled").value == 1
    reports(service, {})
    control.cancel_execution(Execution.objects.get().id)
    hosting.run_upkeep()
    host = hosting.runtimes["Report"]
    hosting = host_plugins(host.entry)  # a worker of which the service has asked nothing
    work(hosting)
    work(hosting)
    assert [request.method for request in service.requests] == ["POST", "GET", "DELETE"]


def rows(heading: str) -> dict[str, str]:
    """By what its first cell names in code, the second cell of each row of the section's table."""
    text = REFERENCE.read_text()
    section = re.split(r"^#+ ", text[text.index(f"# {heading}\n") :], flags=re.MULTILINE)[1]
    found = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            found[cells[0].strip("| ")] = cells[1]
    return found


def names_in(cells: Iterator[str] | list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.unit
def test_every_field_of_the_configuration_stands_on_the_page_and_no_other() -> None:
    assert names_in(list(rows("Configuration"))) == [one.name for one in iter_config_fields(PluginConfig())]


@pytest.mark.unit
def test_every_field_of_a_service_stands_on_the_page_and_no_other() -> None:
    named = {name.removesuffix(".<name>") for name in names_in(list(rows("HttpJob")))}
    assert named == {one.name.removesuffix(".<name>") for one in iter_config_fields(HttpJobService())}


@pytest.mark.unit
def test_the_default_states_on_the_page_are_those_of_the_code() -> None:
    found = rows("HttpJob")
    assert found["`succeeded`"] == f"`{','.join(HttpJobService().succeeded)}`"
    assert found["`failed`"] == f"`{','.join(HttpJobService().failed)}`"


@pytest.mark.unit
def test_the_tests_that_the_table_names_are_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", REFERENCE.read_text()))
    sources = "\n".join(path.read_text() for path in Path(ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    assert {name for name in named if f"def {name}(" not in sources} == set()


@pytest.mark.unit
def test_every_row_of_the_table_names_the_test_that_shows_it() -> None:
    section = REFERENCE.read_text().partition("## Mapping to Flyte's web API plugins")[2]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(lines) > 30
    assert [line for line in lines if not re.search(r"`test_\w+` \|$", line)] == []


@pytest.mark.unit
def test_the_table_has_everything_that_the_document_names() -> None:
    section = REFERENCE.read_text().partition("## Mapping to Flyte's web API plugins")[2]
    assert [name for name in DOCUMENT if not re.search(rf"\b{name}\b", section)] == []
