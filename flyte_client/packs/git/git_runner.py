"""Secure execution of git: neither the contents of a repository nor its server can run programs or read secrets."""

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

from flyte_client.packs.git.settings import WatchedRepository

MAX_OUTPUT_BYTES = 32 * 1024 * 1024
MAX_ERROR_LENGTH = 500
# The operator's variables for git that are needed to reach servers; others could change what git does here.
INHERITED_PREFIXES = ("GIT_SSH", "GIT_SSL", "GIT_ASKPASS")
CONFIG_OPTIONS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "http.followRedirects": "false",
    "gc.autoDetach": "false",
}


class GitError(Exception):
    """A failed git command; the message is git's, or ours for a timeout."""


@dataclass(frozen=True)
class GitRunner:
    """Runner for git commands; `timeout` is in seconds. Commands end with `GitError` when `stop_event` is set."""

    protocols: tuple[str, ...]
    timeout: float
    stop_event: threading.Event

    def run(
        self,
        folder: Path,
        arguments: Sequence[str],
        repository: WatchedRepository | None = None,
        allowed_codes: Sequence[int] = (0,),
    ) -> tuple[int, bytes]:
        """Run git; return the exit code and standard output. Raises `GitError` unless the code is in `allowed_codes`.

        With a `repository`, its token is sent to its server.
        """
        options = [part for name, value in CONFIG_OPTIONS.items() for part in ("-c", f"{name}={value}")]
        with tempfile.TemporaryFile() as stderr:
            try:
                process = subprocess.Popen(
                    ["git", *options, *arguments],
                    cwd=folder,
                    env=self._build_environment(repository),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    start_new_session=True,
                )
            except OSError as error:
                raise GitError(f"can't start git: {error.strerror}") from None
            with process:
                output = self._read_output(process)
            stderr.seek(0)
            error_text = stderr.read(MAX_OUTPUT_BYTES).decode(errors="replace").strip()
        if process.returncode not in allowed_codes:
            raise GitError(error_text[-MAX_ERROR_LENGTH:] or f"git {arguments[0]}: exit code {process.returncode}")
        return process.returncode, output

    def _read_output(self, process: "subprocess.Popen[bytes]") -> bytes:
        outputs: list[bytes] = []
        reader = threading.Thread(target=_collect_output, args=(process.stdout, outputs), name="git")
        reader.start()
        deadline = time.monotonic() + self.timeout
        abort_reason = ""
        while reader.is_alive() and not abort_reason:
            reader.join(0.1)
            abort_reason = self._find_abort_reason(deadline) if reader.is_alive() else ""
        if outputs and len(outputs[0]) > MAX_OUTPUT_BYTES:
            abort_reason = f"output of git too large, at most {MAX_OUTPUT_BYTES} bytes are allowed"
        if abort_reason:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            reader.join()
            raise GitError(abort_reason)
        return outputs[0] if outputs else b""

    def _find_abort_reason(self, deadline: float) -> str:
        if self.stop_event.is_set():
            return "the pack is shutting down"
        return f"git timed out after {self.timeout:g} seconds" if time.monotonic() > deadline else ""

    def _build_environment(self, repository: WatchedRepository | None) -> dict[str, str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(INHERITED_PREFIXES) or not name.startswith(("GIT_", "FLYTE_"))
        }
        return {
            "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
            **inherited,
            "GIT_ALLOW_PROTOCOL": ":".join(self.protocols),
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
            **(_token_environment(repository) if repository and repository.token else {}),
        }


def _collect_output(pipe: IO[bytes], outputs: list[bytes]) -> None:
    outputs.append(pipe.read(MAX_OUTPUT_BYTES + 1))


def _token_environment(repository: WatchedRepository) -> Mapping[str, str]:
    """Return git configuration with the token for this server only, in variables that other users can't read."""
    parts = urlsplit(repository.url)
    credentials = base64.b64encode(f"{repository.user}:{repository.token}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {credentials}",
    }
