"""The plan of faults: their kinds, targets and times, derived from a seed."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

# The relative frequency of each fault, and how long a stopped process stays down, in seconds.
WEIGHTS: Mapping[str, int] = {
    "web_worker killed": 5,
    "web_workers killed": 12,
    "serve killed": 1,
    "worker killed": 2,
    "beat killed": 1,
    "jobs killed": 2,
    "supervisor killed": 1,
    "server killed": 2,
    "server stopped": 1,
    "pack killed": 5,
    "pack frozen": 3,
    "sender killed": 2,
    "web_worker frozen": 2,
    "PostgreSQL stopped": 2,
    "PostgreSQL crashed": 2,
    "Redis stopped": 2,
    "server frozen": 2,
    "disk filled": 2,
    "clients slow": 2,
    "clock stepped": 2,
}
# Faults that need preparation, or take longer than the others: only a soak that names them has them.
HAZARDS = frozenset({"server frozen", "disk filled", "clients slow", "clock stepped"})
HAZARD_FACTOR = 4.0
MIN_SECONDS, MAX_SECONDS = 0.2, 4.0
# The programs work without faults for this long at the start.
CALM_SECONDS = 1.5


@dataclass(frozen=True)
class Fault:
    """A fault at `at` that lasts `seconds` (both in seconds); `choice`, from 0 to 1, selects one of several targets."""

    at: float
    kind: str
    choice: float
    seconds: float


def make_plan(seed: int, seconds: float, kinds: frozenset[str], between: float) -> list[Fault]:
    """Plan faults of these kinds in the order of their times: each kind once if there is time, then by weight.

    `between` is the mean time from one to the next.
    """
    chance = random.Random(seed)
    eligible = sorted(kinds)
    first = chance.sample(eligible, len(eligible))
    faults: list[Fault] = []
    at = CALM_SECONDS
    while at < seconds:
        kind = first.pop() if first else chance.choices(eligible, [WEIGHTS[kind] for kind in eligible])[0]
        faults.append(Fault(round(at, 2), kind, chance.random(), round(chance.uniform(MIN_SECONDS, MAX_SECONDS), 2)))
        at += chance.uniform(0.3, 1.7) * between
    return faults
