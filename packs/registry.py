"""Registration of packs, and the time when each was last seen."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from flyte_site.auth.activity_log import Actor, log_activity
from flyte_site.auth.principals import HasMeta, Principal, get_principal
from flyte_site.db.conflicts import retry_conflicts
from flyte_site.db.table_sql import Query, TableSQL, select_pipelined
from flyte_site.http.problems import Problem, not_found
from packs.models import Pack, build_pack_id

log = structlog.get_logger(__name__)

# Columns that are needed to act as a pack; its declaration is loaded only for display.
PACK_AUTH_COLUMNS = TableSQL(Pack, excluded=("commands", "events", "links", "registered_at"))
PACK_TABLE = TableSQL(Pack)
# `last_seen` is updated at most this often, so that an idle poll writes nothing.
LAST_SEEN_RESOLUTION = timedelta(minutes=1)


@retry_conflicts
def register(values: Mapping[str, Any], actor: Actor | None = None, *, hosted: bool = False) -> Pack:
    """Create or replace the pack with this name and labels, and mark it as seen.

    With an actor, a new or changed pack is recorded in the activity log. `hosted`: the server's own workers run the
    pack. Raise `Problem` 409 if they do and another program registers.
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
    """Require a token for the new pack and for the one that it replaces. Raise `Problem` 403.

    A token can act as at most FLYTE_MAX_PACKS_PER_TOKEN registered packs. The new pack and the existing one may differ:
    `A.b.c` is the id of a pack A with a label, and of a pack A.b.c without one.
    """
    authorize_as_pack(request, values["name"], values["labels"])
    principal = get_principal(request)
    if not principal.is_restricted_to_packs:
        return
    existing = Pack.objects.filter(identity=build_pack_id(values["name"], values["labels"])).first()
    if existing is not None:
        authorize_as_pack(request, existing.name, existing.labels)
    elif _count_packs(principal) >= (limit := settings.FLYTE_MAX_PACKS_PER_TOKEN):
        raise Problem(
            403,
            f"token {principal.name!r} can act as {limit} registered packs, which is the limit; delete packs that are "
            "no longer used, or raise FLYTE_MAX_PACKS_PER_TOKEN",
        )


def _count_packs(principal: Principal) -> int:
    """Count the registered packs that a token can act as."""
    prefix = principal.pack.partition("*")[0]
    packs = Pack.objects.filter(name__startswith=prefix).values_list("name", "labels").iterator()
    return sum(principal.can_act_as(name, labels) for name, labels in packs)


def authorize_as_pack(request: HasMeta, name: str, labels: Mapping[str, str]) -> None:
    """Require a token that may act as this pack. Raise `Problem` 403."""
    if not get_principal(request).can_act_as(name, labels):
        raise Problem(403, f"this token is not allowed to act as pack {name!r} with these labels")


def authenticate_pack(identity: str, request: HasMeta) -> Pack:
    """Return the pack that the request acts as, and mark it as seen. Raise `Problem` 403, 404, 409."""
    return authenticate_pack_and_read(identity, request)[0]


def authenticate_pack_and_read(identity: str, request: HasMeta, *queries: Query) -> tuple[Pack, list[list[Any]]]:
    """Do the same, with further reads in the same round trip, and return their rows."""
    packs, *rows = select_pipelined(PACK_AUTH_COLUMNS.query("identity = %s", identity), *queries)
    if not packs:
        raise not_found(f"pack {identity!r}")
    pack: Pack = packs[0]
    authorize_as_pack(request, pack.name, pack.labels)
    if pack.hosted:
        raise hosted_pack_error(identity)
    mark_seen(pack)
    return pack, rows


def mark_seen(pack: Pack) -> None:
    """Update `last_seen`, unless it is recent, or another transaction has locked the pack."""
    now = timezone.now()
    if pack.last_seen < now - LAST_SEEN_RESOLUTION:
        with transaction.atomic():  # which a lock needs
            unlocked = Pack.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=pack.pk)
            Pack.objects.filter(pk__in=unlocked.values("pk")).update(last_seen=now)


def find_pack(identity: str) -> Pack:
    """Return the pack with this id. Raise `Problem` 404."""
    pack = PACK_TABLE.select_first("identity = %s", identity)
    if pack is None:
        raise not_found(f"pack {identity!r}")
    return pack


@retry_conflicts
def unregister(identity: str, actor: Actor, **detail: Any) -> bool:
    """Delete the pack and record the actor; return False if it does not exist. Its queued actions stay."""
    with transaction.atomic():
        deleted, _ = Pack.objects.filter(identity=identity).delete()
        if deleted:
            log_activity(actor, "deleted", "pack", identity, **detail)
    if deleted:
        log.info("pack_deleted", pack=identity)
    return deleted > 0


def hosted_pack_error(identity: str) -> Problem:
    """Return the 409 for requests of other programs as a pack that the server hosts."""
    return Problem(409, f"pack {identity!r} is hosted by the server; other programs can't register or act as it")
