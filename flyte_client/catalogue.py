"""The packs that can be started by name: those that come with the library, and those that other packages bring."""

import ast
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path

from flyte_client import packs

Main = Callable[[list[str]], int]

# Under this name a package says what `flyte-pack` can start: `mine = "my_package:main"`.
GROUP = "flyte_client.packs"


@dataclass(frozen=True)
class Entry:
    """A pack's name, what it says of itself in one line, and how to get its `main(arguments) -> exit code`."""

    name: str
    summary: str
    load: Callable[[], Main]


def catalogue() -> dict[str, Entry]:
    """All packs by name. None of their code runs before `load`."""
    found = [*_installed(), *_own()]
    return {entry.name: entry for entry in sorted(found, key=lambda entry: entry.name)}


def _own() -> Iterator[Entry]:
    for module in pkgutil.iter_modules(packs.__path__):
        program = f"{packs.__name__}.{module.name}.program"
        if module.ispkg and module.name != "basis":
            yield Entry(module.name, _summary(f"{packs.__name__}.{module.name}"), _main_of(program))


def _main_of(program: str) -> Callable[[], Main]:
    def load() -> Main:
        main: Main = importlib.import_module(program).main
        return main

    return load


def _installed() -> Iterator[Entry]:
    for point in entry_points(group=GROUP):
        yield Entry(point.name, f"from {point.dist.name if point.dist else point.value}", _loaded(point))


def _loaded(point: EntryPoint) -> Callable[[], Main]:
    def load() -> Main:
        main: Main = point.load()
        return main

    return load


def _summary(module: str) -> str:
    """The first sentence of its docstring, without the name; read, not imported, since what it needs may be missing."""
    spec = find_spec(module)
    source = Path(spec.origin).read_text(encoding="utf-8") if spec and spec.origin else ""
    text = ast.get_docstring(ast.parse(source)) or ""
    return " ".join(text.split()).partition(": ")[2].partition(". ")[0].rstrip(".")
