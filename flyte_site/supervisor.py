"""Several processes as one: what ends by itself is started again, a stop stops all of them.

Plain `subprocess`, since what there is does something else: honcho ends everything when one process ends, supervisor
gives up on a process and stays up without it, circus opens control ports and brings an event loop; all of them are
longer than this to set up.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)

# What ends with an error this soon after the very first start can't run at all: a port in use, say.
FIRST_SECONDS = 20.0
# What ran for so long is started again at once; each time it ends sooner, it waits twice as long.
STEADY_SECONDS = 60.0
MOST_SECONDS = 30.0
# More than any of the processes takes to finish what is under way.
STOP_SECONDS = 40.0

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_PARENT_DEATH_SIGNAL = 1


@dataclass
class Child:
    """A process that is to run: `command` is started anew whenever it has ended. Times are `time.monotonic()`.

    One that `reloads` is told of SIGHUP, the others would end by it.
    """

    name: str
    command: Sequence[str]
    reloads: bool = False
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    quick_ends: int = 0
    started_at: float = 0.0
    start_at: float = 0.0

    def start(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(self.command, env=environment, preexec_fn=_end_with_parent)
        self.starts, self.started_at = self.starts + 1, time.monotonic()
        log.info("process_started", process=self.name, pid=self.process.pid, starts=self.starts)

    def ended(self) -> int | None:
        """Notes that it has ended, if it has, and when to start it again; its exit code then."""
        code = self.process.poll() if self.process else None
        if code is None:
            return None
        ran = time.monotonic() - self.started_at
        self.process = None
        self.quick_ends = 0 if ran >= STEADY_SECONDS else self.quick_ends + 1
        self.start_at = time.monotonic() + delay(self.quick_ends)
        log.warning("process_ended", process=self.name, code=code, seconds=round(ran, 1))
        return code

    def never_ran(self, code: int) -> bool:
        """Whether it ended with an error of its own as soon as it was first started."""
        return self.starts == 1 and code > 0 and time.monotonic() - self.started_at < FIRST_SECONDS


def delay(quick_ends: int) -> float:
    """Seconds to wait before the next start: none after a steady run, then 1, 2, 4 … up to a bound."""
    return min(2.0 ** (quick_ends - 1), MOST_SECONDS) if quick_ends else 0.0


@dataclass
class Supervisor:
    """Runs the children until it is told to stop. `environment` is theirs."""

    children: Sequence[Child]
    environment: Mapping[str, str]
    stop_seconds: float = STOP_SECONDS
    signals: list[int] = field(default_factory=list)
    hangups: list[int] = field(default_factory=list)

    def run(self) -> int:
        """Gives the exit code: 0 after a stop, a child's own if it could not run at all, 1 if one had to be killed."""
        with self._hearing_signals() as wakeup:
            try:
                while not self.signals and not (code := self._look_after()):
                    self._wait(wakeup, self._seconds_to_next_start())
            finally:
                killed = self._stop(wakeup)
        return killed or (0 if self.signals else code)

    def _look_after(self) -> int:
        """Starts what does not run and may be started; the exit code of one that never ran, else 0."""
        self._pass_on_hangups()
        for child in self.children:
            code = child.ended()
            if code is not None and child.never_ran(code):
                return code
            if child.process is None and child.start_at <= time.monotonic() and not self.signals:
                child.start(self.environment)
        return 0

    def _pass_on_hangups(self) -> None:
        if self.hangups:
            self.hangups.clear()
            for child in self.children:
                if child.reloads and child.process and child.process.poll() is None:
                    child.process.send_signal(signal.SIGHUP)

    def _seconds_to_next_start(self) -> float | None:
        waiting = [child.start_at - time.monotonic() for child in self.children if child.process is None]
        return max(min(waiting), 0.0) if waiting else None

    def _stop(self, wakeup: int) -> int:
        """Tells all to stop and waits for them; those that don't, or all on a second signal, are killed."""
        running = [child.process for child in self.children if child.process and child.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self.stop_seconds
        told = len(self.signals)
        while any(process.poll() is None for process in running):
            if time.monotonic() >= deadline or len(self.signals) > max(told, 1):
                return _kill(running)
            self._wait(wakeup, deadline - time.monotonic())
        return 0

    def _wait(self, wakeup: int, seconds: float | None) -> None:
        """Until a signal comes, such as that of a child that ended."""
        if select.select([wakeup], [], [], None if seconds is None else max(seconds, 0.0))[0]:
            os.read(wakeup, 512)

    @contextmanager
    def _hearing_signals(self) -> Iterator[int]:
        """Notes the signals that ask to stop; gives a file descriptor that can be read from after any signal."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        earlier_fd = signal.set_wakeup_fd(writing)
        # Ctrl-C is heard, though a shell has its background jobs ignore it: the children would stop, and be started
        # again. SIGHUP says that the terminal is gone, or, while it is there or there was none, that an operator asks
        # to reload. Under nohup the end of the terminal is none of ours.
        stays = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN or not has_terminal()
        earlier = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        earlier[signal.SIGHUP] = signal.signal(
            signal.SIGHUP, lambda number, _: (self.hangups if stays or has_terminal() else self.signals).append(number)
        )
        earlier[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield reading
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(earlier_fd)
            os.close(reading)
            os.close(writing)

    def _note(self, number: int, _: object) -> None:
        self.signals.append(number)


def has_terminal() -> bool:
    """Whether there is a terminal that this process belongs to."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _kill(processes: Sequence["subprocess.Popen[bytes]"]) -> int:
    for process in processes:
        if process.poll() is None:
            log.error("process_killed", pid=process.pid)
            process.kill()
            process.wait()
    return 1


def _end_with_parent() -> None:
    """In a child: be told to stop when the supervisor is gone, however it ended. Linux alone knows how."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
