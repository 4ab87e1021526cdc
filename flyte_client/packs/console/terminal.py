"""A terminal with a prompt on its last line, above which messages and log lines are printed."""

import threading
from collections.abc import Iterator
from typing import Protocol

ERASE_LINE = "\r\x1b[K"


class OutputStream(Protocol):
    """The methods of a text stream that the pack uses."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...


class PromptTerminal:
    """A prompt, which is erased before other output and printed again after it."""

    def __init__(self, output: OutputStream, prompt: str) -> None:
        self._output = output
        self._prompt = prompt
        self._lock = threading.RLock()

    def wrap(self, stream: OutputStream) -> OutputStream:
        """Return a stream that prints above the prompt; wrap all streams that write to this terminal."""
        return _PromptedStream(self, stream)

    def iter_lines(self, lines: Iterator[str]) -> Iterator[str]:
        """Yield the typed lines; print the prompt at the start, and after each line has been processed."""
        self.print_above(self._output, "")
        for line in lines:
            yield line
            self.print_above(self._output, "")
        self.close()

    def print_above(self, stream: OutputStream, text: str) -> None:
        """Print a text, which ends its line, above the prompt."""
        with self._lock:
            stream.write(f"{ERASE_LINE}{text}")
            stream.flush()
            self._output.write(self._prompt)
            self._output.flush()

    def close(self) -> None:
        """Erase the prompt; from now on print without one."""
        with self._lock:
            self._prompt = ""
            self.print_above(self._output, "")


class _PromptedStream:
    def __init__(self, terminal: PromptTerminal, stream: OutputStream) -> None:
        self._terminal = terminal
        self._stream = stream

    def write(self, text: str, /) -> int:
        self._terminal.print_above(self._stream, text)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return True
