"""Runs git, so that neither names in a repository nor its server can make more of it than was meant."""

import base64
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from flyte_client.packs.git.settings import Repository

LARGEST_OUTPUT = 32 * 1024 * 1024
LONGEST_WORDS = 500
# Of what the operator has set for git, what is about reaching servers; all else could change what git does here.
KEPT = ("GIT_SSH", "GIT_SSL", "GIT_ASKPASS")
OPTIONS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "http.followRedirects": "false",
    "gc.autoDetach": "false",
}


class GitError(Exception):
    """git could not do it; the text is its own, or ours where it took too long."""


@dataclass(frozen=True)
class Git:
    """How git is run; `timeout` is in seconds. A command also ends, with `GitError`, when `ending` is set."""

    protocols: tuple[str, ...]
    timeout: float
    ending: threading.Event

    def run(
        self, folder: Path, arguments: Sequence[str], repository: Repository | None = None, fine: Sequence[int] = (0,)
    ) -> tuple[int, bytes]:
        """The exit code, which is one of `fine`, and standard output. Raises `GitError`.

        With a `repository` its token is shown to its server.
        """
        options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    ["git", *options, *arguments],
                    cwd=folder,
                    env=self._environment(repository),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                )
            except OSError as error:
                raise GitError(f"git can't be started: {error.strerror}") from None
            with process:
                output = self._read(process)
            errors.seek(0)
            words = errors.read(LARGEST_OUTPUT).decode(errors="replace").strip()
        if process.returncode not in fine:
            raise GitError(words[-LONGEST_WORDS:] or f"git {arguments[0]} ended with {process.returncode}")
        return process.returncode, output

    def _read(self, process: "subprocess.Popen[bytes]") -> bytes:
        outputs: list[bytes] = []
        reader = threading.Thread(target=_collect, args=(process.stdout, outputs), name="git")
        reader.start()
        deadline = time.monotonic() + self.timeout
        why = ""
        while reader.is_alive() and not why:
            reader.join(0.1)
            why = self._too_long(deadline) if reader.is_alive() else ""
        if outputs and len(outputs[0]) > LARGEST_OUTPUT:
            why = f"git wrote more than {LARGEST_OUTPUT} bytes"
        if why:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            reader.join()
            raise GitError(why)
        return outputs[0] if outputs else b""

    def _too_long(self, deadline: float) -> str:
        if self.ending.is_set():
            return "the pack is to end"
        return f"git took more than {self.timeout:g} seconds" if time.monotonic() > deadline else ""

    def _environment(self, repository: Repository | None) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(KEPT) or not name.startswith(("GIT_", "FLYTE_"))
        }
        return {
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            **kept,
            "GIT_ALLOW_PROTOCOL": ":".join(self.protocols),
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
            **(_token(repository) if repository and repository.token else {}),
        }


def _collect(pipe: IO[bytes], outputs: list[bytes]) -> None:
    outputs.append(pipe.read(LARGEST_OUTPUT + 1))


def _token(repository: Repository) -> Mapping[str, str]:
    """Configuration in the environment, where other users of the machine can't see it, for this server alone."""
    parts = urlsplit(repository.url)
    shown = base64.b64encode(f"{repository.user}:{repository.token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {shown}",
    }
