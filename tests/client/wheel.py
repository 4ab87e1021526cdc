"""The client library as a wheel, installed in an environment without the rest of the project."""

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
    """Build the wheel with the installed packages, without a network."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps", "--no-index"]
    run([*pip, "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT / "flyte_client")])
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path, *packages: str) -> Path:
    """Create a virtual environment with only the wheel and these packages; return its folder of programs.

    The packages and their requirements are linked from the current environment.
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
    """Return the names of a package and all its requirements."""
    names: set[str] = set()
    waiting = [name]
    while waiting:
        package = waiting.pop()
        if package not in names:
            names.add(package)
            waiting += _requirements(distribution(package))
    return names


def _requirements(package: Distribution) -> Iterator[str]:
    for text in package.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement.name


def run(command: list[str], folder: Path | None = None) -> str:
    """Run a command and return its output; fail with the output if it fails."""
    done = processes.run(
        command, cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
