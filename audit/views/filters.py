"""Filter forms of the lists of executions, events and packs, read from the query string."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError

from audit.search.executions import EventQuery, ExecutionQuery
from flows.models import ExecutionState
from flyte_site.console.filter_forms import EXACT_NAME_HELP, ChoiceFilter, FilterForm, text_filter
from flyte_site.core.labels import split_label
from packs.models import STATUSES, Labels

INVALID_TIME = "invalid time: use YYYY-MM-DDThh:mm, such as 2026-11-21T05:30"


class UTCDateTimeField(forms.DateTimeField):
    """A time in UTC, to the minute."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def __init__(self, label: str) -> None:
        super().__init__(label=label, required=False, error_messages={"invalid": INVALID_TIME})


class PeriodFilterForm(FilterForm):
    """A filter form with a period."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until <= since:
            self.add_error("until", ValidationError("must be later than From"))
        return cleaned


class ExecutionFilterForm(PeriodFilterForm):
    """Filters of executions."""

    flow = text_filter("Flow", EXACT_NAME_HELP)
    state = ChoiceFilter("Status", ExecutionState.values)
    pack = text_filter("Pack", EXACT_NAME_HELP)
    command = text_filter("Command", EXACT_NAME_HELP)
    step = text_filter("Step", EXACT_NAME_HELP)
    labels = text_filter("Pack labels", "all must match", "env=prod, az=b")
    text = text_filter("Text in context", "searches the last 24 hours unless From is set")
    since = UTCDateTimeField("From (UTC)")
    until = UTCDateTimeField("Until (UTC)")

    def clean_labels(self) -> dict[str, str]:
        return _parse_labels(self.cleaned_data["labels"])

    def build_query(self) -> ExecutionQuery:
        return ExecutionQuery(**self.active_filters())


class EventFilterForm(PeriodFilterForm):
    """Filters of events."""

    pack = text_filter("Pack", EXACT_NAME_HELP)
    name = text_filter("Event", EXACT_NAME_HELP)
    since = UTCDateTimeField("From (UTC)")
    until = UTCDateTimeField("Until (UTC)")

    def build_query(self) -> EventQuery:
        return EventQuery(**self.active_filters())


class PackFilterForm(FilterForm):
    """Filters of packs."""

    text = text_filter("Name or label", "contains", "Slack, env=prod")
    status = ChoiceFilter("Status", STATUSES)


def executions_query_string(pack_name: str, labels: Labels | None = None) -> str:
    """Build the query string with which the list of executions finds running executions for this pack name
    and labels.
    """
    parameters = {
        "pack": pack_name,
        "state": str(ExecutionState.RUNNING),
        "labels": _format_labels(labels or {}),
    }
    return urlencode({name: value for name, value in parameters.items() if value})


def _parse_labels(text: str) -> dict[str, str]:
    """Parse `env=prod, az=b`. Raises `ValidationError` for a label without a name or a value."""
    labels = {}
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            name, value = split_label(part)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        if not value:
            raise ValidationError(f"invalid label {part[:100]!r}: use name=value, such as env=prod")
        labels[name] = value
    return labels


def _format_labels(labels: Labels) -> str:
    """Format labels for the filter; '' if it would read them differently, such as a value that contains a comma."""
    text = ", ".join(f"{name}={value}" for name, value in labels.items())
    try:
        return text if _parse_labels(text) == labels else ""
    except ValidationError:
        return ""
