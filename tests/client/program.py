"""A pack as a process, with its input, output and log."""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from tests import preloaded

from .stub_server import PATIENCE

ROOT = Path(__file__).resolve().parents[2]


class Program:
    """A Python program under test; `output` and `log` grow as it writes them."""

    def __init__(self, *arguments: str, environment: Mapping[str, str]) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("FLYTE_")}
        self._process = preloaded.start(
            arguments,
            env=clean | {"PYTHONUNBUFFERED": "1"} | dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.output: list[str] = []
        self.log: list[str] = []
        self._changed = threading.Condition()
        pairs = ((self._process.stdout, self.output), (self._process.stderr, self.log))
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in pairs]
        for reader in self._readers:
            reader.start()

    def type(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def end_input(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()

    def wait_for_output(self, text: str) -> None:
        self._wait_for(self.output, text)

    def wait_for_log(self, text: str) -> None:
        self._wait_for(self.log, text)

    def signal(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)

    def running(self) -> bool:
        return self._process.poll() is None

    def exit_code(self) -> int:
        """Wait for the program's end and return the exit code; fail on a timeout."""
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError("still running; its log: " + "".join(self.log)) from None
        for reader in self._readers:
            reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()

    def _read(self, source: IO[str], lines: list[str]) -> None:
        for line in source:
            with self._changed:
                lines.append(line)
                self._changed.notify_all()

    def _wait_for(self, lines: list[str], text: str) -> None:
        with self._changed:
            came = self._changed.wait_for(lambda: any(text in line for line in lines), PATIENCE)
        assert came, f"{text!r} did not come; output: {''.join(self.output)} log: {''.join(self.log)}"
