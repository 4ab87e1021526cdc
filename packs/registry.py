"""Packs that registered, and when they were last seen."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from flyte_site.changes import Actor, record
from flyte_site.rest.problems import not_found
from packs.models import Pack, pack_id

# An idle poll writes nothing: being seen again within this time is not noted.
SEEN_AGAIN = timedelta(seconds=10)


def register(values: Mapping[str, Any], actor: Actor | None = None) -> Pack:
    """Note a pack under its identity; one of the same name and labels is replaced. It counts as seen now.

    Where an actor is named, it is recorded that a pack is new, or declares something else than before.
    """
    identity = pack_id(values["name"], values["labels"])
    stored = {
        "name": values["name"],
        "labels": values["labels"],
        "commands": [{**command, "events": command["events"] or []} for command in values["commands"]],
        "events": values["events"],
        "links": values["links"],
    }
    with transaction.atomic():
        before = Pack.objects.filter(identity=identity).values(*stored).first()
        pack, _ = Pack.objects.update_or_create(identity=identity, defaults={**stored, "last_seen": timezone.now()})
        if actor and before != stored:
            record(actor, "changed" if before else "registered", "pack", identity)
    return pack


def seen(identity: str) -> Pack:
    """The pack of this id, noted as seen. Raises `Problem` 404."""
    pack = find(identity)
    now = timezone.now()
    if pack.last_seen < now - SEEN_AGAIN:
        Pack.objects.filter(pk=pack.pk).update(last_seen=now)
    return pack


def find(identity: str) -> Pack:
    """The pack of this id. Raises `Problem` 404."""
    pack = Pack.objects.filter(identity=identity).first()
    if pack is None:
        raise not_found(f"pack {identity!r}")
    return pack
