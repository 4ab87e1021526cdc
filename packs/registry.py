"""Packs that registered, and when they were last seen."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from flyte_site.auth.activity_log import Actor, log_activity
from flyte_site.auth.principals import HasMeta, get_principal
from flyte_site.db.table_sql import TableSQL
from flyte_site.http.problems import Problem, not_found
from packs.models import Pack, build_pack_id

# What is needed to act as a pack; what it declares is read when somebody looks at it.
PACK_AUTH_COLUMNS = TableSQL(Pack, excluded=("commands", "events", "links", "registered_at"))
PACK_TABLE = TableSQL(Pack)
# An idle poll writes nothing: being seen again within this time is not noted.
LAST_SEEN_RESOLUTION = timedelta(minutes=1)


def register(values: Mapping[str, Any], actor: Actor | None = None, *, hosted: bool = False) -> Pack:
    """Note a pack under its identity; one of the same name and labels is replaced. It counts as seen now.

    Where an actor is named, it is recorded that a pack is new, or declares something else than before. `hosted` says
    that the server's own workers are the pack. Raises `Problem` 409 where they are, and somebody else comes.
    """
    identity = build_pack_id(values["name"], values["labels"])
    if not hosted and Pack.objects.filter(identity=identity, hosted=True).exists():
        raise hosted_pack_error(identity)
    defaults = {
        "name": values["name"],
        "labels": values["labels"],
        "commands": [{**command, "events": command["events"] or []} for command in values["commands"]],
        "events": values["events"],
        "links": values["links"],
        "hosted": hosted,
    }
    with transaction.atomic():
        previous = Pack.objects.filter(identity=identity).values(*defaults).first()
        pack, _ = Pack.objects.update_or_create(identity=identity, defaults={**defaults, "last_seen": timezone.now()})
        if actor and previous != defaults:
            log_activity(actor, "changed" if previous else "registered", "pack", identity)
    return pack


def authorize_registration(request: HasMeta, values: Mapping[str, Any]) -> None:
    """A token must be for the pack that is registered, and for the one that is replaced. Raises `Problem` 403.

    The two may differ: `A.b.c` is the id of a pack A with a label, and of a pack A.b.c without one.
    """
    authorize_as_pack(request, values["name"], values["labels"])
    if not get_principal(request).is_restricted_to_packs:
        return
    existing = Pack.objects.filter(identity=build_pack_id(values["name"], values["labels"])).first()
    if existing is not None:
        authorize_as_pack(request, existing.name, existing.labels)


def authorize_as_pack(request: HasMeta, name: str, labels: Mapping[str, str]) -> None:
    """A token of one pack is not to act as another. Raises `Problem` 403."""
    if not get_principal(request).can_act_as(name, labels):
        raise Problem(403, f"this token can't act as pack {name!r} with these labels")


def authenticate_pack(identity: str, request: HasMeta) -> Pack:
    """The pack of this id, as which the request acts, noted as seen. Raises `Problem` 403, 404, 409."""
    pack = _get_pack(PACK_AUTH_COLUMNS, identity)
    authorize_as_pack(request, pack.name, pack.labels)
    if pack.hosted:
        raise hosted_pack_error(identity)
    now = timezone.now()
    if pack.last_seen < now - LAST_SEEN_RESOLUTION:
        Pack.objects.filter(pk=pack.pk).update(last_seen=now)
    return pack


def find_pack(identity: str) -> Pack:
    """The pack of this id. Raises `Problem` 404."""
    return _get_pack(PACK_TABLE, identity)


def _get_pack(table: TableSQL[Pack], identity: str) -> Pack:
    pack = table.select_first("identity = %s", identity)
    if pack is None:
        raise not_found(f"pack {identity!r}")
    return pack


def unregister(identity: str, actor: Actor, **detail: Any) -> bool:
    """Delete the pack of this id, and record that `actor` did; False where there is none. What waits for it stays."""
    with transaction.atomic():
        deleted, _ = Pack.objects.filter(identity=identity).delete()
        if deleted:
            log_activity(actor, "deleted", "pack", identity, **detail)
    return deleted > 0


def hosted_pack_error(identity: str) -> Problem:
    """409: nobody else speaks for a pack that the server hosts."""
    return Problem(409, f"the pack {identity!r} is hosted by the server; nobody else may speak for it")
