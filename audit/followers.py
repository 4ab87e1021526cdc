"""The steps of an execution that wait for a result in it: what there is to say where none was judged on the result."""

from dataclasses import dataclass

from flows.models import Event, Execution
from packs.models import Action


@dataclass(frozen=True)
class Follower:
    """A step, the steps that it comes after, and whether it has fired by now, on this result or another."""

    step: str
    after: str
    fired: bool


def followers(event: Event) -> list[Follower]:
    """The steps that wait for a result of this name in the execution that the event is a result in, if it is one.

    Two queries at most.
    """
    execution = Execution.objects.select_related("version").filter(id=event.correlation_id).first()
    if execution is None:
        return []
    steps = execution.version.document.get("steps", [])
    named = [(step.get("id", f"step-{place}"), step) for place, step in enumerate(steps, start=1)]
    waiting = {
        name: (" and " if step.get("dependsOnMode") == "all" else " or ").join(step["dependsOn"])
        for name, step in named
        if step.get("dependsOn") and (step["event"]["packName"], step["event"]["name"]) == (event.pack_name, event.name)
    }
    fired = set(Action.objects.filter(correlation_id=execution.id).values_list("step_id", flat=True)) if waiting else ()
    return [Follower(name, after, name in fired) for name, after in waiting.items()]
