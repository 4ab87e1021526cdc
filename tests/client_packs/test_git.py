"""The Git pack as a process, with local bare repositories."""

import base64
import functools
import http.server
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flyte_client.packs.git.ref_changes import RefChange, compare_refs
from tests import processes
from tests.client.program import Program
from tests.client.stub_server import PATIENCE, StubResponse, StubServer
from tests.examples.world import ExampleClient
from tests.server import Server

from .conftest import StartPack
from .event_watcher import eventually, seen, watch

pytestmark = pytest.mark.integration


class Repository:
    """A bare repository, and a clone of it that commits and pushes."""

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "origin.git"
        self.clone = folder / "clone"
        processes.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.bare], check=True)
        processes.run(["git", "init", "--quiet", "--initial-branch=main", self.clone], check=True)
        self.git("remote", "add", "origin", str(self.bare))

    @property
    def url(self) -> str:
        return self.bare.as_uri()

    def git(self, *arguments: str) -> str:
        identity = {"NAME": "Ann Öther", "EMAIL": "ann@example.com"}
        names = {f"GIT_{role}_{part}": text for role in ("AUTHOR", "COMMITTER") for part, text in identity.items()}
        environment = os.environ | names | {"GIT_CONFIG_GLOBAL": os.devnull}
        done = processes.run(
            ["git", *arguments],
            cwd=self.clone,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit and return the hash."""
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def push(self, *what: str) -> None:
        self.git("push", "--quiet", "origin", *what)


StartGit = Callable[..., Program]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.commit("first")
    repository.push("main")
    return repository


@pytest.fixture
def start_git(start_pack: StartPack, tmp_path: Path) -> StartGit:
    def start(api: str, repository: dict[str, Any], **environment: str) -> Program:
        settings = {
            "FLYTE_GIT_CONFIG": json.dumps({"repositories": [{"name": "app"} | repository]}),
            "FLYTE_GIT_FOLDER": str(tmp_path / "copies"),
            "FLYTE_GIT_POLL_SECONDS": "0.2",
            "FLYTE_GIT_PROTOCOLS": "file,http",
        }
        return start_pack("git", api, **(settings | environment))

    return start


def state(tmp_path: Path) -> Any:
    path = tmp_path / "copies" / "state.json"
    return json.loads(path.read_text()) if path.exists() else {}


def is_polled(tmp_path: Path) -> bool:
    """Return True after the first poll of the repository."""
    return "refs" in state(tmp_path).get("repositories", {}).get("app", {})


def event(stub: StubServer, name: str, count: int = 1) -> Any:
    return stub.wait_for("event", count, event=name)[count - 1].body["payload"]


@pytest.mark.unit
def test_branches_are_sent_before_tags() -> None:
    before = {"refs/heads/gone": "1", "refs/heads/same": "2", "refs/tags/v1": "3"}
    now = {"refs/heads/same": "2", "refs/tags/v1": "4", "refs/heads/new/one": "5"}
    changes = list(compare_refs(before, now))
    assert changes == [
        RefChange("refs/heads/gone", "1", None),
        RefChange("refs/heads/new/one", None, "5"),
        RefChange("refs/tags/v1", "3", "4"),
    ]
    assert [(change.name, change.is_tag) for change in changes] == [("gone", False), ("new/one", False), ("v1", True)]


@pytest.mark.acceptance
def test_a_push_is_one_event_across_a_restart(
    world: ExampleClient, packs_server: Server, start_git: StartGit, repository: Repository, tmp_path: Path
) -> None:
    watch(world, "Git", "BranchPushed")
    first = start_git(packs_server.url, {"url": repository.url})
    eventually(lambda: is_polled(tmp_path))
    old = repository.git("rev-parse", "HEAD")
    repository.commit("second\n\nwith a body")
    new = repository.commit("third")
    repository.push("main")
    (payload,) = eventually(lambda: seen(world, "Git", "BranchPushed"))
    assert {name: payload[name] for name in ("repository", "branch", "kind", "old", "new", "more")} == {
        "repository": "app",
        "branch": "main",
        "kind": "updated",
        "old": old,
        "new": new,
        "more": False,
    }
    assert [commit["message"] for commit in payload["commits"]] == ["third", "second\n\nwith a body"]
    assert payload["commits"][0]["author"] == {"name": "Ann Öther", "email": "ann@example.com"}
    assert [commit["title"] for commit in payload["commits"]] == ["third", "second"]
    assert payload["commits"][0]["id"] == new
    first.signal()
    assert first.exit_code() == 0
    repository.commit("while nobody looked")
    repository.push("main")
    start_git(packs_server.url, {"url": repository.url})
    eventually(lambda: len(seen(world, "Git", "BranchPushed")) == 2)
    assert seen(world, "Git", "BranchPushed")[1]["old"] == new


def test_the_first_poll_sends_no_events(
    stub: StubServer, start_git: StartGit, repository: Repository, tmp_path: Path
) -> None:
    repository.git("tag", "v1")
    repository.push("v1")
    start_git(stub.url, {"url": repository.url})
    eventually(lambda: is_polled(tmp_path))
    repository.push("main:later")
    payload = event(stub, "BranchPushed")
    assert (payload["branch"], payload["kind"], payload["old"], payload["commits"]) == ("later", "created", None, [])
    assert len(stub.of("event")) == 1


def test_branches_come_are_forced_and_go(
    stub: StubServer, start_git: StartGit, repository: Repository, tmp_path: Path
) -> None:
    start_git(stub.url, {"url": repository.url}, FLYTE_GIT_COMMITS="2")
    eventually(lambda: is_polled(tmp_path))
    repository.git("switch", "--quiet", "-c", "topic")
    for number in range(3):
        repository.commit(f"topic {number}")
    repository.push("topic")
    created = event(stub, "BranchPushed")
    assert [commit["message"] for commit in created["commits"]] == ["topic 2", "topic 1"]
    assert created["more"] is True
    repository.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "other words")
    repository.push("--force", "topic")
    forced = event(stub, "BranchPushed", 2)
    assert (forced["kind"], forced["old"]) == ("forced", created["new"])
    assert [commit["message"] for commit in forced["commits"]] == ["other words"]
    repository.push("--delete", "topic")
    gone = event(stub, "BranchDeleted")
    assert (gone["branch"], gone["old"], gone["new"]) == ("topic", forced["new"], None)


def test_tags_come_move_and_go(stub: StubServer, start_git: StartGit, repository: Repository, tmp_path: Path) -> None:
    start_git(stub.url, {"url": repository.url, "branches": [], "tags": ["v*"]})
    eventually(lambda: is_polled(tmp_path))
    repository.git("tag", "-a", "-m", "one", "v1.0")
    repository.git("tag", "other")
    repository.push("v1.0", "other")
    payload = event(stub, "TagPushed")
    assert (payload["tag"], payload["kind"], payload["commit"]["message"]) == ("v1.0", "created", "first")
    repository.commit("second")
    repository.git("tag", "--force", "v1.0")
    repository.push("--force", "main", "v1.0")
    assert event(stub, "TagPushed", 2)["kind"] == "moved"
    repository.push("--delete", "v1.0")
    assert event(stub, "TagDeleted")["tag"] == "v1.0"
    repository.git("tag", "v-blob", repository.git("hash-object", "-w", "--stdin"))
    repository.push("v-blob")
    assert event(stub, "TagPushed", 3)["commit"] is None
    assert {call.body["event"] for call in stub.of("event")} == {"TagPushed", "TagDeleted"}


def test_the_same_move_twice_is_two_events(
    stub: StubServer, start_git: StartGit, repository: Repository, tmp_path: Path
) -> None:
    start_git(stub.url, {"url": repository.url})
    eventually(lambda: is_polled(tmp_path))
    first = repository.git("rev-parse", "HEAD")
    second = repository.commit("second")
    for number, target in enumerate([second, first, second], start=1):
        repository.push("--force", f"{target}:refs/heads/main")
        assert event(stub, "BranchPushed", number)["new"] == target
    assert len({call.headers["Idempotency-Key"] for call in stub.of("event")}) == 3


def test_an_event_is_sent_again_unchanged_after_a_crash(
    stub: StubServer, start_git: StartGit, repository: Repository, tmp_path: Path
) -> None:
    first = start_git(stub.url, {"url": repository.url})
    eventually(lambda: is_polled(tmp_path))
    stub.script("event", *[StubResponse(503, headers={"Retry-After": "3600"})])
    repository.commit("second")
    repository.push("main")
    stub.wait_for("event")
    first.kill()
    repository.commit("third")
    repository.push("main")
    start_git(stub.url, {"url": repository.url})
    unanswered, again, later = stub.wait_for("event", 3)
    assert again.body == unanswered.body
    assert list(again.body["payload"]) == list(unanswered.body["payload"])
    assert again.headers["Idempotency-Key"] == unanswered.headers["Idempotency-Key"]
    assert [commit["message"] for commit in later.body["payload"]["commits"]] == ["third"]
    eventually(lambda: "pending" not in state(tmp_path))


def test_a_temporary_refusal_is_retried_and_a_permanent_one_dropped(
    stub: StubServer, start_git: StartGit, repository: Repository, tmp_path: Path
) -> None:
    program = start_git(stub.url, {"url": repository.url})
    eventually(lambda: is_polled(tmp_path))
    stub.script("event", StubResponse(401), StubResponse(202), StubResponse(413))
    for number in range(3):
        repository.commit(str(number))
        repository.push("main")
        stub.wait_for("event", number + 2)
    keys = [call.headers["Idempotency-Key"].rpartition("/")[2] for call in stub.of("event")]
    assert keys == ["1", "1", "2", "3"]
    program.wait_for_log("event_given_up")


def test_an_unreachable_repository_and_its_recovery_are_reported_once(
    stub: StubServer, start_git: StartGit, repository: Repository, tmp_path: Path
) -> None:
    program = start_git(stub.url, {"url": repository.url})
    eventually(lambda: is_polled(tmp_path))
    away = repository.bare.with_name("away")
    repository.bare.rename(away)
    assert "does not" in event(stub, "RepositoryUnreachable")["error"]
    eventually(lambda: sum("repository_unreachable" in line for line in program.log) > 2)
    away.rename(repository.bare)
    assert event(stub, "RepositoryReachable")["repository"] == "app"
    assert len(stub.of("event")) == 2


def test_a_silent_server_times_out_and_does_not_delay_shutdown(stub: StubServer, start_git: StartGit) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as silent:
        url = f"http://127.0.0.1:{silent.server_address[1]}/x.git"
        program = start_git(stub.url, {"url": url}, FLYTE_GIT_TIMEOUT="0.5")
        assert event(stub, "RepositoryUnreachable")["error"] == "git timed out after 0.5 seconds"
        program.signal()
        assert program.exit_code() == 0


class Guarded(http.server.SimpleHTTPRequestHandler):
    """A handler that serves files to requests with the token."""

    def do_GET(self) -> None:
        credentials = base64.b64encode(b"bot:t0ken").decode()
        if self.headers.get("Authorization") == f"Basic {credentials}":
            super().do_GET()
        else:
            self.send_error(401)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def guarded(repository: Repository) -> Iterator[str]:
    """Serve the repository over HTTP with a token; yield its address."""
    repository.git("--git-dir", str(repository.bare), "update-server-info")
    handler = functools.partial(Guarded, directory=str(repository.bare.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/origin.git"
        server.shutdown()
        thread.join(PATIENCE)


def test_a_token_is_used_and_appears_nowhere(
    stub: StubServer, start_git: StartGit, guarded: str, tmp_path: Path
) -> None:
    wrong = start_git(stub.url, {"url": guarded, "user": "bot", "token": "APP_TOKEN"}, APP_TOKEN="wr0ng")
    event(stub, "RepositoryUnreachable")
    wrong.signal()
    assert wrong.exit_code() == 0
    right = start_git(stub.url, {"url": guarded, "user": "bot", "token": "APP_TOKEN"}, APP_TOKEN="t0ken")
    event(stub, "RepositoryReachable")
    eventually(lambda: is_polled(tmp_path))
    right.signal()
    assert right.exit_code() == 0
    files = [path.read_bytes() for path in (tmp_path / "copies").rglob("*") if path.is_file()]
    sent = [json.dumps(call.body).encode() for call in stub.calls]
    secret = base64.b64encode(b"bot:t0ken")
    assert not [text for text in [*files, *sent, "".join(right.log).encode()] if b"t0ken" in text or secret in text]


def test_a_redirect_is_not_followed_so_that_no_other_server_sees_the_token(
    stub: StubServer, start_git: StartGit, guarded: str
) -> None:
    class Redirecting(Guarded):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", guarded + self.path.removeprefix("/app.git"))
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/app.git"
        start_git(stub.url, {"url": url, "user": "bot", "token": "APP_TOKEN"}, APP_TOKEN="t0ken")
        assert "returned error: 302" in event(stub, "RepositoryUnreachable")["error"]
        server.shutdown()


def test_hooks_in_a_copy_are_not_run(
    stub: StubServer, start_git: StartGit, repository: Repository, tmp_path: Path
) -> None:
    start_git(stub.url, {"url": repository.url})
    eventually(lambda: is_polled(tmp_path))
    marker = tmp_path / "ran"
    hook = tmp_path / "copies" / "app.git" / "hooks" / "reference-transaction"
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    repository.commit("second")
    repository.push("main")
    event(stub, "BranchPushed")
    assert not marker.exists()


@pytest.mark.parametrize(
    ("repository_settings", "words"),
    [
        ({"url": "ext::sh -c touch% /tmp/x"}, "url: must start with one of https://, ssh://"),
        ({"url": "file:///tmp/x"}, "url: must start with one of https://, ssh://"),
        ({"url": "--upload-pack=touch /tmp/x"}, "url: must start with"),
        ({"url": "git@example.org:app.git"}, "url: must start with"),
        ({"url": "ssh://-oProxyCommand=touch/x"}, "url: invalid host name"),
        ({"url": "ssh://-oProxyCommand=touch@example.org/x"}, "url: a password or token is not allowed"),
        ({"url": "https://user:secret@example.org/x"}, "url: a password or token is not allowed"),
        ({"url": "https://token@example.org/x"}, "url: a password or token is not allowed"),
        ({"url": "https:///x"}, "url: invalid host name"),
        ({"url": "https://example.org/x", "token": "NOT_SET"}, "token: environment variable NOT_SET is not set"),
        ({"url": "ssh://git@example.org/x", "token": "HOME"}, "token: only allowed with https"),
        ({"url": "https://example.org/x", "name": "../x"}, "name: invalid value"),
        ({"url": "https://example.org/x", "branches": "main"}, "branches: must be a list"),
    ],
)
def test_dangerous_addresses_are_rejected(
    stub: StubServer, start_git: StartGit, repository_settings: dict[str, Any], words: str
) -> None:
    program = start_git(stub.url, repository_settings, FLYTE_GIT_PROTOCOLS="")
    assert program.exit_code() == 2
    (line,) = program.log
    assert line.startswith("Git: FLYTE_GIT_CONFIG: repositories[0].")
    assert words in line
    assert "secret" not in line


def test_a_server_cannot_redirect_git_to_a_different_protocol(
    stub: StubServer, start_git: StartGit, repository: Repository, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    marker = tmp_path / "ran"
    (home / ".gitconfig").write_text(
        f'[url "ext::touch {marker} "]\n\tinsteadOf = {repository.url}\n[core]\n\tsshCommand = touch {marker}\n'
    )
    start_git(stub.url, {"url": repository.url}, HOME=str(home))
    assert "transport 'ext' not allowed" in event(stub, "RepositoryUnreachable")["error"]
    assert not marker.exists()
