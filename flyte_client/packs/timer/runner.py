"""Sending of due ticks, and of missed ticks for timers that catch up."""

import logging
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.pack import Pack
from flyte_client.packs.common.state_file import StateFile
from flyte_client.packs.timer.schedule import iter_ticks
from flyte_client.packs.timer.settings import Timer
from flyte_time.times import read_time

# An older tick is missed, not just late.
LATE_TOLERANCE = timedelta(minutes=1)
# The server remembers the keys of ticks for a day. An older tick could count twice.
MAX_MISSED_AGE = timedelta(hours=23)
SEND_TIMEOUT = 20.0
RETRY_DELAY = 1.0
MAX_SLEEP = 30.0

logger = logging.getLogger(__name__)


class TimerRunner:
    """Sender of the timers' ticks. The last ticks of timers that catch up are recorded in the state file."""

    def __init__(self, pack: Pack, timers: tuple[Timer, ...], state_file: StateFile | None) -> None:
        self._pack = pack
        self._timers = timers
        self._state_file = state_file
        self._saved_ticks = state_file.read() if state_file else {}
        self._last_ticks: dict[str, datetime] = {}

    def run(self, stop_event: threading.Event) -> None:
        self._initialize(datetime.now(UTC))
        while not stop_event.is_set():
            now = datetime.now(UTC)
            all_sent = all(self._send_due(timer, now, stop_event) for timer in self._timers)
            stop_event.wait(self._seconds_until_next(now) if all_sent else RETRY_DELAY)

    def _initialize(self, now: datetime) -> None:
        for timer in self._timers:
            saved_tick = _parse_time(self._saved_ticks.get(timer.name)) if timer.catch_up else None
            self._last_ticks[timer.name] = min(saved_tick or find_start(timer, now), now)
        self._save_ticks()

    def _send_due(self, timer: Timer, now: datetime, stop_event: threading.Event) -> bool:
        """Send all due ticks; return False if one was not sent."""
        for tick in find_due_ticks(timer, self._last_ticks[timer.name], now):
            if stop_event.is_set() or not self._send_tick(timer, tick):
                return False
            self._last_ticks[timer.name] = tick
            if timer.catch_up:
                self._save_ticks()
        return True

    def _send_tick(self, timer: Timer, tick: datetime) -> bool:
        try:
            self._pack.send(
                timer.event, build_payload(timer, tick), key=build_event_key(timer, tick), within=SEND_TIMEOUT
            )
        except ServerAwayError:
            return False
        except RefusedError as error:
            return error.is_permanent
        return True

    def _seconds_until_next(self, now: datetime) -> float:
        next_ticks = (timer.schedule.next(max(now, self._last_ticks[timer.name])) for timer in self._timers)
        earliest = min((tick for tick in next_ticks if tick), default=now + timedelta(seconds=MAX_SLEEP))
        # Sleep in short intervals, because the system clock may be changed.
        return min(max(0.0, (earliest - datetime.now(UTC)).total_seconds()), MAX_SLEEP)

    def _save_ticks(self) -> None:
        if self._state_file:
            self._state_file.write({timer.name: self._last_ticks[timer.name].isoformat() for timer in self._timers})


def find_start(timer: Timer, now: datetime) -> datetime:
    """Return the start time without recorded ticks: just before the newest tick if it is only late, else now.

    If a different instance sent that tick too, it counts once. A new timer that catches up starts now, without ticks
    from before its creation.
    """
    recent = [] if timer.catch_up else list(iter_ticks(timer.schedule, now - LATE_TOLERANCE, now))
    return max(recent[-1] - timedelta(microseconds=1), now - LATE_TOLERANCE) if recent else now


def find_due_ticks(timer: Timer, last_tick: datetime, now: datetime) -> list[datetime]:
    """Return the ticks to send after `last_tick`: late ones, and the newest missed ones up to `catch_up`."""
    missed: deque[datetime] = deque(maxlen=timer.catch_up)
    late = []
    for tick in iter_ticks(timer.schedule, max(last_tick, now - MAX_MISSED_AGE), now):
        if tick < now - LATE_TOLERANCE:
            missed.append(tick)
        else:
            late.append(tick)
    return [*missed, *late]


def build_payload(timer: Timer, tick: datetime) -> dict[str, Any]:
    """Build the payload; it does not depend on the sender or the time of sending."""
    return {"timer": timer.name, "time": tick.astimezone(timer.timezone).isoformat(), "data": timer.data}


def build_event_key(timer: Timer, tick: datetime) -> str:
    return f"timer/{timer.name}/{tick.isoformat()}"


def _parse_time(text: object) -> datetime | None:
    try:
        parsed = read_time(text)
    except ValueError:
        return None
    return None if parsed.is_naive else parsed.moment
