"""The Email pack's receiver: events for mails, and marking of mails."""

from typing import Any

import pytest

from tests.client.stub_server import StubResponse, StubServer
from tests.examples.world import ExampleClient, states
from tests.private_postgres import free_port
from tests.server import Server

from .conftest import StartPack
from .event_watcher import eventually, seen, watch
from .mail_servers import HOST, Certificate, Imap, StartImap, StartSmtp, raw_mail, tls_before

pytestmark = pytest.mark.integration


def received(stub: StubServer, count: int) -> list[Any]:
    return [call.body["payload"]["subject"] for call in stub.wait_for("event", count, event="EmailReceived")]


@pytest.mark.acceptance
def test_a_mail_is_answered_once_by_receiver_and_sender(
    world: ExampleClient, packs_server: Server, start_pack: StartPack, start_smtp: StartSmtp, imap: Imap
) -> None:
    post, smtp = start_smtp()
    world.load("support.yaml")
    program = start_pack("email", packs_server.url, **smtp, **imap.variables)
    program.wait_for_log("mailbox_opened")
    imap.deliver(raw_mail(7))
    execution = eventually(lambda: world.executions("support", state="succeeded"))
    assert len(execution) == 1
    answer = post.message()
    assert (answer["To"], answer["Subject"], answer["In-Reply-To"]) == ("ann@example.com", "Re: n 7", "<7@example.com>")
    assert states(world.execution("support")) == {"answer": "SUCCESS"}
    imap.deliver(answer.as_bytes())
    eventually(lambda: imap.unseen() == 0)
    assert world.outcomes("support", "EmailReceived")["answer"]["outcome"] == "criteria", "it answered a machine"
    program.signal()
    assert program.exit_code() == 0


@pytest.mark.acceptance
def test_a_mail_starts_its_flow_once_even_if_it_is_unread_again(
    world: ExampleClient, packs_server: Server, start_pack: StartPack, imap: Imap
) -> None:
    watch(world, "Email", "EmailReceived")
    start_pack("email", packs_server.url, **imap.variables)
    for number in (1, 1, 2):
        imap.deliver(raw_mail(number))
    eventually(lambda: len(seen(world, "Email", "EmailReceived")) == 2 and imap.unseen() == 0)
    assert [mail["subject"] for mail in seen(world, "Email", "EmailReceived")] == ["n 1", "n 2"]


def test_a_mail_is_marked_as_read_only_when_flyte_has_it(stub: StubServer, start_pack: StartPack, imap: Imap) -> None:
    stub.script("event", StubResponse(503, headers={"Retry-After": "3600"}))
    imap.deliver(raw_mail())
    program = start_pack("email", stub.url, **imap.variables)
    stub.wait_for("event")
    program.wait_for_log("server_away")
    assert imap.unseen() == 1
    program.kill()
    start_pack("email", stub.url, **imap.variables)
    first, second = stub.wait_for("event", 2)
    eventually(lambda: imap.unseen() == 0)
    assert first.body == second.body
    assert {call.headers["Idempotency-Key"] for call in (first, second)} == {"email/<1@example.com>"}


def test_a_duplicate_mail_is_marked_as_read(stub: StubServer, start_pack: StartPack, imap: Imap) -> None:
    stub.script("event", StubResponse(422))
    imap.deliver(raw_mail())
    start_pack("email", stub.url, **imap.variables)
    eventually(lambda: imap.unseen() == 0)
    assert len(stub.of("event")) == 1


def test_a_rejected_mail_stays_and_does_not_block_the_others(
    stub: StubServer, start_pack: StartPack, imap: Imap
) -> None:
    stub.script("event", StubResponse(413))
    imap.deliver(raw_mail(1))
    imap.deliver(raw_mail(2))
    program = start_pack("email", stub.url, **imap.variables)
    assert received(stub, 2) == ["n 1", "n 2"]
    program.wait_for_log("mail_left")
    imap.deliver(raw_mail(3))
    assert received(stub, 3) == ["n 1", "n 2", "n 3"]
    eventually(lambda: imap.unseen() == 1)


def test_an_expired_token_loses_no_mail(stub: StubServer, start_pack: StartPack, imap: Imap) -> None:
    stub.script("event", StubResponse(401))
    imap.deliver(raw_mail())
    start_pack("email", stub.url, **imap.variables)
    assert received(stub, 2) == ["n 1", "n 1"]
    eventually(lambda: imap.unseen() == 0)


def test_processed_mail_is_moved(stub: StubServer, start_pack: StartPack, imap: Imap) -> None:
    with imap.client() as client:
        client.create_folder("Done")
    imap.deliver(raw_mail())
    start_pack("email", stub.url, **imap.variables, FLYTE_IMAP_MOVE_TO="Done")
    eventually(lambda: imap.unseen("Done", "SEEN") == 1)
    assert imap.unseen("INBOX", "ALL") == 0


def test_the_server_notifies_of_mail_before_the_next_poll(stub: StubServer, start_pack: StartPack, imap: Imap) -> None:
    program = start_pack("email", stub.url, **(imap.variables | {"FLYTE_IMAP_POLL_SECONDS": "3600"}))
    program.wait_for_log("mailbox_opened")
    for number in range(1, 4):
        imap.deliver(raw_mail(number))
        received(stub, number)
    program.signal()
    assert program.exit_code() == 0


def test_large_mail_has_only_headers(stub: StubServer, start_pack: StartPack, imap: Imap) -> None:
    imap.deliver(raw_mail(body=b"x" * 2000))
    start_pack("email", stub.url, **imap.variables, FLYTE_IMAP_MAX_BYTES="1000")
    received(stub, 1)
    payload = stub.of("event")[0].body["payload"]
    assert (payload["complete"], payload["text"], payload["size"] > 2000) == (False, "", True)


def test_an_unreachable_mailbox_and_its_recovery_are_reported_once(
    stub: StubServer, start_pack: StartPack, start_imap: StartImap
) -> None:
    imap = start_imap(free_port())
    program = start_pack("email", stub.url, **imap.variables)
    program.wait_for_log("mailbox_opened")
    imap.process.kill()
    imap.process.wait()
    payload = stub.wait_for("event", event="MailboxUnreachable")[0].body["payload"]
    assert (payload["host"], payload["folder"]) == (HOST, "INBOX")
    eventually(lambda: sum("mailbox_unreachable" in line for line in program.log) > 1)
    start_imap(imap.port).deliver(raw_mail())
    stub.wait_for("event", event="MailboxReachable")
    received(stub, 1)
    assert len(stub.of("event")) == 3


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mailbox_is_opened_over_tls_with_a_trusted_certificate(
    stub: StubServer,
    start_pack: StartPack,
    start_imap: StartImap,
    certificate: Certificate,
    security: str,
    trusted: bool,
) -> None:
    imap = start_imap(free_port(), certificate if security == "starttls" else None)
    variables = imap.variables | {"FLYTE_IMAP_SECURITY": security}
    if trusted:
        variables["SSL_CERT_FILE"] = str(certificate.authority)
    with tls_before(imap.port, certificate.context) as port:
        if security == "tls":
            variables["FLYTE_IMAP_PORT"] = str(port)
        program = start_pack("email", stub.url, **variables)
        if trusted:
            program.wait_for_log("mailbox_opened")
        else:
            (call,) = stub.wait_for("event", event="MailboxUnreachable")
            assert "CERTIFICATE_VERIFY_FAILED" in call.body["payload"]["error"]
        program.signal()
        assert program.exit_code() == 0
