"""The house's plan, held by reading the sources: who may import whom, and how long files and functions may be."""

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent
SERVER = ("flyte_site", "audit", "flows", "packs", "datastore", "flow_files")
MAX_FILE_LINES = 399
MAX_FUNCTION_LINES = 80

# The layers, lowest first: a module imports only from layers before its own. An entry is a folder or a module; the
# modules of one folder may import each other as long as there is no cycle.
LAYERS = (
    "flow_files",
    "flyte_site.db flyte_site.core flyte_site.models flyte_site.scheduler flyte_site.http flyte_site.auth",
    "flyte_site.settings flyte_site.console flyte_site.templatetags flyte_site.admin",
    "datastore.models datastore.lookup datastore.content_types datastore.service",
    "datastore.serializers datastore.api datastore.forms datastore.admin",
    "packs.models packs.queue.pubsub packs.queue.long_poll packs.queue.action_secrets",
    "packs.queue",
    "packs.approvals.service packs.approvals packs.hosted packs.registry packs.hosted_registry packs.hosted_status",
    "packs.serializers packs.jobs packs.api packs.webapi packs.admin packs.management",
    "flows.template flows.models flows.definition flows.diagram flows.importers",
    "flows.engine.step flows.engine.matching flows.engine.event_history flows.engine.handle_event flows.engine",
    "flows.simulate flows.api flows.console flows.admin flows.management",
    "audit.timeline audit.stats audit.queue_stats audit.lookups audit.charts audit.summary audit.search",
    "audit.prometheus audit.serializers audit.api audit.view_models audit.views audit.admin",
    "flyte_site.apps flyte_site.wsgi flyte_site.jobs flyte_site.celery flyte_site.server",
    "flyte_site.management flyte_site.urls",
    "manage",
)
ORDER = " ".join(LAYERS).split()

# Nobody imports these: Django finds them by their names.
APART = ("migrations", "apps")

LANG_MAY_IMPORT = ("flows.template", "django.template", "django.utils", "re2", "croniter")
CLIENT_MAY_IMPORT = ("flyte_client", "flow_files", "httpx")
# What one pack alone needs: whoever does not run it need not have it, so these stand inside functions.
PACKS_MAY_IMPORT = {
    "flyte_client.cli.flyte": ("shtab",),
    "flyte_client.packs.common.configuration": ("yaml",),
    "flyte_client.packs.email.mailbox": ("imapclient",),
    "flyte_client.packs.slack.socket_mode": ("slack_sdk",),
    "flyte_client.packs.slack.web_api": ("slack_sdk",),
    "flyte_client.packs.timer.schedule": ("croniter",),
    "flyte_client.packs.webhook.http_server": ("cheroot",),
}

RUNS_TEXT = ("eval", "exec", "compile", "os.system", "os.popen")
MAKES_OBJECTS = ("pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle")
SAFE_YAML = ("yaml.safe_load", "yaml.safe_load_all")
SAFE_LOADERS = {"yaml.CSafeLoader", "yaml.SafeLoader", "yaml.BaseLoader"}


@dataclass(frozen=True)
class Source:
    """A module's dotted name and its text."""

    module: str
    text: str
    is_package: bool = False


@dataclass(frozen=True)
class Import:
    """`module` is what is imported, as far as it is a module; `inside` the function that imports it, if any."""

    module: str
    line: int
    inside: str = ""


def read_sources(*folders: str) -> list[Source]:
    """The sources in these folders of the project, and `manage.py`."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [_read(path) for path in [*paths, ROOT / "manage.py"]]


def _read(path: Path) -> Source:
    parts = path.relative_to(ROOT).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    return Source(".".join(parts[:-1] if is_package else parts), path.read_text(encoding="utf-8"), is_package)


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


def imports(source: Source, modules: set[str]) -> Iterator[Import]:
    """What a source imports; `from packs import queue` imports `packs.queue` where that is one of `modules`."""
    yield from _imports(source, parsed(source.text), modules, "")


def _imports(source: Source, node: ast.AST, modules: set[str], inside: str) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(name.name, child.lineno, inside) for name in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = _base(source, child)
            for name in child.names:
                whole = f"{base}.{name.name}"
                yield Import(whole if whole in modules else base, child.lineno, inside)
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _imports(source, child, modules, child.name if is_function else inside)  # type: ignore[attr-defined]


def _base(source: Source, node: ast.ImportFrom) -> str:
    """The absolute name of what stands behind `from`."""
    parts = source.module.split(".")
    up = node.level - (1 if source.is_package else 0)
    above = parts[: len(parts) - up] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def place(module: str) -> int | None:
    """Where a module stands in `ORDER`, by the longest name that it is under."""
    found = [index for index, name in enumerate(ORDER) if within(module, [name])]
    return max(found, key=lambda index: len(ORDER[index]), default=None)


def violations(sources: list[Source], others: Iterable[str] = ()) -> list[str]:
    """Every import that goes upward, sideways out of the order, or hides in a function. `others` are modules too."""
    modules = {source.module for source in sources}.union(others)
    return [
        f"{source.module}:{one.line} {wrong}"
        for source in sources
        for one in imports(source, modules)
        if (wrong := _wrong(source, one))
    ]


def _wrong(source: Source, one: Import) -> str:
    own = within(one.module, (*SERVER, "flyte_client", "examples"))
    if own and one.inside:
        return f"imports {one.module} inside {one.inside}()"
    if within(source.module, ["flyte_client"]):
        return _not_among(one, CLIENT_MAY_IMPORT + (PACKS_MAY_IMPORT.get(source.module, ()) if one.inside else ()))
    if within(source.module, ["flows.template"]):
        return _not_among(one, LANG_MAY_IMPORT)
    return _not_below(source, one) if own and within(source.module, (*SERVER, "manage")) else ""


def _not_among(one: Import, allowed: tuple[str, ...]) -> str:
    standard = one.module.split(".")[0] in sys.stdlib_module_names
    return "" if standard or within(one.module, allowed) else f"imports {one.module}"


def _not_below(source: Source, one: Import) -> str:
    if one.module.split(".")[-1] in APART or ".migrations." in one.module:
        return f"imports {one.module}, which nobody imports"
    if ".migrations." in source.module:
        return "" if within(one.module, ["flyte_site"]) else f"imports {one.module}: a migration stands by itself"
    mine, theirs = place(source.module), place(one.module)
    if mine is None or theirs is None:
        return f"{source.module if mine is None else one.module} has no place in LAYERS"
    return "" if theirs <= mine else f"imports {one.module}, which is in a higher layer"


def circles(sources: list[Source]) -> list[str]:
    """Modules that import themselves by way of others."""
    modules = {source.module for source in sources}
    graph = {source.module: {one.module for one in imports(source, modules)} & modules for source in sources}
    while leaves := {module for module, needs in graph.items() if not needs}:
        graph = {module: needs - leaves for module, needs in graph.items() if module not in leaves}
    return sorted(graph)


def too_long(sources: list[Source]) -> list[str]:
    """Files of 400 lines or more, functions of more than 80."""
    found = []
    for source in sources:
        lines = source.text.count("\n")
        if lines > MAX_FILE_LINES:
            found.append(f"{source.module} has {lines} lines")
        for node in ast.walk(parsed(source.text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    found.append(f"{source.module}:{node.lineno} {node.name}() has {length} lines")
    return found


def dangerous(source: Source) -> list[str]:
    """What runs text as a program, or makes any object of bytes: by its name, wherever it is called or imported."""
    nodes = list(ast.walk(parsed(source.text)))
    classes = [
        (node.name, {ast.unparse(base) for base in node.bases}) for node in nodes if isinstance(node, ast.ClassDef)
    ]
    safe = SAFE_LOADERS | {name for name, bases in classes if bases and bases <= SAFE_LOADERS}
    called = [node for node in nodes if isinstance(node, ast.Call)]
    found = [(node.lineno, name) for node in called if _is_dangerous(name := ast.unparse(node.func), node, safe)]
    found += [(one.line, one.module) for one in imports(source, set()) if within(one.module, MAKES_OBJECTS)]
    return [f"{source.module}:{line} {name}" for line, name in sorted(found)]


def _is_dangerous(name: str, call: ast.Call, safe_loaders: set[str]) -> bool:
    if name in RUNS_TEXT or name.removeprefix("builtins.") in RUNS_TEXT:
        return True
    if name.startswith("yaml.") and "load" in name:
        loaders = [ast.unparse(one.value) for one in call.keywords if one.arg == "Loader"]
        loaders += [ast.unparse(argument) for argument in call.args[1:2]]
        return name not in SAFE_YAML and not (loaders and set(loaders) <= safe_loaders)
    return any(one.arg == "shell" and ast.unparse(one.value) != "False" for one in call.keywords)


def new_violations(source: Source) -> list[str]:
    """What is wrong with a source that is put into the house."""
    return violations([source], others=[one.module for one in read_sources(*SERVER)])


def test_imports_run_only_downward() -> None:
    assert violations(read_sources(*SERVER, "flyte_client", "examples")) == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circles(read_sources(*SERVER, "flyte_client", "examples", "tests")) == []


def test_files_and_functions_stay_short() -> None:
    assert too_long(read_sources(*SERVER, "flyte_client", "examples", "tests")) == []


def test_nothing_runs_text_as_a_program_or_makes_any_object_of_bytes() -> None:
    everything = read_sources(*SERVER, "flyte_client", "examples", "bench", "tests")
    assert [found for source in everything for found in dangerous(source)] == []


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "x = builtins.exec(text)",
        "code = compile(text, '', 'eval')",
        "os.system('ls')",
        "import pickle",
        "from marshal import loads",
        "def f():\n    import shelve",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text, yaml.UnsafeLoader)",
        "class Own(yaml.SafeLoader, yaml.Loader): ...\nyaml.load(text, Own)",
        "yaml.unsafe_load(text)",
        "yaml.full_load_all(text)",
        "subprocess.run(line, shell=True)",
    ],
)
def test_the_checker_finds_what_is_dangerous(text: str) -> None:
    assert len(dangerous(Source("a", text))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "re.compile('x')",
        "yaml.safe_load(text)",
        "yaml.load(text, Loader=yaml.CSafeLoader)",
        "class Own(yaml.SafeLoader): ...\nyaml.load(text, Own)",
        "model.eval()",
        "subprocess.run(['ls'], shell=False)",
        "import json",
    ],
)
def test_the_checker_lets_pass_what_is_not(text: str) -> None:
    assert dangerous(Source("a", text)) == []


@pytest.mark.parametrize(
    ("module", "text", "wrong"),
    [
        (
            "packs.queue.action_queue",
            "from flows.models import Flow",
            "imports flows.models, which is in a higher layer",
        ),
        ("packs.queue.action_queue", "import flows.models", "imports flows.models, which is in a higher layer"),
        ("packs.queue.action_queue", "from flows import models", "imports flows.models, which is in a higher layer"),
        ("packs.queue.action_queue", "from packs.api import TakeView", "imports packs.api, which is in a higher layer"),
        ("packs.queue.action_queue", "from .. import api", "imports packs.api, which is in a higher layer"),
        (
            "packs.queue.action_queue",
            "if True:\n    from ..api import TakeView",
            "imports packs.api, which is in a higher layer",
        ),
        ("packs.queue.action_queue", "from packs.apps import PacksConfig", "imports packs.apps, which nobody imports"),
        ("packs.queue.action_queue", "def take():\n    from packs import models", "imports packs.models inside take()"),
        (
            "packs.queue.action_queue",
            "async def take():\n    import packs.models",
            "imports packs.models inside take()",
        ),
        ("packs.things", "from packs import models", "packs.things has no place in LAYERS"),
        ("packs.api", "from packs.things import THING", "packs.things has no place in LAYERS"),
        (
            "flows.engine.step",
            "from flows.engine.handle_event import start_executions",
            "imports flows.engine.handle_event, which is in a higher layer",
        ),
        ("flows.template.runtime.values", "from flows.models import Flow", "imports flows.models"),
        ("flows.template.runtime.values", "from django.db import models", "imports django.db"),
        ("flows.template.runtime.values", "import yaml", "imports yaml"),
        ("flows.template.runtime.values", "from ...definition import parser", "imports flows.definition"),
        ("flyte_site.http.views", "from packs.models import Pack", "imports packs.models, which is in a higher layer"),
        ("flyte_site.settings", "from flyte_site import urls", "imports flyte_site.urls, which is in a higher layer"),
        ("flyte_client.pack", "from flyte_site.core.timestamps import to_text", "imports flyte_site.core.timestamps"),
        ("flyte_client.pack", "import structlog", "imports structlog"),
        ("flyte_client.pack", "def run():\n    import yaml", "imports yaml"),
        ("flyte_client.packs.common.configuration", "import yaml", "imports yaml"),
        ("packs.migrations.0002_x", "from packs.models import Pack", "imports packs.models: a migration stands by"),
        ("manage", "from flyte_site.apps import FlyteSiteConfig", "imports flyte_site.apps, which nobody imports"),
    ],
)
def test_the_checker_catches_a_bad_import(module: str, text: str, wrong: str) -> None:
    (found,) = new_violations(Source(module, text))
    assert wrong in found


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("packs.api", "from packs import models, queue"),
        ("packs.api", "def take():\n    import json"),
        ("flows.engine.handle_event", "from packs import queue\nfrom datastore.lookup import get_value"),
        (
            "flows.template.runtime.values",
            "import re2\nfrom django.utils.html import escape\nfrom flows.template import errors",
        ),
        ("flyte_client.pack", "import httpx\nfrom flyte_client import errors\nfrom . import links"),
        ("flyte_client.packs.common.configuration", "def read():\n    import yaml"),
    ],
)
def test_the_checker_lets_good_imports_pass(module: str, text: str) -> None:
    assert new_violations(Source(module, text)) == []


def test_the_checker_finds_circles() -> None:
    sources = [Source("a", "import b"), Source("b", "import c"), Source("c", "from a import x"), Source("d", "")]
    assert circles(sources) == ["a", "b", "c"]


def test_the_checker_measures_files_and_functions() -> None:
    body = "    pass\n"
    fine = Source("fine", "def f():\n" + body * (MAX_FUNCTION_LINES - 1))
    long = Source("long", "def f():\n" + body * MAX_FUNCTION_LINES)
    assert too_long([fine, long, Source("file", "x = 1\n" * 400)]) == [
        "long:1 f() has 81 lines",
        "file has 400 lines",
    ]
