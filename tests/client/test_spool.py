"""The spool: messages that were not delivered before the pack's end are delivered by the next run."""

import json
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flyte_client import Event, Pack, RefusedError, ServerAwayError, SettingsError
from flyte_client.transport.spool import Spool, SpooledMessage
from tests.private_postgres import free_port

from .conftest import Running, Start
from .program import Program
from .stub_server import StubResponse, StubServer

pytestmark = pytest.mark.integration

AWAY = StubResponse(503, headers={"Retry-After": "0"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLYTE_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool" / "Echo"


def echo_pack(stub: StubServer, name: str = "Echo") -> Pack:
    pack = Pack(name, api_url=stub.url, poll_interval=0.02, stop_grace=0.0)

    @pack.command("Say", events=["Said"])
    def say(action_input: Any) -> Event:
        return Event("Said", {"said": action_input})

    return pack


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parcel"))


def leave_result(stub: StubServer, running: Running, pack: Pack) -> None:
    """Let the pack end with an undelivered result."""
    stub.script("result", *[AWAY] * 10_000)
    stub.queue("Say", "é")
    with running(pack):
        stub.wait_for("result")
    stub.unscript("result")


def test_a_result_is_delivered_unchanged_at_the_next_start_before_any_take(
    stub: StubServer, running: Running, folder: Path
) -> None:
    leave_result(stub, running, echo_pack(stub))
    (file,) = files(folder)
    first = stub.of("result")[0]
    head, _, body = file.read_bytes().partition(b"\n")
    assert json.loads(head) == {"url": stub.url + first.path, "key": ""}
    assert json.loads(body) == first.body
    before = len(stub.calls)
    with running(echo_pack(stub)):
        stub.wait_for("take", len(stub.of("take")) + 1)
    kinds = [call.kind for call in stub.calls[before:]]
    assert kinds.index("packs") < kinds.index("result") < kinds.index("take")
    assert kinds.count("result") == 1
    assert len({(call.path, str(call.body)) for call in stub.of("result")}) == 1
    assert files(folder) == []


def test_an_event_is_delivered_at_the_next_start_with_its_key_and_time(
    stub: StubServer, running: Running, folder: Path
) -> None:
    pack = echo_pack(stub)
    stub.script("event", *[AWAY] * 10_000)
    with running(pack):
        stub.wait_for("take")
        pack.stop()
        with pytest.raises(ServerAwayError):
            pack.send("Heard", {"n": 1})
    assert len(files(folder)) == 1
    first = stub.of("event")[0]
    stub.unscript("event")
    echo_pack(stub).send("Heard", {"n": 2})
    *_, again, new = stub.of("event")
    assert (again.body, again.headers["Idempotency-Key"]) == (first.body, first.headers["Idempotency-Key"])
    assert new.body["payload"] == {"n": 2}
    assert files(folder) == []


def test_delivered_messages_are_not_spooled(stub: StubServer, running: Running, folder: Path) -> None:
    pack = echo_pack(stub)
    stub.queue("Say", 1)
    with running(pack):
        stub.wait_for("result")
        pack.send("Heard")
    assert folder.is_dir()
    assert files(folder) == []


def test_a_spooled_message_is_readable_only_by_its_owner(stub: StubServer, running: Running, folder: Path) -> None:
    leave_result(stub, running, echo_pack(stub))
    (file,) = files(folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("status", "remaining"), [(400, 0), (404, 0), (409, 0), (413, 0), (422, 0), (401, 1), (403, 1)]
)
def test_only_messages_that_the_server_can_never_accept_are_dropped(
    stub: StubServer, running: Running, folder: Path, status: int, remaining: int
) -> None:
    leave_result(stub, running, echo_pack(stub))
    for _ in range(2 if remaining else 1):
        stub.script("result", *[StubResponse(status)] * (2 if status == 404 else 1))
        with running(echo_pack(stub)):
            stub.wait_for("take", len(stub.of("take")) + 1)
        assert len(files(folder)) == remaining


def test_a_rejected_pack_keeps_its_results(stub: StubServer, running: Running, folder: Path) -> None:
    leave_result(stub, running, echo_pack(stub))
    for kind, status in (("root", 404), ("packs", 400)):
        stub.script(kind, StubResponse(status))
        with pytest.raises(RefusedError):
            echo_pack(stub).run()
        stub.script(kind, StubResponse(status))
        with pytest.raises(RefusedError):
            echo_pack(stub, "Other").send("Heard")
    assert len(files(folder)) == 1
    assert len(files(folder.parent / "Other")) == 2


def test_an_event_with_a_deadline_is_not_spooled(stub: StubServer, folder: Path) -> None:
    stub.script("event", AWAY)
    with pytest.raises(ServerAwayError):
        echo_pack(stub).send("Heard", key="heard/1", within=0)
    assert files(folder) == []


def test_a_rejected_event_is_not_spooled(stub: StubServer, folder: Path) -> None:
    stub.script("event", StubResponse(400))
    with pytest.raises(RefusedError):
        echo_pack(stub).send("Heard")
    assert files(folder) == []


def test_an_undeliverable_message_blocks_nothing_and_is_retried(
    stub: StubServer, running: Running, folder: Path
) -> None:
    elsewhere = StubServer()
    elsewhere.port = free_port()
    with_spool(
        folder, lambda spool: spool.add(SpooledMessage(b'{"event": "Said"}', f"{elsewhere.url}/p/Echo/work/a9/done"))
    )
    leave_result(stub, running, echo_pack(stub))
    assert len(files(folder)) == 2
    try:
        with running(echo_pack(stub)):
            stub.queue("Say", "new", action="a2")
            stub.wait_for("result", payload={"said": "new"})
            elsewhere.start()
            elsewhere.wait_for("result", event="Said")
        assert files(folder) == []
    finally:
        elsewhere.stop()


def test_an_unreadable_file_stays_and_an_unfinished_file_is_deleted(
    stub: StubServer, running: Running, folder: Path
) -> None:
    leave_result(stub, running, echo_pack(stub))
    (folder / "0-broken.parcel").write_text("{")
    (folder / "1-unfinished.parcel.new").write_text("{")
    with running(echo_pack(stub)):
        stub.wait_for("take", len(stub.of("take")) + 1)
    assert [file.name for file in folder.iterdir() if file.name != "lock"] == ["0-broken.parcel"]


def test_a_week_old_result_is_dropped_but_an_event_is_not(stub: StubServer, folder: Path) -> None:
    with_spool(
        folder,
        lambda spool: [spool.add(SpooledMessage(b"{}", url=stub.url)), spool.add(SpooledMessage(b"{}", key="k"))],
    )
    for file in files(folder):
        file.rename(folder / f"{time.time_ns() - 8 * 24 * 3600 * 10**9:020d}-{file.name}")
    left: list[SpooledMessage] = []
    with_spool(folder, lambda spool: left.extend(parcel for _, parcel in spool.iter_messages()))
    assert [parcel.key for parcel in left] == ["k"]
    assert len(files(folder)) == 1


def test_a_failed_write_to_the_spool_blocks_no_result(stub: StubServer, running: Running, folder: Path) -> None:
    pack = echo_pack(stub)
    with running(pack):
        stub.wait_for("take")
        shutil.rmtree(folder)
        stub.queue("Say", 1)
        stub.wait_for("result")
        pack.send("Heard")


def test_a_folder_in_use_by_another_process_is_reported(stub: StubServer, folder: Path) -> None:
    def send_meanwhile(_: Spool) -> None:
        with pytest.raises(SettingsError, match=r"^FLYTE_SPOOL: .* is in use by another process"):
            echo_pack(stub).send("Heard")

    with_spool(folder, send_meanwhile)
    echo_pack(stub).send("Heard")


def test_a_folder_that_cannot_be_created_is_reported(stub: StubServer, tmp_path: Path, start: Start) -> None:
    (tmp_path / "file").write_text("")
    program = start("-m", "flyte_client", "shell", FLYTE_SPOOL=str(tmp_path / "file"))
    assert program.exit_code() == 2
    assert program.log[-1].startswith("Shell: FLYTE_SPOOL: ")


@pytest.mark.parametrize("name", ["..", "a/b", "é" * 200, "Echo"])
def test_each_pack_has_a_separate_folder(tmp_path: Path, name: str) -> None:
    labelled = Spool(tmp_path, name, {"env": "prod"})
    plain = Spool(tmp_path, name, {})
    assert labelled.add(SpooledMessage(b"1"))
    assert [parcel for _, parcel in plain.iter_messages()] == []
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2
    labelled.close()
    plain.close()


def test_a_pack_that_is_killed_before_its_result_arrived_delivers_it_after_its_restart(
    stub: StubServer, start: Start, tmp_path: Path
) -> None:
    def shell() -> Program:
        return start("-m", "flyte_client", "shell", FLYTE_SPOOL=str(tmp_path))

    stub.script("result", *[AWAY] * 10_000)
    stub.queue("Shell", "echo once")
    killed = shell()
    stub.wait_for("result")
    killed.kill()
    stub.unscript("result")
    before = len(stub.of("result"))
    shell()
    calls = stub.wait_for("result", before + 1)
    assert calls[-1].body == calls[0].body
    assert calls[0].body["payload"]["stdout"] == "once\n"


def with_spool(folder: Path, use: Callable[[Spool], object]) -> None:
    """Use the folder from a second process."""
    spool = Spool(folder.parent, folder.name, {})
    try:
        use(spool)
    finally:
        spool.close()
