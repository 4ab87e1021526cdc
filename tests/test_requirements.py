"""What is installed is what the lists name, file for file: each list of requirements has a lock with hashes."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parent.parent
# What stands in these lists is all there is to install; of the tools only the first row is named.
WHOLE = ("requirements", "requirements-tracing", "requirements-dev")
LISTS = (*WHOLE, "requirements-tools")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
ADVICE = "run `make lock`"


def listed(name: str) -> dict[str, str]:
    """The versions by project that a list pins, with those of the list that it includes."""
    found: dict[str, str] = {}
    for line in (ROOT / f"{name}.txt").read_text().splitlines():
        if included := re.fullmatch(r"-r (\S+)\.txt", line):
            found |= listed(included[1])
        elif line and not line.startswith("#"):
            pinned = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)", line)
            assert pinned, f"{name}.txt: {line!r} pins no version"
            assert plain(pinned[1]) not in found, f"{name}.txt: {pinned[1]} stands twice"
            found[plain(pinned[1])] = pinned[2]
    return found


def locked(text: str) -> dict[str, tuple[str, bool]]:
    """By project the version that a lock installs, and whether only in places unlike ours. Every one has hashes."""
    found = {}
    for entry in re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip()):
        head, *hashes = (line.strip().removesuffix("\\").strip() for line in entry.splitlines())
        requirement, _, marker = head.partition(";")
        pinned = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.]+)", requirement.strip())
        assert pinned, f"{head!r} is no pinned requirement"
        assert hashes, f"{head!r} has no hashes"
        assert all(HASH.fullmatch(line) for line in hashes), f"{head!r} has hashes of another kind"
        found[plain(pinned[1])] = pinned[2], bool(marker)
    return found


def plain(project: str) -> str:
    """A project's name as every spelling of it is compared."""
    return re.sub(r"[-_.]+", "-", project).lower()


@pytest.mark.parametrize("name", LISTS)
def test_what_a_list_names_is_locked_at_the_same_version(name: str) -> None:
    lock = {project: version for project, (version, _) in locked((ROOT / f"{name}.lock").read_text()).items()}
    assert {project: lock.get(project) for project in listed(name)} == listed(name), ADVICE


@pytest.mark.parametrize("name", WHOLE)
def test_a_lock_has_nothing_that_its_list_does_not_name_but_for_other_platforms(name: str) -> None:
    lock = locked((ROOT / f"{name}.lock").read_text())
    everywhere = {project for project, (_, elsewhere) in lock.items() if not elsewhere}
    assert everywhere - set(listed(name)) == set(), f"name it in {name}.txt, or {ADVICE}"


@pytest.mark.parametrize(
    "text",
    ["a==1.0", "a>=1.0 \\\n    --hash=sha256:" + "0" * 64, "a==1.0 \\\n    --hash=md5:" + "0" * 32, "a @ https://b"],
)
def test_a_lock_that_pins_less_than_a_file_is_found_out(text: str) -> None:
    with pytest.raises(AssertionError):
        locked(text)


def test_what_make_installs_is_locked() -> None:
    lines = [line for line in (ROOT / "Makefile").read_text().splitlines() if "--requirement " in line]
    assert len(lines) >= 3
    for line in lines:
        assert ".lock" in line, line
        assert "$(PIP)" in line or "--require-hashes" in line, line
