"""`flyte datastore` with a running server."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from flyte_client.cli.flyte import main
from tests.server import Server

pytestmark = pytest.mark.acceptance


class DatastoreCommand:
    """Runs `flyte datastore` in this process; `out` and `err` are what it printed last."""

    def __init__(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        self.capture = capfdbinary
        self.out = self.err = b""

    def __call__(self, *arguments: object) -> int:
        code = main(["datastore", *map(str, arguments)])
        self.out, self.err = self.capture.readouterr()
        return code


@pytest.fixture
def run(server: Server, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> DatastoreCommand:
    monkeypatch.setenv("FLYTE_API", server.url)
    return DatastoreCommand(capfdbinary)


def test_values_are_stored_listed_read_and_deleted(
    run: DatastoreCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "teams.json").write_text('{"ops": {"email": "ops@example.com"}}')
    (tmp_path / "logo").write_bytes(b"\x00\xff")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO("grüße\n".encode())))
    for key, value, content_type in (
        ("cli/teams", f"@{tmp_path}/teams.json", "application/json"),
        ("cli/list", "[1, 2]", "application/json"),
        ("cli/number", "5", "text/plain; charset=utf-8"),
        ("cli/motd", "-", "text/plain; charset=utf-8"),
        ("cli/logo", f"@{tmp_path}/logo", "application/octet-stream"),
    ):
        assert run("put", key, value, "--description", "d") == 0
        assert (run.out.decode(), run.err) == (f"stored {key} as {content_type}\n", b"")
    assert run("get", "cli/motd") == 0
    assert run.out == "grüße\n".encode()
    run("get", "cli/logo")
    assert run.out == b"\x00\xff"
    run("list")
    assert [b"cli/list", b"application/json", b"d"] in [line.split() for line in run.out.splitlines()]
    assert run("delete", "cli/motd") == 0
    assert run("get", "cli/motd") == 3
    assert b"datastore item 'cli/motd'" in run.err


@pytest.mark.parametrize(
    ("value", "content_type"), [("{", "application/json"), ("", "application/json"), ("NaN", "application/ld+json")]
)
def test_invalid_json_is_refused_and_not_stored(run: DatastoreCommand, value: str, content_type: str) -> None:
    assert run("put", "cli/bad", value, "--type", content_type) == 2
    assert run.err.startswith(b"flyte: VALUE: invalid JSON (")
    assert run("get", "cli/bad") == 3


def test_an_invalid_key_is_refused_with_one_reason(run: DatastoreCommand) -> None:
    assert run("put", "..", "x") == 2
    assert run.err == b"flyte: key must not be '..': clients remove this from paths\n"
    assert run("put", "a\n", "x") == 3
    assert run.err == b"flyte: 400: Bad Request; key: must have at most 512 characters and no control characters\n"


def test_a_value_that_is_nested_too_deeply_is_refused_with_the_limit(run: DatastoreCommand) -> None:
    for depth in (101, 900, 5000):
        assert run("put", "cli/bad", "[" * depth + "]" * depth) == 2
        assert run.err == (
            b"flyte: VALUE: invalid JSON (nested deeper than 100 levels); use --type text/plain to store text\n"
        )


def test_a_file_that_is_not_json_is_refused_by_its_name(run: DatastoreCommand, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{'a': 1}")
    assert run("put", "cli/bad", f"@{tmp_path}/a.json") == 2
    assert b"a.json: invalid JSON" in run.err
    assert run("put", "cli/bad", f"@{tmp_path}/missing.json") == 2
    assert b"file not found" in run.err


def test_json_of_another_type_is_stored_with_the_servers_warning(run: DatastoreCommand) -> None:
    assert run("put", "cli/odd", '{"a": 1}', "--type", "text/plain") == 0
    assert run.err.startswith(b"flyte: warning: value: is JSON, but its type is text/plain: templates read it as text")


def test_a_secret_without_encryption_keys_is_refused(run: DatastoreCommand) -> None:
    assert run("put", "cli/token", "s3cret", "--secret") == 3
    assert b"FLYTE_ENCRYPTION_KEYS" in run.err
