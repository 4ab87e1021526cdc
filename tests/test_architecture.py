"""Rules of structure: those of the tools, each tested by a planted violation, and those without a tool.

`[tool.importlinter]` and `[tool.ruff.lint]` in pyproject.toml hold the layers, the imports inside functions, and the
calls that run text. `make lint` runs both.
"""

import ast
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import grimp
import pytest

from tests import processes

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
ROOT_PACKAGES = CONFIGURATION["importlinter"]["root_packages"]
SERVER = ("flyte_site", "audit", "flows", "packs", "datastore", "flow_files", "flyte_formats", "flyte_time")
MAX_FILE_LINES = 399
MAX_FUNCTION_LINES = 80

# The only imports that a package may have besides the standard library and itself.
MAY_IMPORT = {
    "flows.template": ("django.template", "django.utils", "flyte_formats", "flyte_time", "re2"),
    "flyte_client": ("flow_files", "flyte_formats", "flyte_time", "httpx"),
    "manage": ("django", "flow_files", "flyte_formats", "flyte_site"),
}
# Requirements of single packs, which import them inside functions only.
PACK_MAY_IMPORT = {
    "flyte_client.cli.flyte": ("shtab",),
    "flyte_client.packs.common.configuration": ("yaml",),
    "flyte_client.packs.email.mailbox": ("imapclient",),
    "flyte_client.packs.slack.socket_mode": ("slack_sdk",),
    "flyte_client.packs.slack.web_api": ("slack_sdk",),
    "flyte_client.packs.webhook.http_server": ("cheroot",),
    "flyte_client.packs.webhook.multipart_form": ("multipart",),
    "flyte_client.packs.webhook.sns": ("cryptography",),
}


@cache
def read_module(module: str) -> ast.Module:
    return ast.parse(find_file(module).read_text(encoding="utf-8"))


def find_file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return next(file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file())


def find_modules(*packages: str) -> list[str]:
    """Return the names of the modules of packages."""
    files = [file for package in packages for file in sorted((ROOT / package).rglob("*.py"))]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]


def is_within(module: str, packages: Iterable[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def find_imported_names(node: ast.AST) -> list[str]:
    """Return the dotted names that an absolute import statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def find_foreign_imports(module: str, tree: ast.AST, in_function: bool = False) -> list[str]:
    """Return the imports of a module that MAY_IMPORT does not list for its package."""
    package = next(package for package in MAY_IMPORT if is_within(module, [package]))
    allowed = (package, *MAY_IMPORT[package], *(PACK_MAY_IMPORT.get(module, ()) if in_function else ()))
    foreign = []
    for node in ast.iter_child_nodes(tree):
        foreign += [
            f"{module} imports {name}"
            for name in find_imported_names(node)
            if name.split(".")[0] not in sys.stdlib_module_names and not is_within(name, allowed)
        ]
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        foreign += find_foreign_imports(module, node, in_function or is_function)
    return foreign


def find_cyclic_modules(graph: grimp.ImportGraph) -> list[str]:
    """Return the modules that import themselves by way of others, and those between two cycles."""
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    while leaves := {module for module, imported in imports.items() if not imported}:
        imports = {module: imported - leaves for module, imported in imports.items() if module not in leaves}
    return sorted(imports)


def find_long_parts(module: str, source: str) -> list[str]:
    """Return the file if it is too long, and the functions that are."""
    lines = source.count("\n")
    long_parts = [f"{module} has {lines} lines"] if lines > MAX_FILE_LINES else []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                long_parts.append(f"{module}:{node.lineno} {node.name}() has {length} lines")
    return long_parts


def find_dangerous_calls(module: str, tree: ast.AST) -> list[str]:
    """Return the calls that ruff overlooks: the built-in `compile`, and a `shell` that is not written as False."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        f"{module}:{call.lineno} {ast.unparse(call)}"
        for call in calls
        if ast.unparse(call.func) == "compile"
        or any(keyword.arg == "shell" and ast.unparse(keyword.value) != "False" for keyword in call.keywords)
    ]


def test_every_package_is_checked() -> None:
    packages = [path.parent.name for path in ROOT.glob("*/__init__.py")]
    assert sorted(ROOT_PACKAGES) == sorted(packages)


def test_packages_import_only_the_libraries_that_they_may() -> None:
    modules = [*find_modules("flows/template", "flyte_client"), "manage"]
    assert [line for module in modules for line in find_foreign_imports(module, read_module(module))] == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert find_cyclic_modules(grimp.build_graph(*ROOT_PACKAGES, cache_dir=None)) == []


def test_files_and_functions_stay_short() -> None:
    sources = {module: find_file(module).read_text(encoding="utf-8") for module in find_modules(*ROOT_PACKAGES)}
    assert [part for module, source in sources.items() for part in find_long_parts(module, source)] == []


def test_no_call_runs_text_as_a_program() -> None:
    modules = [*find_modules(*ROOT_PACKAGES), "manage"]
    assert [call for module in modules for call in find_dangerous_calls(module, read_module(module))] == []


# Contract, file, line to add, and the import that the contract then reports.
PLANTED_IMPORTS = [
    ("applications", "packs/queue/leases.py", "from flows.models import Flow", "packs.queue.leases -> flows.models"),
    ("applications", "packs/queue/pubsub.py", "from flows import models", "packs.queue.pubsub -> flows.models"),
    ("applications", "flyte_site/http/views.py", "import packs.models", "flyte_site.http.views -> packs.models"),
    ("flyte_site", "flyte_site/settings.py", "from . import urls", "flyte_site.settings -> flyte_site.urls"),
    ("audit", "audit/stats.py", "from audit.api import x", "audit.stats -> audit.api"),
    ("flows", "flows/models.py", "if True:\n    from .api import flows", "flows.models -> flows.api.flows"),
    ("engine", "flows/engine/step.py", "from . import handle_event", "flows.engine.step -> flows.engine.handle_event"),
    ("packs", "packs/queue/leases.py", "from .. import api", "packs.queue.leases -> packs.api"),
    ("packs", "packs/new_module.py", "", "packs.new_module"),
    (
        "packs",
        "packs/migrations/0001_initial.py",
        "import packs.models",
        "packs.migrations.0001_initial -> packs.models",
    ),
    ("approvals", "packs/approvals/service.py", "from . import api", "packs.approvals.service -> packs.approvals.api"),
    ("queue", "packs/queue/pubsub.py", "from . import take", "packs.queue.pubsub -> packs.queue.take"),
    ("datastore", "datastore/models.py", "import datastore.api", "datastore.models -> datastore.api"),
    ("django-modules", "packs/api.py", "from packs.apps import x", "packs.api -> packs.apps"),
    ("migrations", "audit/apps.py", "import packs.models", "audit.apps -> packs.models"),
    ("client", "flyte_client/pack.py", "from flyte_site.core import ids", "flyte_client.pack -> flyte_site.core.ids"),
    ("server", "flows/jobs.py", "def f():\n    import flyte_client", "flows.jobs -> flyte_client"),
    ("cycles", "flows/template/lexer.py", "from . import parser", "lexer -> .parser"),
]


@pytest.fixture(scope="module")
def import_report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the report of import-linter on a copy of the project with every planted import."""
    folder = tmp_path_factory.mktemp("project")
    for package in ROOT_PACKAGES:
        shutil.copytree(
            ROOT / package,
            folder / package,
            ignore=lambda path, names: [
                name for name in names if not name.endswith(".py") and not Path(path, name).is_dir()
            ],
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    for _, path, line, _ in PLANTED_IMPORTS:
        with (folder / path).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    return run([BIN / "lint-imports", "--no-cache"], folder)


def run(command: list[str | Path], folder: Path = ROOT, text: str = "") -> str:
    return processes.run(command, cwd=folder, input=text, capture_output=True, text=True).stdout


def run_ruff(path: str, text: str) -> set[str]:
    """Return the rules that a file with this text would break."""
    output = run(
        [BIN / "ruff", "check", "--no-cache", "--output-format", "json", "--stdin-filename", path, "-"], text=text
    )
    return {offence["code"] for offence in json.loads(output)}


def test_import_linter_keeps_every_contract() -> None:
    assert ", 0 broken." in run([BIN / "lint-imports", "--no-cache"])


def test_every_contract_has_a_planted_import() -> None:
    contracts = {contract["id"] for contract in CONFIGURATION["importlinter"]["contracts"]}
    assert contracts == {contract for contract, *_ in PLANTED_IMPORTS}


@pytest.mark.parametrize(("contract", "_path", "_line", "reported"), PLANTED_IMPORTS)
def test_import_linter_reports_a_planted_import(
    import_report: str, contract: str, _path: str, _line: str, reported: str
) -> None:
    names = {entry["id"]: entry["name"] for entry in CONFIGURATION["importlinter"]["contracts"]}
    section = import_report.partition(f"{names[contract]}\n-----")[2]
    assert reported in re.split(r"\n.+\n-----", section)[0]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("def take():\n    from packs import models", "PLC0415"),
        ("async def take():\n    import packs.models", "PLC0415"),
        ("def take():\n    import json", "PLC0415"),
        ("import redis", "TID253"),
        ("eval('1')", "S307"),
        ("import builtins\nbuiltins.exec(text)", "TID251"),
        ("exec(text)", "S102"),
        ("import os\nos.system('ls')", "TID251"),
        ("from os import popen", "TID251"),
        ("import pickle", "TID251"),
        ("from marshal import loads", "TID251"),
        ("def f():\n    import shelve", "TID251"),
        ("import yaml\nyaml.load(text)", "S506"),
        ("import yaml\nyaml.load(text, Loader=yaml.Loader)", "S506"),
        ("import yaml\nyaml.load(text, yaml.UnsafeLoader)", "S506"),
        ("import yaml\nclass Own(yaml.SafeLoader, yaml.Loader): ...\nyaml.load(text, Own)", "S506"),
        ("import yaml\nyaml.unsafe_load(text)", "TID251"),
        ("import yaml\nyaml.full_load_all(text)", "TID251"),
        ("import subprocess\nsubprocess.run(line, shell=True)", "S602"),
        ("run(line, shell=True)", "S604"),
    ],
)
def test_ruff_reports_a_planted_line(text: str, rule: str) -> None:
    assert rule in run_ruff("packs/api.py", text)
    assert rule == "TID253" or rule in run_ruff("tests/packs/test_api.py", text)


@pytest.mark.parametrize(
    "text",
    [
        "import re\n\nre.compile('x')\n",
        "import yaml\n\nyaml.safe_load('')\n",
        "import yaml\n\nyaml.load('', Loader=yaml.CSafeLoader)\n",
        "def f() -> None:\n    import redis\n\n    redis.Redis()\n",
        "import subprocess\n\nsubprocess.run(['ls'], shell=False)\n",
    ],
)
def test_ruff_permits_what_is_safe(text: str) -> None:
    assert run_ruff("packs/api.py", text) == set()


@pytest.mark.parametrize(
    ("module", "text", "foreign"),
    [
        ("flows.template.runtime.values", "from flows.models import Flow", ["flows.models.Flow"]),
        ("flows.template.runtime.values", "from django.db import models", ["django.db.models"]),
        ("flows.template.runtime.values", "import yaml", ["yaml"]),
        ("flows.template.runtime.values", "import re2, json\nfrom django.utils.html import escape", []),
        ("flyte_client.pack", "from flyte_site.core.ids import new_id", ["flyte_site.core.ids.new_id"]),
        ("flyte_client.pack", "def run():\n    import yaml", ["yaml"]),
        ("flyte_client.pack", "import httpx\nfrom flow_files import files\nfrom . import links", []),
        ("flyte_client.packs.common.configuration", "import yaml", ["yaml"]),
        ("flyte_client.packs.common.configuration", "def read():\n    import yaml", []),
        ("manage", "from flyte_client import pack", ["flyte_client.pack"]),
    ],
)
def test_foreign_imports_are_reported(module: str, text: str, foreign: list[str]) -> None:
    reported = find_foreign_imports(module, ast.parse(text))
    assert [line.rpartition(" ")[2] for line in reported] == foreign


@pytest.mark.parametrize("text", ["compile(text, '', 'eval')", "subprocess.run(line, shell=is_text)"])
def test_dangerous_calls_are_reported(text: str) -> None:
    assert len(find_dangerous_calls("flows.api", ast.parse(text))) == 1


def test_cycles_are_reported() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in [("a", "b"), ("b", "c"), ("c", "a"), ("a", "d")]:
        graph.add_import(importer=importer, imported=imported)
    assert find_cyclic_modules(graph) == ["a", "b", "c"]


def test_long_files_and_functions_are_reported() -> None:
    body = "    pass\n"
    assert find_long_parts("short", "def f():\n" + body * (MAX_FUNCTION_LINES - 1)) == []
    assert find_long_parts("long", "def f():\n" + body * MAX_FUNCTION_LINES) == ["long:1 f() has 81 lines"]
    assert find_long_parts("file", "x = 1\n" * 400) == ["file has 400 lines"]
