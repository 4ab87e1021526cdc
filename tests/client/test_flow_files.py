"""Flow files: reading a folder and synchronizing it with an in-memory store."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flow_files.errors import FlowFilesError, FlowStoreError
from flow_files.files import MAX_FILE_NAME_LENGTH, choose_file_stems, read_flows, split_documents
from flow_files.sync import (
    FlowCheck,
    FlowFinding,
    apply_plan,
    build_plan,
    export_flows,
    format_findings,
    format_summary,
)

pytestmark = pytest.mark.unit


class MemoryStore:
    """A store of flows that are texts of two lines: a name and a value."""

    def __init__(self, **flows: str) -> None:
        self.flows = flows
        self.notes: list[str] = []

    def check(self, text: str) -> FlowCheck:
        lines = text.split()
        if len(lines) != 2:
            return FlowCheck(findings=[FlowFinding("error", "steps", "must be a list", 2, 3)])
        name, value = lines
        if name not in self.flows:
            return FlowCheck(name, "new")
        return FlowCheck(name, "same" if self.flows[name] == value else "changed", version=self.flows[name])

    def names(self) -> list[str]:
        return sorted(self.flows)

    def text(self, name: str) -> str:
        return f"{name}\n{self.flows[name]}\n"

    def save(self, text: str, checked: FlowCheck, note: str) -> None:
        self.flows[checked.name] = text.split()[1]
        self.notes.append(note)

    def delete(self, name: str) -> None:
        del self.flows[name]


def put(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "documents"),
    [
        ("a: 1\n", [(1, "a: 1\n")]),
        ("---\na: 1\n---\nb: 2\n", [(2, "a: 1\n"), (4, "b: 2\n")]),
        ("# both\n---\na: 1\n...\n# no more\n---\n\n", [(2 + 1, "a: 1\n")]),
        ("a: |\n  --- inside\n--- {b: 2}\n", [(1, "a: |\n  --- inside\n"), (3, "    {b: 2}\n")]),
        ("%YAML 1.1\n--- # one\na: 1\n", [(3, "a: 1\n")]),
        ("a: ---b\n----\n", [(1, "a: ---b\n----\n")]),
        ("a: 1\r\n---\r\nb: 2\r\n", [(1, "a: 1\r\n"), (3, "b: 2\r\n")]),
        ("", []),
        ("# nothing\n", []),
    ],
)
def test_a_file_is_split_into_documents_with_their_first_lines(text: str, documents: list[tuple[int, str]]) -> None:
    assert split_documents(text) == documents


def test_a_folder_is_read_recursively_without_hidden_and_other_files(tmp_path: Path) -> None:
    for name in ("b/two.yml", "a.json", "b/.hidden/x.yaml", ".git/y.yaml", "notes.md", "c.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"a": "---"}' if name == "a.json" else f"name: {name}\n---\nname: more\n")
    flows = read_flows(tmp_path)
    assert [str(flow.path.relative_to(tmp_path)) for flow in flows] == ["a.json", "b/two.yml", "b/two.yml"] + [
        "c.yaml"
    ] * 2
    assert flows[2].format_location(1, 7) == f"{tmp_path}/b/two.yml:3:7"


@pytest.mark.parametrize(
    "content", [None, b"\xff\xfe\x00", "name: größ".encode()[:-1], b"a\x00\xff", b"a\x81", b"# only a comment\n"]
)
def test_an_unreadable_file_is_reported_in_one_line(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "a.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(FlowFilesError) as raised:
        read_flows(file)
    assert str(file) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_file_of_an_editor_for_windows_is_read(tmp_path: Path, codec: str) -> None:
    (tmp_path / "a.yaml").write_bytes("name: Größe – x\r\n".encode(codec))
    assert [flow.text for flow in read_flows(tmp_path)] == ["name: Größe – x\r\n"]


def test_an_empty_folder_is_an_error_so_pruning_cannot_delete_everything(tmp_path: Path) -> None:
    with pytest.raises(FlowFilesError, match=r"no flow files \(\*\.yaml, \*\.yml, \*\.json\) in '"):
        build_plan(MemoryStore(one="1"), tmp_path)


def test_flows_that_differ_are_saved_and_others_left_unchanged(tmp_path: Path) -> None:
    store, reports = MemoryStore(one="1", two="1", three="1"), list[str]()
    made = build_plan(store, put(tmp_path, a="one\n1\n---\ntwo\n2\n", b="four\n1\n"))
    assert format_summary(made) == "1 new, 1 changed, 1 the same, 1 in no file"
    apply_plan(store, made, prune=False, note="why", report=reports.append)
    assert store.flows == {"one": "1", "two": "2", "three": "1", "four": "1"}
    assert (reports, store.notes) == (["changed  two", "new  four"], ["why", "why"])
    again = build_plan(store, tmp_path)
    assert (again.changes, again.store_only) == ([], ["three"])


def test_pruning_deletes_flows_that_are_in_no_file(tmp_path: Path) -> None:
    store, reports = MemoryStore(one="1", two="1"), list[str]()
    apply_plan(store, build_plan(store, put(tmp_path, a="one\n1\n")), prune=True, note="", report=reports.append)
    assert (store.flows, reports) == ({"one": "1"}, ["deleted  two"])


def test_a_duplicate_name_is_an_error_at_its_second_use(tmp_path: Path) -> None:
    made = build_plan(MemoryStore(), put(tmp_path, a="one\n1\n", b="two\n1\n---\none\n2\n"))
    assert made.has_errors
    assert list(format_findings(made)) == [
        f"{tmp_path}/b.yaml:4:1: error: name: duplicate flow name 'one', first used at {tmp_path}/a.yaml:1:1"
    ]


def test_an_error_is_reported_with_its_line_in_the_file(tmp_path: Path) -> None:
    made = build_plan(MemoryStore(), put(tmp_path, a="one\n1\n---\ntoo\nmany\nlines\n"))
    assert list(format_findings(made)) == [f"{tmp_path}/a.yaml:5:3: error: steps: must be a list"]


def test_flows_are_exported_to_files_with_their_names_if_they_differ(tmp_path: Path) -> None:
    store = MemoryStore(**{"a/b": "1", "two": "1"})
    assert [changed for _, _, changed in export_flows(store, tmp_path / "new")] == [True, True]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a%2Fb.yaml", "two.yaml"]
    store.flows["two"] = "2"
    assert [name for name, _, changed in export_flows(store, tmp_path / "new") if changed] == ["two"]
    assert not build_plan(store, tmp_path / "new").changes


def test_names_that_differ_only_in_case_get_files_that_differ_in_more(tmp_path: Path) -> None:
    store = MemoryStore(One="1", one="2", ONE="3", Other="4")
    files = {name: path.name for name, path, _ in export_flows(store, tmp_path)}
    assert files == {"one": "one.yaml", "One": "%4Fne.yaml", "ONE": "%4F%4E%45.yaml", "Other": "Other.yaml"}
    assert not build_plan(store, tmp_path).changes
    assert [changed for _, _, changed in export_flows(store, tmp_path, ["One", "One"])] == [False]


def test_long_names_that_differ_only_at_the_end_get_different_files(tmp_path: Path) -> None:
    store = MemoryStore(**{"a" * 250 + end: end for end in "12"})
    assert len({path.name for _, path, _ in export_flows(store, tmp_path)}) == 2
    assert all(len(path.stem) <= MAX_FILE_NAME_LENGTH for path in tmp_path.iterdir())


def test_an_export_of_an_unknown_flow_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(FlowFilesError, match="flow 'three' not found; flows: one, two"):
        list(export_flows(MemoryStore(one="1", two="2"), tmp_path, ["one", "three"]))
    assert not list(tmp_path.iterdir())


def test_an_export_to_a_file_is_refused(tmp_path: Path) -> None:
    put(tmp_path, a="text")
    with pytest.raises(FlowFilesError, match=r"a\.yaml: is not a folder"):
        list(export_flows(MemoryStore(one="1"), tmp_path / "a.yaml"))


def test_an_export_to_a_full_disk_keeps_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one.yaml").write_text("old")

    def write_half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(FlowStoreError, match=r"one\.yaml: No space left on device"):
        list(export_flows(MemoryStore(one="1"), tmp_path))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"one.yaml": "old"}


def test_an_export_writes_to_the_target_of_a_link_and_keeps_the_access_mode(tmp_path: Path) -> None:
    target = tmp_path / "target.yaml"
    target.touch(mode=0o640)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "one.yaml").symlink_to(target)
    list(export_flows(MemoryStore(one="1"), tmp_path / "out"))
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("one\n1\n", 0o640)


def test_export_refuses_a_python_package_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    with pytest.raises(FlowFilesError, match="is a Python package") as raised:
        list(export_flows(MemoryStore(one="1"), tmp_path))
    assert str(raised.value).startswith(f"{tmp_path}: ")
    assert [path.name for path in tmp_path.iterdir()] == ["__init__.py"]


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", "/etc/passwd", ".hidden", "a\x00b", "é" * 200])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    list(export_flows(MemoryStore(**{name: "1"}), tmp_path))
    (written,) = tmp_path.iterdir()
    assert written.stem == choose_file_stems([name])[name]


def link_without_target(path: Path) -> None:
    path.symlink_to("no such file")


def link_to_folder_above(path: Path) -> None:
    path.symlink_to(path.parent)


def write_blank_file(path: Path) -> None:
    path.write_text(" \n")


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (link_without_target, "two.yaml", "symbolic link to 'no such file', which does not exist"),
        (link_without_target, "folder", "symbolic link to 'no such file', which does not exist"),
        (link_without_target, "more/two.json", "symbolic link to 'no such file', which does not exist"),
        (link_to_folder_above, "folder", "symbolic link to a folder that contains it"),
        (os.mkfifo, "two.yml", "is not a regular file"),
        (write_blank_file, "two.yaml", "file is empty"),
    ],
)
def test_what_could_hold_a_flow_and_cannot_be_read_stops_the_command(
    tmp_path: Path, make: Callable[[Path], object], name: str, reason: str
) -> None:
    (tmp_path / "one.yaml").write_text("one\n1\n")
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    make(path)
    with pytest.raises(FlowFilesError) as raised:
        build_plan(MemoryStore(one="1", two="2"), tmp_path)
    assert str(raised.value).startswith(f"{path}: {reason}")


def test_a_hidden_link_without_target_is_ignored(tmp_path: Path) -> None:
    (tmp_path / ".#one.yaml").symlink_to("user@host.123")
    assert build_plan(MemoryStore(one="1"), put(tmp_path, one="one\n1\n")).store_only == []


def test_a_linked_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    put(tmp_path / "shared", two="two\n2\n")
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "linked").symlink_to(tmp_path / "shared")
    assert build_plan(MemoryStore(two="2"), tmp_path / "flows").store_only == []


@pytest.fixture
def unprivileged_folder() -> Iterator[Path]:
    """Create a folder as a user without root's right to read everything."""
    with tempfile.TemporaryDirectory() as name:
        folder, user = Path(name), os.geteuid()
        if user == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)


@pytest.mark.parametrize("name", ["two.yaml", "folder", ""])
def test_an_unreadable_file_or_folder_stops_the_command(unprivileged_folder: Path, name: str) -> None:
    folder = unprivileged_folder / "flows"
    (folder / "folder").mkdir(parents=True)
    put(folder, one="one\n1\n", two="two\n2\n")
    unreadable = folder / name
    unreadable.chmod(0)
    with pytest.raises(FlowFilesError) as raised:
        build_plan(MemoryStore(one="1", two="2"), folder)
    unreadable.chmod(0o700)
    assert str(raised.value) == f"{unreadable}: Permission denied"
