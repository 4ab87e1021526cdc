"""`manage.py import_mongodump`: import the data of the original server from MongoDB."""

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from flows.importers.mongo.importer import FAILED, KINDS, ImportReport, MongoImporter
from flows.importers.mongo.source import DumpSource, LiveSource, MongoSource, MongoSourceError
from flyte_site.scheduler.command import DatabaseCommand

PROGRESS_INTERVAL = 1000


class Command(DatabaseCommand):
    """Can be run again: data that is here and unchanged in the source is skipped."""

    help = (
        "Import the original server's data from MongoDB: packs, datastore, flows with their versions, and executions. "
        "Running executions continue here. Exit codes: 0 everything was imported, 1 some data could not be imported "
        "and is listed, 2 the source cannot be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", nargs="?", type=Path, help="folder with mongodump's .bson or .bson.gz files")
        parser.add_argument("--uri", help="URI of a running MongoDB, such as mongodb://localhost:27017/flyte")
        parser.add_argument("--dry-run", action="store_true", help="write nothing; print what would be imported")
        parser.add_argument(
            "--overwrite", action="store_true", help="replace flows and datastore items that differ from the original's"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["folder"] is None) == (options["uri"] is None):
            raise CommandError("either a folder or --uri is required, and not both", returncode=2)
        try:
            source: MongoSource = LiveSource(options["uri"]) if options["uri"] else DumpSource(options["folder"])
        except MongoSourceError as error:
            raise CommandError(str(error), returncode=2) from None
        importer = MongoImporter(source, dry_run=options["dry_run"], overwrite=options["overwrite"])
        try:
            importer.run(self.print_progress)
        except (MongoSourceError, DatabaseError) as error:
            if any(importer.report.counts.values()):
                self.print_report(importer.report, dry_run=options["dry_run"])
            raise CommandError(describe_error(error), returncode=2) from None
        self.print_report(importer.report, dry_run=options["dry_run"])
        if importer.report.errors:
            raise SystemExit(1)

    def print_progress(self, count: int) -> None:
        if count % PROGRESS_INTERVAL == 0:
            self.stderr.write(f"{count} executions …")

    def print_report(self, report: ImportReport, *, dry_run: bool) -> None:
        for message in report.warnings:
            self.stderr.write(f"warning: {message}")
        for message in report.errors:
            self.stderr.write(f"error: {message}")
        if report.unlisted_count:
            self.stderr.write(f"and {report.unlisted_count} more errors and warnings")
        for kind in KINDS:
            self.stdout.write(f"{kind:18} {format_outcomes(report.counts[kind])}")
        if report.running_count:
            self.stdout.write(f"{report.running_count} running executions continue here")
        if dry_run:
            self.stdout.write("nothing was written")


def describe_error(error: MongoSourceError | DatabaseError) -> str:
    """Describe an error that ended the import, in one line."""
    if isinstance(error, MongoSourceError):
        return str(error)
    return f"database error: {' '.join(str(error).split())[:200]}"


def format_outcomes(counts: Counter[str]) -> str:
    """Format counts: `3 new, 1 not imported`; failures come last."""
    entries = sorted(
        ((name, amount) for name, amount in counts.items() if amount), key=lambda entry: entry[0] == FAILED
    )
    return ", ".join(f"{amount} {name}" for name, amount in entries) or "none"
