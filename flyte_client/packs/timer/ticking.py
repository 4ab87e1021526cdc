"""Sends each tick when it is due, and what was missed as far as it is wanted."""

import logging
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

from flyte_client.errors import RefusedError, ServerAwayError
from flyte_client.pack import Pack
from flyte_client.packs.basis.state import StateFile
from flyte_client.packs.timer.schedule import ticks
from flyte_client.packs.timer.settings import Timer

# A tick that is no older than this is late, not missed.
LATE = timedelta(minutes=1)
# The server knows for a day which ticks it has had. One that is older could be taken twice.
REMEMBERED = timedelta(hours=23)
SEND_WITHIN = 20.0
AGAIN_AFTER = 1.0
LONGEST_SLEEP = 30.0
# The tick itself is at fault, or was taken with other data: sending it again changes nothing.
UNFIT = frozenset({400, 413, 422})

logger = logging.getLogger(__name__)


class Ticking:
    """Sends the ticks of `timers`. What was sent last is noted in `state`, for the timers that catch up."""

    def __init__(self, pack: Pack, timers: tuple[Timer, ...], state: StateFile | None) -> None:
        self._pack = pack
        self._timers = timers
        self._state = state
        self._noted = state.read() if state else {}
        self._last: dict[str, datetime] = {}

    def run(self, ending: threading.Event) -> None:
        self._begin(datetime.now(UTC))
        while not ending.is_set():
            now = datetime.now(UTC)
            all_sent = all(self._send_due(timer, now, ending) for timer in self._timers)
            ending.wait(self._until_next(now) if all_sent else AGAIN_AFTER)

    def _begin(self, now: datetime) -> None:
        for timer in self._timers:
            noted = _time(self._noted.get(timer.name)) if timer.catch_up else None
            self._last[timer.name] = min(noted or start(timer, now), now)
        self._note()

    def _send_due(self, timer: Timer, now: datetime, ending: threading.Event) -> bool:
        """Whether all that is due was sent."""
        for tick in due(timer, self._last[timer.name], now):
            if ending.is_set() or not self._send(timer, tick):
                return False
            self._last[timer.name] = tick
            if timer.catch_up:
                self._note()
        return True

    def _send(self, timer: Timer, tick: datetime) -> bool:
        try:
            self._pack.send(timer.event, payload(timer, tick), key=key(timer, tick), within=SEND_WITHIN)
        except ServerAwayError:
            return False
        except RefusedError as refusal:
            return refusal.status in UNFIT
        return True

    def _until_next(self, now: datetime) -> float:
        following = (timer.schedule.next(max(now, self._last[timer.name])) for timer in self._timers)
        first = min((tick for tick in following if tick), default=now + timedelta(seconds=LONGEST_SLEEP))
        # Not longer, since the machine's clock may be set meanwhile.
        return min(max(0.0, (first - datetime.now(UTC)).total_seconds()), LONGEST_SLEEP)

    def _note(self) -> None:
        if self._state:
            self._state.write({timer.name: self._last[timer.name].isoformat() for timer in self._timers})


def start(timer: Timer, now: datetime) -> datetime:
    """Where to begin without a note of what was sent: with the newest tick, if that is merely late.

    Another instance may have sent it: then it counts once. Who has just been given a timer that catches up wants none
    of the ticks from before it was there.
    """
    recent = [] if timer.catch_up else list(ticks(timer.schedule, now - LATE, now))
    return max(recent[-1] - timedelta(microseconds=1), now - LATE) if recent else now


def due(timer: Timer, last: datetime, now: datetime) -> list[datetime]:
    """The ticks to send after the one at `last`: those that are merely late, and the newest of those missed."""
    missed: deque[datetime] = deque(maxlen=timer.catch_up)
    late = []
    for tick in ticks(timer.schedule, max(last, now - REMEMBERED), now):
        if tick < now - LATE:
            missed.append(tick)
        else:
            late.append(tick)
    return [*missed, *late]


def payload(timer: Timer, tick: datetime) -> dict[str, Any]:
    """The event's payload: nothing in it depends on who sends it, and when."""
    return {"timer": timer.name, "time": tick.astimezone(timer.zone).isoformat(), "data": timer.data}


def key(timer: Timer, tick: datetime) -> str:
    return f"timer/{timer.name}/{tick.isoformat()}"


def _time(text: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else None
