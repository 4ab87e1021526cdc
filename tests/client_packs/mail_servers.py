"""Local SMTP and IMAP servers for tests of the Email pack."""

import asyncio
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope
from imapclient import IMAPClient  # type: ignore[import-untyped]

from tests import processes
from tests.client.stub_server import PATIENCE
from tests.private_postgres import free_port

from .event_watcher import eventually

HOST = "127.0.0.1"


class Post:
    """The mails of an SMTP server; it refuses addresses that start with `no`, and temporarily those with `later`."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if address.startswith("no"):
            return "550 5.1.1 no such person"
        if address.startswith("later"):
            return "450 4.2.1 come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - as above
        self.envelopes.append(envelope)
        return "250 OK"

    def message(self) -> Any:
        (message,) = self.messages()
        return message

    def messages(self) -> list[Any]:
        contents = [envelope.content for envelope in self.envelopes]
        return [
            message_from_bytes(content, policy=policy.default) for content in contents if isinstance(content, bytes)
        ]


StartSmtp = Callable[..., tuple[Post, dict[str, str]]]
"""A function that starts an SMTP server with options of aiosmtpd; it returns the mails and the pack's variables."""


@contextmanager
def smtp_servers() -> Iterator[StartSmtp]:
    controllers: list[Controller] = []

    def start(security: str = "none", **options: Any) -> tuple[Post, dict[str, str]]:
        post = Post()
        controllers.append(Controller(post, hostname=HOST, port=free_port(), **options))
        controllers[-1].start()
        variables = {"HOST": HOST, "PORT": str(controllers[-1].port), "SECURITY": security}
        return post, {f"FLYTE_SMTP_{name}": value for name, value in variables.items()} | {
            "FLYTE_EMAIL_FROM": "Flyte <flyte@example.org>"
        }

    try:
        yield start
    finally:
        for controller in controllers:
            controller.stop()


@dataclass
class Certificate:
    """A CA's file, and a server's certificate from that CA."""

    authority: Path
    file: Path
    context: ssl.SSLContext


@dataclass
class Imap:
    """An IMAP server with one mailbox, and the pack's variables for it."""

    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def variables(self) -> dict[str, str]:
        settings = {"HOST": HOST, "PORT": str(self.port), "SECURITY": "none", "USER": "me", "PASSWORD": "pw"}
        return {f"FLYTE_IMAP_{name}": value for name, value in settings.items()} | {"FLYTE_IMAP_POLL_SECONDS": "0.3"}

    def client(self) -> Any:
        client = IMAPClient(HOST, self.port, ssl=False, timeout=PATIENCE)
        client.login("me", "pw")
        return client

    def deliver(self, raw: bytes) -> None:
        with self.client() as client:
            client.append("INBOX", raw.replace(b"\n", b"\r\n"))

    def unseen(self, folder: str = "INBOX", criteria: str = "UNSEEN") -> int:
        with self.client() as client:
            client.select_folder(folder, readonly=True)
            return len(client.search([criteria]))


StartImap = Callable[..., Imap]
"""A function that starts an IMAP server on a port; with a certificate it supports STARTTLS."""


@contextmanager
def imap_servers() -> Iterator[StartImap]:
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int, certificate: Certificate | None = None) -> Imap:
        tls = ["--cert", certificate.file, "--key", certificate.file] if certificate else ["--no-tls"]
        arguments = [*tls, "--host", HOST, "--port", str(port), "dict", "--demo-user", "me", "--demo-password", "pw"]
        command = [str(Path(sys.executable).with_name("pymap")), *map(str, arguments)]
        process = processes.start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started.append(process)
        eventually(lambda: listens(port), "the IMAP server did not start")
        return Imap(port, process)

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


@contextmanager
def tls_before(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """Open a TLS port that forwards its decrypted data to a different port."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(HOST, port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(relay, HOST, 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def raw_mail(number: int = 1, message_id: str = "", body: bytes = b"Hello\n") -> bytes:
    name = (message_id or f"<{number}@example.com>").encode()
    return b"From: Ann <ann@example.com>\nTo: help@example.org\nSubject: n %d\nMessage-ID: %s\n\n%s" % (
        number,
        name,
        body,
    )
