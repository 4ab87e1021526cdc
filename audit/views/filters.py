"""Filter forms of the lists of executions, events and packs, read from the query string."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError

from audit.search.executions import EventQuery, ExecutionQuery
from flows.models import ExecutionState
from flyte_site.core.labels import split_label
from packs.models import STATUSES, Labels

MAX_TEXT_LENGTH = 255
EXACT_NAME_HELP = "exact name"
PAGE_PARAMETERS = ("older_than", "newer_than", "before", "after")
INVALID_TIME = "invalid time: use YYYY-MM-DDThh:mm, such as 2026-11-21T05:30"


class UTCDateTimeField(forms.DateTimeField):
    """A time in UTC, to the minute."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def __init__(self, label: str) -> None:
        super().__init__(label=label, required=False, error_messages={"invalid": INVALID_TIME})


class StatusField(forms.ChoiceField):
    """A choice of one status, or of any."""

    def __init__(self, statuses: Iterable[str]) -> None:
        names = [str(status) for status in statuses]
        message = f"unknown status: use {', '.join(names)}"
        super().__init__(
            label="Status",
            required=False,
            choices=[("", "any"), *((name, name) for name in names)],
            error_messages={"invalid_choice": message},
        )


def _text_field(label: str, help_text: str, placeholder: str = "") -> forms.CharField:
    attributes = {"placeholder": placeholder} if placeholder else {}
    widget = forms.TextInput(attrs={"size": "14", **attributes})
    return forms.CharField(label=label, required=False, max_length=MAX_TEXT_LENGTH, widget=widget, help_text=help_text)


class FilterForm(forms.Form):
    """A filter form: every field is optional. With an invalid or unknown one the page reports it and lists nothing."""

    use_required_attribute = False

    def active_filters(self) -> dict[str, Any]:
        """Return the valid, non-empty values by field."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    def is_filtered(self) -> bool:
        """Return True if the page does not list everything: a filter is set, or one is invalid."""
        return bool(self.active_filters()) or not self.is_valid()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until <= since:
            self.add_error("until", ValidationError("must be later than From"))
        for name in self.data:
            if name not in self.fields and name not in PAGE_PARAMETERS:
                message = f"Unknown filter {name[:40]!r}. Filters: {', '.join(self.fields)}."
                self.add_error(None, ValidationError(message))
        return cleaned


class ExecutionFilterForm(FilterForm):
    """Filters of executions."""

    flow = _text_field("Flow", EXACT_NAME_HELP)
    state = StatusField(ExecutionState)
    pack = _text_field("Pack", EXACT_NAME_HELP)
    command = _text_field("Command", EXACT_NAME_HELP)
    step = _text_field("Step", EXACT_NAME_HELP)
    labels = _text_field("Pack labels", "all must match", "env=prod, az=b")
    text = _text_field("Text in context", "searches the last 24 hours unless From is set")
    since = UTCDateTimeField("From (UTC)")
    until = UTCDateTimeField("Until (UTC)")

    def clean_labels(self) -> dict[str, str]:
        return _parse_labels(self.cleaned_data["labels"])

    def build_query(self) -> ExecutionQuery:
        return ExecutionQuery(**self.active_filters())


class EventFilterForm(FilterForm):
    """Filters of events."""

    pack = _text_field("Pack", EXACT_NAME_HELP)
    name = _text_field("Event", EXACT_NAME_HELP)
    since = UTCDateTimeField("From (UTC)")
    until = UTCDateTimeField("Until (UTC)")

    def build_query(self) -> EventQuery:
        return EventQuery(**self.active_filters())


class PackFilterForm(FilterForm):
    """Filters of packs."""

    text = _text_field("Name or label", "contains", "Slack, env=prod")
    status = StatusField(STATUSES)


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
