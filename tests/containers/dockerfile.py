"""A Dockerfile's instructions, as far as the project's own uses them."""

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
    """One instruction, its continued lines joined."""

    name: str
    rest: str


def instructions(path: Path = ROOT / "Dockerfile") -> list[Instruction]:
    """All of them in order, without comments."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [Instruction(*line.split(None, 1)) for line in text.splitlines() if line.strip()]


def all_of(name: str) -> list[str]:
    """What stands behind the instructions of this name."""
    return [one.rest for one in instructions() if one.name == name]


def environment() -> dict[str, str]:
    """The variables that the image sets, but for its PATH."""
    (text,) = all_of("ENV")
    return {name: value for name, value in re.findall(r"(\w+)=(\S+)", text) if name != "PATH"}


def command(name: str) -> list[str]:
    """The last CMD or ENTRYPOINT."""
    found: list[str] = json.loads(all_of(name)[-1])
    return found


def health_check() -> list[str]:
    (text,) = all_of("HEALTHCHECK")
    found: list[str] = json.loads(text.partition("CMD ")[2])
    return found


def is_ignored(path: str) -> bool:
    """Whether `.dockerignore` keeps a path of the project from the image: the last rule about it counts."""
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
    """Does the COPY instructions that take from the project; what they name must be let through."""
    for text in all_of("COPY"):
        if text.startswith("--from="):
            continue
        *sources, target = text.split()
        for source in sources:
            assert not is_ignored(source), f".dockerignore keeps {source} out"
            place = folder / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=_ignored)
            else:
                shutil.copy(ROOT / source, place if target != "./" else folder / source)


def _ignored(folder: str, names: list[str]) -> set[str]:
    above = Path(folder).relative_to(ROOT)
    return {name for name in names if is_ignored(str(above / name))}
