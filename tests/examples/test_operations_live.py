"""The flows of examples/operations with a real server, and the real Webhook, Shell and Email packs."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.program import Program
from tests.client_packs.event_watcher import eventually
from tests.client_packs.mail_servers import Imap, Post, imap_servers, smtp_servers
from tests.private_postgres import free_port
from tests.server import Server

from .operations import (
    FLOWS,
    TEAMS,
    WEBHOOK_SETTINGS,
    OperationCase,
    build_request,
    read_cases,
    read_event,
    write_programs,
)
from .world import SECONDS, ExampleClient, link, states

pytestmark = pytest.mark.acceptance

# The first case of each flow.
CASES = [case for case in read_cases() if case.name.endswith("-1")]


class Operations:
    """A server with all flows, and the packs Shell, Webhook and Email."""

    def __init__(self, world: ExampleClient, programs: Path, start: Callable[..., Program]) -> None:
        self.world = world
        self.programs = programs
        self._start = start
        self._webhook_port = free_port()

    def start_packs(self, post_settings: dict[str, str], imap: Imap) -> None:
        path = f"{self.programs}:{os.environ['PATH']}"
        self._start("shell", PATH=path, FLYTE_SHELL_FOLDER=str(self.programs))
        webhook = self._start("webhook", FLYTE_WEBHOOK_PORT=str(self._webhook_port), **WEBHOOK_SETTINGS)
        self._start("email", **post_settings, **imap.variables, FLYTE_IMAP_ATTACHMENT_BYTES="100000")
        webhook.wait_for_log("hook_ready")
        eventually(lambda: len(self.world.get(link(self.world.links, "/listPacks"))["packs"]) == 3)

    def send(self, case: OperationCase, imap: Imap) -> None:
        """Send the event of a case as its source does; ticks are posted as the Timer pack posts them."""
        if "message" in case.fields:
            imap.deliver(case.fields["message"].encode())
        elif "request" in case.fields:
            path, headers, body = build_request(case)
            url = f"http://127.0.0.1:{self._webhook_port}{path}"
            answer = httpx.post(url, content=body, headers=dict(headers), trust_env=False, timeout=SECONDS)
            assert answer.status_code == 202, (case.name, answer.text)
        else:
            self.world.pack("Timer").send_event(*read_event(case)[1:])


@pytest.fixture
def operations(world: ExampleClient, examples_server: Server, tmp_path: Path) -> Iterator[Operations]:
    with ExitStack() as packs:

        def start(name: str, **settings: str) -> Program:
            environment = {"FLYTE_API": examples_server.url, "FLYTE_POLL_INTERVAL": "0.05"} | settings
            program = Program("-m", f"flyte_client.packs.{name}", environment=environment)
            packs.callback(program.kill)
            return program

        yield Operations(world, tmp_path / "bin", start)


def test_each_flow_has_the_expected_result_with_real_packs(operations: Operations) -> None:
    world = operations.world
    value = ("teams.json", json.dumps(TEAMS), "application/json")
    put = world.http.put(f"{link(world.links, '/listDatastoreItems')}/mail_of_teams", files={"value": value})
    assert put.status_code == 201, put.text
    for path in sorted(FLOWS.glob("*.yaml")):
        headers = {"content-type": "application/x-yaml"}
        saved = world.http.post(link(world.links, "/listFlows"), content=path.read_bytes(), headers=headers)
        assert saved.status_code == 201, saved.text
    with smtp_servers() as start_smtp, imap_servers() as start_imap:
        post, smtp_settings = start_smtp()
        imap = start_imap(free_port())
        operations.programs.mkdir()
        operations.start_packs(smtp_settings, imap)
        for case in CASES:
            write_programs(case, operations.programs)
            operations.send(case, imap)
            execution = eventually(partial(find_finished, world, case), f"{case.name} did not finish")
            assert_actions(case, execution)
        assert_mails(post)
    assert len(world.executions()) == len(CASES)


def find_finished(world: ExampleClient, case: OperationCase) -> Any:
    """Return the execution of the case's flow when all its actions have ended, else None."""
    executions = world.executions(case.flow)
    if not executions:
        return None
    execution = world.get(link(executions[0]["links"], "self"))
    count = len(case.scripts) + bool(case.mail)
    is_finished = list(states(execution).values()) == ["SUCCESS"] * count
    assert "FATAL" not in states(execution).values(), execution
    return execution if is_finished else None


def assert_actions(case: OperationCase, execution: Any) -> None:
    """Assert that the scripts and the mail had the expected inputs, and the scripts the expected output."""
    actions = list(execution["actions"].values())
    scripts = [action for action in actions if action["packName"] == "Shell"]
    for action, expected in zip(scripts, case.scripts, strict=True):
        data = action["input"] if isinstance(action["input"], dict) else {}
        assert {key: data.get(key) for key in ("env", "stdin")} == {key: expected.get(key) for key in ("env", "stdin")}
        if "stdout" in expected:
            assert action["result"]["payload"]["stdout"] == expected["stdout"], case.name
    mails = [action for action in actions if action["packName"] == "Email"]
    assert [action["input"] for action in mails] == ([case.mail] if case.mail else [])
    assert [action["result"]["event"] for action in mails] == ["EmailSent"] * len(mails)


def assert_mails(post: Post) -> None:
    """Assert that the SMTP server got each expected mail, with the expected text."""
    received: list[EmailMessage] = post.messages()
    expected = [case for case in CASES if case.mail]
    assert len(received) == len(expected)
    for message, case in zip(received, expected, strict=True):
        assert message["Subject"] == case.fields.get("sent_subject", case.mail["subject"])
        body = message.get_body(("plain",))
        assert body is not None
        assert body.get_content().replace("\r\n", "\n").rstrip("\n") == case.mail["text"].rstrip("\n")
