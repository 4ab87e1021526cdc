"""What is done to whom and when, from a seed alone."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

# How often each fault comes, beside the others; how long what was stopped stays away, in seconds.
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
}
SHORTEST, LONGEST = 0.2, 4.0
# At the begin everything is let work a little, and at the end settle.
CALM_SECONDS = 1.5


@dataclass(frozen=True)
class Fault:
    """`at` and `seconds` (how long it lasts) count in seconds; `choice`, from 0 to 1, says which of several."""

    at: float
    kind: str
    choice: float
    seconds: float


def make_plan(seed: int, seconds: float, kinds: frozenset[str], between: float) -> list[Fault]:
    """Faults of these kinds, in the order of their times: each kind once if there is time, then by weight.

    `between` is the mean time from one to the next.
    """
    chance = random.Random(seed)
    eligible = sorted(kinds)
    first = chance.sample(eligible, len(eligible))
    faults: list[Fault] = []
    at = CALM_SECONDS
    while at < seconds:
        kind = first.pop() if first else chance.choices(eligible, [WEIGHTS[one] for one in eligible])[0]
        faults.append(Fault(round(at, 2), kind, chance.random(), round(chance.uniform(SHORTEST, LONGEST), 2)))
        at += chance.uniform(0.3, 1.7) * between
    return faults
