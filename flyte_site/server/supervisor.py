"""Supervision of several processes as a unit: a process that exits is restarted, and a stop stops all of them.

It uses plain `subprocess`, because existing supervisors behave differently: honcho stops everything when one process
exits, supervisor stops restarting a process and keeps running without it, circus opens control ports and needs an event
loop. Each of them takes more code to configure than this module has.
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

# A process that exits with an error this soon after its first start can't run at all, for example if a port is in use.
STARTUP_SECONDS = 20.0
# After a run of this length a process is restarted at once; after each shorter run the delay doubles.
STABLE_SECONDS = 60.0
MAX_BACKOFF_SECONDS = 30.0
# Longer than any of the processes needs to finish its requests or jobs.
STOP_TIMEOUT_SECONDS = 40.0

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_PARENT_DEATH_SIGNAL = 1


@dataclass
class ChildProcess:
    """A supervised process, restarted with `command` when it exits. Times are `time.monotonic()`.

    If `reloads_on_hangup`, it receives SIGHUP, which would end the others. `inherited_fds` are open files of the
    supervisor that it uses as well.
    """

    name: str
    command: Sequence[str]
    reloads_on_hangup: bool = False
    inherited_fds: tuple[int, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    quick_exits: int = 0
    started_at: float = 0.0
    next_start_at: float = 0.0

    def start(self, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            self.command, env=environment, preexec_fn=_end_with_parent, pass_fds=self.inherited_fds
        )
        self.starts, self.started_at = self.starts + 1, time.monotonic()
        log.info("process_started", process=self.name, pid=self.process.pid, starts=self.starts)

    def reap(self) -> int | None:
        """Schedule a restart if the process has exited; return its exit code, or None if it runs."""
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
        """Return True if it exited with an error (not by a signal) soon after its first start."""
        return self.starts == 1 and code > 0 and time.monotonic() - self.started_at < STARTUP_SECONDS


def get_restart_delay(quick_exits: int) -> float:
    """Return the seconds before the next start: 0 after a stable run, then 1, 2, 4 … up to MAX_BACKOFF_SECONDS."""
    return min(2.0 ** (quick_exits - 1), MAX_BACKOFF_SECONDS) if quick_exits else 0.0


@dataclass
class Supervisor:
    """A supervisor that runs the children, with `environment`, until it is stopped."""

    children: Sequence[ChildProcess]
    environment: Mapping[str, str]
    stop_timeout: float = STOP_TIMEOUT_SECONDS
    stop_signals: list[int] = field(default_factory=list)
    hangups: list[int] = field(default_factory=list)

    def run(self) -> int:
        """Run until stopped; return the exit code: 0, a child's if it failed to start, or 1 if one had to be killed."""
        with self._catch_signals() as wakeup:
            try:
                while not self.stop_signals and not (code := self._restart_children()):
                    self._wait(wakeup, self._seconds_to_next_start())
            finally:
                killed = self._stop(wakeup)
        return killed or (0 if self.stop_signals else code)

    def _restart_children(self) -> int:
        """Start the children that are due; return the exit code of one that failed to start, else 0."""
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
        """Terminate all children and wait. Kill those that take too long, or all of them on a second signal."""
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
        """Wait for a signal, such as SIGCHLD, or the timeout."""
        if select.select([wakeup], [], [], None if seconds is None else max(seconds, 0.0))[0]:
            os.read(wakeup, 512)

    @contextmanager
    def _catch_signals(self) -> Iterator[int]:
        """Record the stop signals; yield a file descriptor that becomes readable after any signal."""
        read_fd, write_fd = os.pipe()
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        previous_fd = signal.set_wakeup_fd(write_fd)
        # Handle Ctrl-C even if a shell made this background job ignore it: the children would stop and be restarted.
        # SIGHUP means that the terminal was closed or, if it is still open or there never was one, that an operator
        # requests a reload. Under nohup, ignore a closed terminal.
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
    """Return True if this process has a controlling terminal."""
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
    """Make a child receive SIGTERM when the supervisor ends for any reason. Only Linux supports this."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
