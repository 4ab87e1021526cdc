"""Discovery of the packs that can be started by name: bundled ones, and those of other installed packages."""

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from flyte_client import packs

PackMain = Callable[[list[str]], int]

# Entry points in this group are packs that `flyte-pack` can start: `mine = "my_package:main"`.
ENTRY_POINT_GROUP = "flyte_client.packs"


@dataclass(frozen=True)
class PackProgram:
    """A pack's name, its one-line summary, and a function that loads its `main(arguments) -> exit code`."""

    name: str
    summary: str
    load: Callable[[], PackMain]


def discover_packs() -> dict[str, PackProgram]:
    """Return all packs by name. Their code does not run before `load`."""
    programs = [*_find_installed(), *_find_bundled()]
    return {program.name: program for program in sorted(programs, key=lambda program: program.name)}


def _find_bundled() -> Iterator[PackProgram]:
    for module in pkgutil.iter_modules(packs.__path__):
        main_module = f"{packs.__name__}.{module.name}.program"
        if module.ispkg and module.name != "common":
            yield PackProgram(
                module.name, _read_summary(f"{packs.__name__}.{module.name}"), _module_loader(main_module)
            )


def _module_loader(module_name: str) -> Callable[[], PackMain]:
    def load() -> PackMain:
        main: PackMain = importlib.import_module(module_name).main
        return main

    return load


def _find_installed() -> Iterator[PackProgram]:
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        yield PackProgram(
            entry_point.name,
            f"from {entry_point.dist.name if entry_point.dist else entry_point.value}",
            _entry_point_loader(entry_point),
        )


def _entry_point_loader(entry_point: EntryPoint) -> Callable[[], PackMain]:
    def load() -> PackMain:
        main: PackMain = entry_point.load()
        return main

    return load


def _read_summary(module_name: str) -> str:
    """Return the first sentence of the module's docstring, without the pack's name.

    The source is parsed, not imported, because the pack's requirements may be missing.
    """
    spec = find_spec(module_name)
    source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    text = ast.get_docstring(ast.parse(source)) or ""
    return " ".join(text.split()).partition(": ")[2].partition(". ")[0].rstrip(".")
