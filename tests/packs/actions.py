"""Queued actions, created by the queue itself."""

from typing import Any

from django.utils import timezone

from flyte_site.core.ids import new_id
from flyte_site.db.table_sql import DirectWrites
from packs.models import Action
from packs.queue import action_queue


def waiting(
    pack_name: str = "Wrk", name: str = "Do", labels: dict[str, str] | None = None, input: Any = None
) -> Action:
    """Enqueue an action for packs of this name, in a separate execution."""
    owner = action_queue.ExecutionRef(correlation_id=new_id(), flow_name="flow", flow_uuid=new_id())
    draft = action_queue.ActionSpec("step-1", pack_name, labels or {}, name, input, {}, trigger={"event": "Go"})
    (action,) = action_queue.enqueue(DirectWrites(), owner, [draft], timezone.now())
    return action
