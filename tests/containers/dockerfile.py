"""The instructions of a Dockerfile that the project's image uses."""

import fnmatch
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.server import ROOT

FOLDER, STATE = "/opt/flyte", "/var/lib/flyte"


@dataclass(frozen=True)
class Instruction:
    """An instruction with its continuation lines joined."""

    name: str
    rest: str


def instructions(path: Path = ROOT / "Dockerfile") -> list[Instruction]:
    """Return the instructions in order, without comments."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [Instruction(*line.split(None, 1)) for line in text.splitlines() if line.strip()]


def all_of(name: str) -> list[str]:
    """Return the arguments of the instructions with this name."""
    return [instruction.rest for instruction in instructions() if instruction.name == name]


def environment() -> dict[str, str]:
    """Return the variables that the image sets, except its PATH."""
    (text,) = all_of("ENV")
    return {name: value for name, value in re.findall(r"(\w+)=(\S+)", text) if name != "PATH"}


def command(name: str) -> list[str]:
    """Return the last CMD or ENTRYPOINT."""
    words: list[str] = json.loads(all_of(name)[-1])
    return words


def health_check() -> list[str]:
    (text,) = all_of("HEALTHCHECK")
    words: list[str] = json.loads(text.partition("CMD ")[2])
    return words


def is_ignored(path: str) -> bool:
    """Return True if `.dockerignore` excludes a path of the project: the last matching rule counts."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        anywhere = "**/" in rule
        if any(fnmatch.fnmatch(part, pattern) for part in (parts if anywhere else parts[:1])):
            ignored = not rule.startswith("!")
    return ignored


def copy_into(folder: Path) -> None:
    """Run the COPY instructions that have sources in the project; fail if `.dockerignore` excludes one."""
    for text in all_of("COPY"):
        if text.startswith("--from="):
            continue
        *sources, target = text.split()
        for source in sources:
            assert not is_ignored(source), f".dockerignore keeps {source} out"
            destination = folder / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, destination, ignore=_ignored)
            else:
                shutil.copy(ROOT / source, destination if target != "./" else folder / source)


def _ignored(folder: str, names: list[str]) -> set[str]:
    above = Path(folder).relative_to(ROOT)
    return {name for name in names if is_ignored(str(above / name))}
