"""The client library as others get it: a wheel, installed where nothing of this project is."""

import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests import processes

from .program import ROOT

SECONDS = 300.0


def build_wheel(folder: Path) -> Path:
    """Build it with what is installed here, without a network."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps", "--no-index"]
    run([*pip, "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT / "flyte_client")])
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path, *packages: str) -> Path:
    """A new virtual environment with the wheel and these packages, and nothing else; its folder of programs.

    They are linked from this program's own environment, with all that they require.
    """
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(programs / "python")]
    run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)])
    (site,) = folder.glob("lib/python*/site-packages")
    for name in set().union(*map(required, packages)):
        for top in {file.parts[0] for file in distribution(name).files or ()} - {".."}:
            if not (site / top).exists():
                (site / top).symlink_to(str(distribution(name).locate_file(top)))
    return programs


def required(name: str) -> set[str]:
    """The package and all that it needs, by name."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _requirements(distribution(one))
    return found


def _requirements(package: Distribution) -> Iterator[str]:
    for text in package.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def run(command: list[str], folder: Path | None = None) -> str:
    """What the command prints; fails with all of it where that fails."""
    done = processes.run(
        command, cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
