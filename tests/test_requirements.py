"""Requirements: each list has a lock that pins every package by version and hash."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent
# These lists name every package to install; that of the tools omits their dependencies.
COMPLETE = ("requirements", "requirements-tracing", "requirements-dev")
LISTS = (*COMPLETE, "requirements-tools")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
ADVICE = "run `make lock`"


def listed(name: str) -> dict[str, str]:
    """Return the pinned versions by project in a list and the list that it includes."""
    versions: dict[str, str] = {}
    for line in (ROOT / f"{name}.txt").read_text().splitlines():
        if included := re.fullmatch(r"-r (\S+)\.txt", line):
            versions |= listed(included[1])
        elif line and not line.startswith("#"):
            pinned = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)", line)
            assert pinned, f"{name}.txt: {line!r} pins no version"
            assert plain(pinned[1]) not in versions, f"{name}.txt: {pinned[1]} stands twice"
            versions[plain(pinned[1])] = pinned[2]
    return versions


def locked(text: str) -> dict[str, tuple[str, bool]]:
    """Return by project the version in a lock, and True if it is only for other platforms. Check for hashes."""
    versions = {}
    for entry in re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip()):
        head, *hashes = (line.strip().removesuffix("\\").strip() for line in entry.splitlines())
        requirement, _, marker = head.partition(";")
        pinned = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)", requirement.strip())
        assert pinned, f"{head!r} is no pinned requirement"
        assert hashes, f"{head!r} has no hashes"
        assert all(HASH.fullmatch(line) for line in hashes), f"{head!r} has hashes of another kind"
        versions[plain(pinned[1])] = pinned[2], bool(marker)
    return versions


def plain(project: str) -> str:
    """Normalize a project's name."""
    return re.sub(r"[-_.]+", "-", project).lower()


@pytest.mark.parametrize("name", LISTS)
def test_a_lock_has_the_versions_of_its_list(name: str) -> None:
    lock = {project: version for project, (version, _) in locked((ROOT / f"{name}.lock").read_text()).items()}
    assert {project: lock.get(project) for project in listed(name)} == listed(name), ADVICE


@pytest.mark.parametrize("name", COMPLETE)
def test_a_lock_has_only_packages_of_its_list_or_for_other_platforms(name: str) -> None:
    lock = locked((ROOT / f"{name}.lock").read_text())
    everywhere = {project for project, (_, elsewhere) in lock.items() if not elsewhere}
    assert everywhere - set(listed(name)) == set(), f"name it in {name}.txt, or {ADVICE}"


@pytest.mark.parametrize(
    "text",
    ["a==1.0", "a>=1.0 \\\n    --hash=sha256:" + "0" * 64, "a==1.0 \\\n    --hash=md5:" + "0" * 32, "a @ https://b"],
)
def test_a_lock_without_a_version_or_hash_is_rejected(text: str) -> None:
    with pytest.raises(AssertionError):
        locked(text)


def test_make_installs_only_from_locks() -> None:
    lines = [line for line in (ROOT / "Makefile").read_text().splitlines() if "--requirement " in line]
    assert len(lines) >= 3
    for line in lines:
        assert ".lock" in line, line
        assert "$(PIP)" in line or "--require-hashes" in line, line
