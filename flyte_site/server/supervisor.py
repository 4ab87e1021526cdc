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
STARTUP_SECONDS = 20.0
# What ran for so long is started again at once; each time it ends sooner, it waits twice as long.
STABLE_SECONDS = 60.0
MAX_BACKOFF_SECONDS = 30.0
# More than any of the processes takes to finish what is under way.
STOP_TIMEOUT_SECONDS = 40.0

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_PARENT_DEATH_SIGNAL = 1


@dataclass
class ChildProcess:
    """A process that is to run: `command` is started anew whenever it has ended. Times are `time.monotonic()`.

    One that `reloads` is told of SIGHUP, the others would end by it.
    """

    name: str
    command: Sequence[str]
    reloads_on_hangup: bool = False
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    quick_exits: int = 0
    started_at: float = 0.0
    next_start_at: float = 0.0

    def start(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(self.command, env=environment, preexec_fn=_end_with_parent)
        self.starts, self.started_at = self.starts + 1, time.monotonic()
        log.info("process_started", process=self.name, pid=self.process.pid, starts=self.starts)

    def reap(self) -> int | None:
        """Notes that it has ended, if it has, and when to start it again; its exit code then."""
        code = self.process.poll() if self.process else None
        if code is None:
            return None
        run_seconds = time.monotonic() - self.started_at
        self.process = None
        self.quick_exits = 0 if run_seconds >= STABLE_SECONDS else self.quick_exits + 1
        self.next_start_at = time.monotonic() + get_restart_delay(self.quick_exits)
        log.warning("process_ended", process=self.name, code=code, seconds=round(run_seconds, 1))
        return code

    def has_failed_to_start(self, code: int) -> bool:
        """Whether it ended with an error of its own as soon as it was first started."""
        return self.starts == 1 and code > 0 and time.monotonic() - self.started_at < STARTUP_SECONDS


def get_restart_delay(quick_exits: int) -> float:
    """Seconds to wait before the next start: none after a steady run, then 1, 2, 4 … up to a bound."""
    return min(2.0 ** (quick_exits - 1), MAX_BACKOFF_SECONDS) if quick_exits else 0.0


@dataclass
class Supervisor:
    """Runs the children until it is told to stop. `environment` is theirs."""

    children: Sequence[ChildProcess]
    environment: Mapping[str, str]
    stop_timeout: float = STOP_TIMEOUT_SECONDS
    stop_signals: list[int] = field(default_factory=list)
    hangups: list[int] = field(default_factory=list)

    def run(self) -> int:
        """Gives the exit code: 0 after a stop, a child's own if it could not run at all, 1 if one had to be killed."""
        with self._catch_signals() as wakeup:
            try:
                while not self.stop_signals and not (code := self._restart_children()):
                    self._wait(wakeup, self._seconds_to_next_start())
            finally:
                killed = self._stop(wakeup)
        return killed or (0 if self.stop_signals else code)

    def _restart_children(self) -> int:
        """Starts what does not run and may be started; the exit code of one that never ran, else 0."""
        self._forward_hangups()
        for child in self.children:
            code = child.reap()
            if code is not None and child.has_failed_to_start(code):
                return code
            if child.process is None and child.next_start_at <= time.monotonic() and not self.stop_signals:
                child.start(self.environment)
        return 0

    def _forward_hangups(self) -> None:
        if self.hangups:
            self.hangups.clear()
            for child in self.children:
                if child.reloads_on_hangup and child.process and child.process.poll() is None:
                    child.process.send_signal(signal.SIGHUP)

    def _seconds_to_next_start(self) -> float | None:
        delays = [child.next_start_at - time.monotonic() for child in self.children if child.process is None]
        return max(min(delays), 0.0) if delays else None

    def _stop(self, wakeup: int) -> int:
        """Tells all to stop and waits for them; those that don't, or all on a second signal, are killed."""
        running = [child.process for child in self.children if child.process and child.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self.stop_timeout
        signals_before = len(self.stop_signals)
        while any(process.poll() is None for process in running):
            if time.monotonic() >= deadline or len(self.stop_signals) > max(signals_before, 1):
                return _kill_processes(running)
            self._wait(wakeup, deadline - time.monotonic())
        return 0

    def _wait(self, wakeup: int, seconds: float | None) -> None:
        """Until a signal comes, such as that of a child that ended."""
        if select.select([wakeup], [], [], None if seconds is None else max(seconds, 0.0))[0]:
            os.read(wakeup, 512)

    @contextmanager
    def _catch_signals(self) -> Iterator[int]:
        """Notes the signals that ask to stop; gives a file descriptor that can be read from after any signal."""
        read_fd, write_fd = os.pipe()
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        previous_fd = signal.set_wakeup_fd(write_fd)
        # Ctrl-C is heard, though a shell has its background jobs ignore it: the children would stop, and be started
        # again. SIGHUP says that the terminal is gone, or, while it is there or there was none, that an operator asks
        # to reload. Under nohup the end of the terminal is none of ours.
        is_detached = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN or not has_terminal()
        previous_handlers = {number: signal.signal(number, self._record_signal) for number in STOP_SIGNALS}
        previous_handlers[signal.SIGHUP] = signal.signal(
            signal.SIGHUP,
            lambda number, _: (self.hangups if is_detached or has_terminal() else self.stop_signals).append(number),
        )
        previous_handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield read_fd
        finally:
            for number, handler in previous_handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(previous_fd)
            os.close(read_fd)
            os.close(write_fd)

    def _record_signal(self, number: int, _: object) -> None:
        self.stop_signals.append(number)


def has_terminal() -> bool:
    """Whether there is a terminal that this process belongs to."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _kill_processes(processes: Sequence["subprocess.Popen[bytes]"]) -> int:
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
