"""Measures of plain English: how often the texts and names of a project break the rules, and where."""

import ast
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any

from tests import processes
from tests.language.texts import Module, Text, read_hash_comments, read_page, read_script

RULES = Path(__file__).with_name("rules.toml")
PAGES = (".md", ".html", ".template")
SCRIPTS = (".js", ".css")
WITH_HASH_COMMENTS = ("Makefile", "Dockerfile", ".yml", ".yaml", ".toml", ".env", ".conf", ".service", "ci/run")


@dataclass(frozen=True, order=True)
class Offence:
    """A text or name that breaks a rule."""

    path: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


@dataclass(frozen=True)
class Figure:
    """The offences against a rule: a count, or the share per `scale` of `total` words, docstrings or names."""

    name: str
    limit: float
    offences: list[Offence]
    total: int = 0
    scale: int = 0

    @property
    def value(self) -> float:
        count = len(self.offences)
        return self.scale * count / max(self.total, 1) if self.scale else count

    @property
    def is_over_limit(self) -> bool:
        return self.value > self.limit

    def __str__(self) -> str:
        return f"{self.name} {self.value:.{2 if self.scale else 0}f} (limit {self.limit:g})"


@dataclass
class Project:
    """The texts of a project: its code, its tests, its pages, and its scripts and style sheets."""

    root: Path
    rules: dict[str, Any]
    code: list[Module] = field(default_factory=list)
    tests: list[Module] = field(default_factory=list)
    pages: list[Text] = field(default_factory=list)
    scripts: list[Text] = field(default_factory=list)

    def read(self) -> "Project":
        """Add every file that git lists or would list."""
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = processes.run(command, cwd=self.root, capture_output=True, text=True, check=True)
        for path in sorted(set(listed.stdout.split("\0")) - {""}):
            file = self.root / path
            if file.is_file() and not any(fnmatch(path, pattern) for pattern in self.rules["files"]["skipped"]):
                self._add(path, file)
        return self

    def _add(self, path: str, file: Path) -> None:
        if path.endswith(".py"):
            is_test = path.split("/")[0] in self.rules["files"]["tests"]
            (self.tests if is_test else self.code).append(Module(path, file.read_text(encoding="utf-8")))
        elif path.endswith(PAGES):
            self.pages.append(read_page(path, file.read_text(encoding="utf-8")))
        elif path.endswith(SCRIPTS):
            self.scripts += read_script(path, file.read_text(encoding="utf-8"))
        elif path.endswith(WITH_HASH_COMMENTS):
            self.pages += read_hash_comments(path, file.read_text(encoding="utf-8"))

    @cached_property
    def patterns(self) -> list[tuple[str, re.Pattern[str]]]:
        """The rules with their patterns, in which a space matches a line break too."""
        rules = self.rules["patterns"].items()
        return [(rule, re.compile(pattern.replace(" ", r"\s+"), re.MULTILINE)) for rule, pattern in rules]

    def measure(self) -> list[Figure]:
        messages = [text for module in self.code for text in module.messages()]
        figures = [
            self._measure_patterns("code", prose(self.code)),
            self._measure_patterns("messages", messages + self.scripts),
            self._measure_patterns("docs", self.pages),
            self._measure_patterns("tests", prose(self.tests)),
            self._measure_bounds(),
        ]
        for prefix, modules, others in (("", self.code, []), ("test_", self.tests, self.code)):
            figures += [
                self._measure_openers(f"{prefix}openers", modules),
                self._measure_odd_names(f"{prefix}odd_names", modules),
                self._measure_duplicate_classes(f"{prefix}duplicate_classes", modules, others),
                self._figure(f"{prefix}non_imperative", find_non_imperative(self.root, modules)),
            ]
        return figures

    def _figure(self, name: str, offences: list[Offence], total: int = 0, scale: int = 0) -> Figure:
        return Figure(name, self.rules["limits"][name], sorted(offences), total, scale)

    def _measure_patterns(self, name: str, texts: list[Text]) -> Figure:
        offences = [
            Offence(text.path, text.line + text.content.count("\n", 0, match.start()), rule, quote(text, match))
            for text in texts
            for rule, pattern in self.patterns
            for match in pattern.finditer(text.content)
        ]
        words = sum(len(text.content.split()) for text in texts)
        return self._figure(name, offences, words, 1000)

    def _measure_openers(self, name: str, modules: list[Module]) -> Figure:
        opener = re.compile(self.rules["docstrings"]["opener"])
        docstrings = [text for module in modules for text in module.docstrings]
        offences = [
            Offence(text.path, text.line, "docstring begins with a question word", text.content.splitlines()[0])
            for text in docstrings
            if opener.match(text.content)
        ]
        return self._figure(name, offences, len(docstrings), 100)

    def _measure_odd_names(self, name: str, modules: list[Module]) -> Figure:
        odd = self.rules["names"]["odd"].split()
        names = [bound for module in modules for bound in find_bound_names(module)]
        offences = [
            Offence(bound.path, bound.line, "odd name", bound.content)
            for bound in names
            if bound.content.strip("_").lower() in odd
        ]
        return self._figure(name, offences, len(names), 100)

    def _measure_duplicate_classes(self, name: str, modules: list[Module], others: list[Module]) -> Figure:
        """Compare the public classes of `modules` with each other and with those of `others`."""
        paths = {node.name: module.path for module in others for node in find_public_classes(module)}
        offences = []
        for module in modules:
            for node in find_public_classes(module):
                first = paths.setdefault(node.name, module.path)
                if first != module.path and node.name not in self.rules["names"]["allowed_classes"]:
                    offences.append(Offence(module.path, node.lineno, f"class name also used in {first}", node.name))
        return self._figure(name, offences)

    def _measure_bounds(self) -> Figure:
        pattern = re.compile(self.rules["names"]["bounds"])
        offences = [
            Offence(bound.path, bound.line, "bound that begins with neither MAX_ nor MIN_", bound.content)
            for module in [*self.code, *self.tests]
            for bound in find_bound_names(module)
            if pattern.search(bound.content) and bound.content not in self.rules["names"]["allowed_bounds"]
        ]
        return self._figure("bounds", offences)


def load_rules() -> dict[str, Any]:
    return tomllib.loads(RULES.read_text(encoding="utf-8"))


def prose(modules: list[Module]) -> list[Text]:
    """Return the docstrings and comments of modules."""
    return [text for module in modules for text in [*module.docstrings, *module.comments()]]


def quote(text: Text, match: re.Match[str]) -> str:
    """Return the lines of a text that a match is part of, as one line."""
    start = text.content.rfind("\n", 0, match.start() + 1) + 1
    end = text.content.find("\n", match.end())
    return " ".join(text.content[start : end if end >= 0 else None].split())


def find_bound_names(module: Module) -> Iterator[Text]:
    """Yield the names that a module assigns, and its parameters."""
    for node in module.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield Text(module.path, node.lineno, node.id)
        elif isinstance(node, ast.arg):
            yield Text(module.path, node.lineno, node.arg)


def find_public_classes(module: Module) -> list[ast.ClassDef]:
    return [node for node in module.tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]


def find_non_imperative(root: Path, modules: list[Module]) -> list[Offence]:
    """Return what ruff says of the first lines of functions' docstrings."""
    if not modules:
        return []
    options = ["--isolated", "--select", "D401", "--output-format", "json", "--exit-zero", "--no-cache"]
    ruff = [sys.executable, "-m", "ruff", "check", *options, *(module.path for module in modules)]
    output = processes.run(ruff, cwd=root, capture_output=True, text=True, check=True).stdout
    return [
        Offence(
            Path(entry["filename"]).relative_to(root).as_posix(),
            entry["location"]["row"],
            "not imperative",
            entry["message"].partition(": ")[2],
        )
        for entry in json.loads(output)
    ]
