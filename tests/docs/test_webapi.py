"""The pages on hosted packs: the printed plugin works, and the tables agree with the code."""

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
    """Load the page's plugin as the server does."""
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
    (configured,) = apply_config([entry], [f"webapi.Report.url={service.url}"], [])
    return host_plugins(replace(configured, config=replace(configured.config, caching=CachingConfig(workers=2))))


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
    hosting = host_plugins(host.entry)  # a worker without a rate limit from the service
    work(hosting)
    work(hosting)
    assert [request.method for request in service.requests] == ["POST", "GET", "DELETE"]


def rows(heading: str) -> dict[str, str]:
    """Return the second cell of each row of the section's table by the first."""
    text = REFERENCE.read_text()
    section = re.split(r"^#+ ", text[text.index(f"# {heading}\n") :], flags=re.MULTILINE)[1]
    cells_by_name = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            cells_by_name[cells[0].strip("| ")] = cells[1]
    return cells_by_name


def names_in(cells: Iterator[str] | list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.mark.unit
def test_the_page_lists_exactly_the_fields_of_the_configuration() -> None:
    assert names_in(list(rows("Configuration"))) == [field.name for field in iter_config_fields(PluginConfig())]


@pytest.mark.unit
def test_the_page_lists_exactly_the_fields_of_a_service() -> None:
    named = {name.removesuffix(".<name>") for name in names_in(list(rows("HttpJob")))}
    assert named == {field.name.removesuffix(".<name>") for field in iter_config_fields(HttpJobService())}


@pytest.mark.unit
def test_the_default_states_on_the_page_are_those_of_the_code() -> None:
    defaults = rows("HttpJob")
    assert defaults["`succeeded`"] == f"`{','.join(HttpJobService().succeeded)}`"
    assert defaults["`failed`"] == f"`{','.join(HttpJobService().failed)}`"


@pytest.mark.unit
def test_the_tests_in_the_table_exist() -> None:
    named = set(re.findall(r"`(test_\w+)`", REFERENCE.read_text()))
    sources = "\n".join(path.read_text() for path in Path(ROOT / "tests").rglob("test_*.py"))
    assert len(named) > 20
    assert {name for name in named if f"def {name}(" not in sources} == set()


@pytest.mark.unit
def test_every_row_of_the_table_names_a_test() -> None:
    section = REFERENCE.read_text().partition("## Mapping to Flyte's web API plugins")[2]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(lines) > 30
    assert [line for line in lines if not re.search(r"`test_\w+` \|$", line)] == []


@pytest.mark.unit
def test_the_table_has_everything_that_the_document_names() -> None:
    section = REFERENCE.read_text().partition("## Mapping to Flyte's web API plugins")[2]
    assert [name for name in DOCUMENT if not re.search(rf"\b{name}\b", section)] == []
