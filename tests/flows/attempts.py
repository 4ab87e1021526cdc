"""Helpers for attempts of an action: commands, expired times, and the action of a step."""

from datetime import timedelta
from typing import Any

from django.db.models import F

from packs.models import Action


def command(**options: Any) -> dict[str, Any]:
    return {"packName": "Wrk", "name": "Do", "input": "{{ Event.Payload }}", **options}


def let_time_pass(**time: float) -> None:
    """Move the ready times and lease ends of all actions into the past by this duration."""
    earlier = timedelta(**time)
    Action.objects.update(ready_at=F("ready_at") - earlier)
    Action.objects.filter(lease_ends_at__isnull=False).update(lease_ends_at=F("lease_ends_at") - earlier)


def get_action(step_id: str = "a") -> Action:
    return Action.objects.get(step_id=step_id)
