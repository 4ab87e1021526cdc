"""`manage.py delete_dead_packs`: delete packs that were not seen for long."""

from typing import Any

from flyte_site.scheduler.command import JobCommand
from packs.dead_packs import delete_dead_packs, find_orphans_without_dead_packs


class Command(JobCommand):
    """The job that the server runs once a day if FLYTE_SHOULD_DELETE_DEAD_PACKS is set."""

    help = (
        "Delete dead packs: those not seen for FLYTE_PACK_GRACE_PERIOD_UNTIL_MARKED_DEAD_IN_SECONDS. "
        "This command also works if FLYTE_SHOULD_DELETE_DEAD_PACKS is not set."
    )
    job = staticmethod(delete_dead_packs)
    nouns = ("pack", "packs")

    def handle(self, *args: Any, **options: Any) -> None:
        super().handle(*args, **options)
        orphans = find_orphans_without_dead_packs()
        if orphans.count:
            prefix = "at least " if orphans.is_lower_bound else ""
            noun, verb = ("action", "is") if orphans.count == 1 else ("actions", "are")
            verb = "would be" if options["dry_run"] else verb
            self.stdout.write(f"{prefix}{orphans.count} {noun} {verb} orphaned: no registered pack can take them")
