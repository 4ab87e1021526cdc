"""`manage.py try_template`: render a template without a flow."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from flows.engine.matching import read_datastore
from flows.engine.step import redact_secrets
from flows.simulate.template_cases import (
    TemplateCaseError,
    add_event_times,
    build_event_variables,
    read_cases,
    read_json,
    resolve_template,
    run_case,
    to_json_line,
)
from flows.template import RenderContext, TemplateError
from flyte_site.scheduler.command import DatabaseCommand


class Command(DatabaseCommand):
    """Renders one template, or a file of template cases."""

    help = (
        "Render a template with an event and a context, and print the output. Templates read this server's datastore; "
        "output that depends on a secret item is redacted. With --cases, print a line of JSON for each case of a file: "
        '{"ok": …} or {"error": …}.'
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("template", nargs="?", help="the template, e.g. '{{ Event.Payload.message|upper }}'")
        parser.add_argument(
            "--event", type=Path, help="JSON file with an event as posted by packs or returned by the audit API"
        )
        parser.add_argument("--context", type=Path, help="JSON file with the context, an object of strings")
        parser.add_argument(
            "--cases",
            type=Path,
            help="file of JSON lines with template, context, datastore; the latter two can name entries of shared.json "
            "in the same folder",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["template"] is None) == (options["cases"] is None):
            raise CommandError("a template or --cases FILE is required")
        try:
            if options["cases"]:
                self.render_cases(options["cases"])
            else:
                self.render_template(options["template"], options["event"], options["context"])
        except (TemplateCaseError, OSError) as error:
            raise CommandError(str(error)) from None

    def render_cases(self, file: Path) -> None:
        for case in read_cases(file):
            self.stdout.write(to_json_line(run_case(case)))

    def render_template(self, template: str, event: Path | None, context: Path | None) -> None:
        event_fields = build_event_variables(read_json(event)) if event else build_event_variables({})
        variables = add_event_times({"Event": event_fields, "Context": read_json(context) if context else {}})
        try:
            value, warnings = resolve_template(template, RenderContext(variables, read_datastore))
        except TemplateError as error:
            raise CommandError(str(error)) from None
        for warning in warnings:
            self.stderr.write(f"warning: line {warning.line}, column {warning.column}: {warning.message}")
        self.stdout.write(redact_secrets(value))
