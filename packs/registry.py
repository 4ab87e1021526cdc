"""Packs that registered, and when they were last seen."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from flyte_site.auth.callers import HasMeta, caller_of
from flyte_site.changes import Actor, record
from flyte_site.rest.problems import Problem, not_found
from flyte_site.rows import Rows
from packs.models import Pack, pack_id

# What is needed to act as a pack; what it declares is read when somebody looks at it.
ACTING = Rows(Pack, without=("commands", "events", "links", "registered_at"))
PACKS = Rows(Pack)
# An idle poll writes nothing: being seen again within this time is not noted.
SEEN_AGAIN = timedelta(minutes=1)


def register(values: Mapping[str, Any], actor: Actor | None = None, *, hosted: bool = False) -> Pack:
    """Note a pack under its identity; one of the same name and labels is replaced. It counts as seen now.

    Where an actor is named, it is recorded that a pack is new, or declares something else than before. `hosted` says
    that the server's own workers are the pack. Raises `Problem` 409 where they are, and somebody else comes.
    """
    identity = pack_id(values["name"], values["labels"])
    if not hosted and Pack.objects.filter(identity=identity, hosted=True).exists():
        raise is_hosted(identity)
    stored = {
        "name": values["name"],
        "labels": values["labels"],
        "commands": [{**command, "events": command["events"] or []} for command in values["commands"]],
        "events": values["events"],
        "links": values["links"],
        "hosted": hosted,
    }
    with transaction.atomic():
        before = Pack.objects.filter(identity=identity).values(*stored).first()
        pack, _ = Pack.objects.update_or_create(identity=identity, defaults={**stored, "last_seen": timezone.now()})
        if actor and before != stored:
            record(actor, "changed" if before else "registered", "pack", identity)
    return pack


def refuse_to_register(request: HasMeta, values: Mapping[str, Any]) -> None:
    """A token must be for the pack that is registered, and for the one that is replaced. Raises `Problem` 403.

    The two may differ: `A.b.c` is the id of a pack A with a label, and of a pack A.b.c without one.
    """
    refuse_other_packs(request, values["name"], values["labels"])
    if not caller_of(request).is_limited:
        return
    replaced = Pack.objects.filter(identity=pack_id(values["name"], values["labels"])).first()
    if replaced is not None:
        refuse_other_packs(request, replaced.name, replaced.labels)


def refuse_other_packs(request: HasMeta, name: str, labels: Mapping[str, str]) -> None:
    """A token of one pack is not to act as another. Raises `Problem` 403."""
    if not caller_of(request).may_be(name, labels):
        raise Problem(403, f"this token can't act as pack {name!r} with these labels")


def acting(identity: str, request: HasMeta) -> Pack:
    """The pack of this id, as which the request acts, noted as seen. Raises `Problem` 403, 404, 409."""
    pack = _found(ACTING, identity)
    refuse_other_packs(request, pack.name, pack.labels)
    if pack.hosted:
        raise is_hosted(identity)
    now = timezone.now()
    if pack.last_seen < now - SEEN_AGAIN:
        Pack.objects.filter(pk=pack.pk).update(last_seen=now)
    return pack


def find(identity: str) -> Pack:
    """The pack of this id. Raises `Problem` 404."""
    return _found(PACKS, identity)


def _found(rows: Rows[Pack], identity: str) -> Pack:
    pack = rows.first("identity = %s", identity)
    if pack is None:
        raise not_found(f"pack {identity!r}")
    return pack


def forget(identity: str, actor: Actor, **detail: Any) -> bool:
    """Delete the pack of this id, and record that `actor` did; False where there is none. What waits for it stays."""
    with transaction.atomic():
        deleted, _ = Pack.objects.filter(identity=identity).delete()
        if deleted:
            record(actor, "deleted", "pack", identity, **detail)
    return deleted > 0


def is_hosted(identity: str) -> Problem:
    """409: nobody else speaks for a pack that the server hosts."""
    return Problem(409, f"the pack {identity!r} is hosted by the server; nobody else may speak for it")
