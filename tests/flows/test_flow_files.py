"""`manage.py flows`, and the API's check of a flow's text."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from flow_files import command_line
from flow_files.errors import FlowStoreError
from flow_files.sync import FlowCheck
from flows.importers.files import LocalFlowStore, atomic
from flows.models import Flow, FlowVersion
from flyte_site.models import Change
from packs import registry
from tests.flows import builders as b
from tests.site.shape import problem

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

TEXT = """# what it is for
name: one
steps:
  - id: a
    event: {packName: Src, name: Go}
    command: {packName: Wrk, name: Do}  # and done
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    b.pack("Src")
    commands: list[dict[str, Any]] = [{"name": name, "events": []} for name in ("Do", "Redo")]
    registry.register({"name": "Wrk", "labels": {}, "commands": commands, "events": [], "links": []})
    (tmp_path / "one.yaml").write_text(TEXT)
    return tmp_path


def run(*arguments: object) -> int:
    """Run `manage.py flows`, and return its exit code."""
    try:
        call_command("flows", *map(str, arguments))
    except SystemExit as end:
        return int(str(end.code))
    except CommandError as error:
        return error.returncode
    return 0


def stored_versions() -> dict[str, str]:
    return dict(Flow.objects.values_list("name", "version_id"))


def test_flows_are_saved_once_and_then_unchanged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("diff", folder) == 1
    assert not stored_versions()
    assert run("apply", folder, "--note", "first") == 0
    first = stored_versions()
    version = FlowVersion.objects.get()
    assert (version.source, version.saved_by, version.note) == (TEXT, "manage.py", "first")
    assert [(change.what, change.key) for change in Change.objects.filter(kind="flow")] == [("saved", "one")]
    assert run("apply", folder) == run("diff", folder) == run("diff", folder, "--prune") == 0
    assert stored_versions() == first
    assert "0 new, 0 changed, 1 the same" in capsys.readouterr().out


def test_a_changed_comment_makes_no_version_and_a_changed_step_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("apply", folder)
    first = stored_versions()
    (folder / "one.yaml").write_text(TEXT.replace("what it is for", "other words"))
    assert run("apply", folder) == 0
    assert stored_versions() == first
    (folder / "one.yaml").write_text(TEXT.replace("name: Do", "name: Redo"))
    capsys.readouterr()
    assert run("diff", folder) == 1
    assert "-    name: Do\n+    name: Redo\n" in capsys.readouterr().out
    assert run("apply", folder) == 0
    assert stored_versions() != first


def test_nothing_is_changed_if_a_file_has_an_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "two.yaml").write_text(TEXT.replace("one", "two") + "---\n" + TEXT.replace("Go}", "Go, nmae: x}"))
    for what in ("validate", "diff", "apply"):
        assert run(what, folder) == 2
    assert not stored_versions()
    assert f"{folder}/two.yaml:12:38: error: steps[0].event.nmae: unknown key" in capsys.readouterr().err


class ConflictingStore(LocalFlowStore):
    """A flow store in which another user changes the second flow after the check."""

    def save(self, text: str, checked: FlowCheck, note: str) -> None:
        if checked.name == "two":
            b.save(b.step(), name="two")
        super().save(text, checked, note)


def test_either_all_flows_are_saved_or_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "two.yaml").write_text(TEXT.replace("one", "two"))
    options = Namespace(subcommand="apply", path=folder, strict=False, json=False, prune=False, dry_run=False, note="")
    with pytest.raises(FlowStoreError, match="two: the flow was changed by someone else"):
        command_line.run_command(ConflictingStore(), options, atomic)
    assert not stored_versions()
    assert capsys.readouterr().out == ""  # no change is reported that was rolled back


def test_a_failure_after_some_changes_says_how_many_were_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "two.yaml").write_text(TEXT.replace("one", "two"))
    options = Namespace(subcommand="apply", path=folder, strict=False, json=False, prune=False, dry_run=False, note="")
    with pytest.raises(FlowStoreError):
        command_line.run_command(ConflictingStore(), options, None)
    assert capsys.readouterr() == ("new  one\n", "stopped after 1 of 2 changes\n")


def test_pruning_stops_at_a_link_without_target(folder: Path) -> None:
    b.save(b.step(), name="two")
    (folder / "two.yaml").symlink_to(folder / "moved.yaml")
    assert run("apply", folder, "--prune") == 2
    assert list(stored_versions()) == ["two"]


def test_a_dry_run_prints_the_changes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    b.save(b.step(), name="old")
    assert run("apply", folder, "--dry-run", "--prune") == 0
    assert list(stored_versions()) == ["old"]
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "new  one",
        "to delete  old",
        "1 new, 0 changed, 0 the same, 1 to delete; nothing was changed",
    ]
    assert run("apply", folder, "--prune") == 0
    assert list(stored_versions()) == ["one"]


def test_warnings_are_those_of_the_console_and_strict_makes_them_errors(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "one.yaml").write_text(TEXT.replace("Wrk", "Nobody"))
    assert run("validate", folder) == 0
    warning = f"{folder}/one.yaml:6:15: warning: steps[0].command.packName: no pack 'Nobody' is registered"
    assert warning in capsys.readouterr().err
    assert run("apply", folder, "--strict") == 1
    assert not stored_versions()


def test_json_output_is_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("apply", folder, "--json")
    output = json.loads(capsys.readouterr().out)
    assert output["applied"] is True
    assert [(flow["name"], flow["change"], flow["findings"]) for flow in output["flows"]] == [("one", "new", [])]


def test_an_export_is_the_text_as_written_and_has_no_diff(folder: Path, tmp_path: Path) -> None:
    b.save(b.step(), name="posted by a program", enabled=False)
    run("apply", folder)
    Flow.objects.filter(name="one").update(enabled=False)
    out = tmp_path / "out"
    assert run("export", out) == 0
    assert (out / "one.yaml").read_text() == f"enabled: false\n{TEXT}"
    assert "enabled: false" in (out / "posted by a program.yaml").read_text()
    assert run("diff", out, "--prune") == 0
    Flow.objects.all().delete()
    assert run("apply", out) == 0
    assert not Flow.objects.filter(enabled=True).exists()


@pytest.mark.parametrize("arguments", [["apply", "/nowhere"], ["export", "/tmp", "no such flow"]])
def test_missing_input_is_one_line_and_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(CommandError) as raised:
        call_command("flows", *arguments)
    assert raised.value.returncode == 2
    assert "\n" not in str(raised.value)


def check(client: Client, text: str) -> Any:
    return client.post("/v1/flows/dry-run?check=true", text, content_type="application/x-yaml")


def test_the_api_returns_the_changes_that_saving_would_make(folder: Path, client: Client) -> None:
    report = check(client, TEXT).json()
    assert (report["name"], report["change"], report["warnings"]) == ("one", "new", [])
    assert not stored_versions()
    run("apply", folder)
    assert check(client, TEXT).json() == {
        "name": "one", "change": "same", "version": stored_versions()["one"], "warnings": []
    }  # fmt: skip
    changed = check(client, TEXT.replace("name: Go", "name: Gone") + "enabled: false").json()
    assert (changed["change"], changed["warnings"][0]["line"]) == ("changed", 7)
    assert "+enabled: false\n" in changed["diff"]


def test_the_api_returns_each_error_with_its_position_in_the_text(client: Client) -> None:
    (error,) = problem(check(client, "name: one\nsteps: 5\n"), 400)["errors"]
    assert (error["path"], error["line"], error["column"]) == ("steps", 2, 1)
    assert problem(check(client, ""), 400)["errors"][0]["message"].startswith("the document is empty")


def test_the_api_returns_a_flow_as_written(folder: Path, client: Client) -> None:
    run("apply", folder)
    response = client.get("/v1/flows/one?text=true")
    assert (response.content.decode(), response.headers["Content-Type"]) == (TEXT, "text/plain; charset=utf-8")
    assert response.headers["ETag"] == f'"{stored_versions()["one"]}"'
    problem(client.get("/v1/flows/none?text=true"), 404)
    assert "must be true or false, not 'yes'" in problem(client.get("/v1/flows/one?text=yes"), 400)["detail"]
