"""What people ask for on the lists of executions and events: forms that are read from an address."""

import re
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.exceptions import ValidationError

from audit.queries import labels_in
from audit.search import Wanted, WantedEvents
from flows.models import ExecutionState
from packs.models import STATUSES, Labels

STATES = [("", "any"), *((str(state), str(state)) for state in ExecutionState)]
LONGEST = 255
WHOLE = "the whole name"


class TimeField(forms.DateTimeField):
    """A time in UTC, to the minute."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")

    def __init__(self, label: str) -> None:
        super().__init__(label=label, required=False)


def _text(label: str, help_text: str, placeholder: str = "") -> forms.CharField:
    attributes = {"placeholder": placeholder} if placeholder else {}
    widget = forms.TextInput(attrs={"size": "14", **attributes})
    return forms.CharField(label=label, required=False, max_length=LONGEST, widget=widget, help_text=help_text)


class Filters(forms.Form):
    """A filter form: every field may be empty, and a field that is wrong is told and counts as empty."""

    use_required_attribute = False

    def asked(self) -> dict[str, Any]:
        """What was given and is right, by field."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        since, until = given.get("since"), given.get("until")
        if since and until and until <= since:
            self.add_error("until", ValidationError("must be after the time in From"))
        return given


class ExecutionFilters(Filters):
    """Filters of executions."""

    flow = _text("Flow", WHOLE)
    state = forms.ChoiceField(label="Status", required=False, choices=STATES)
    pack = _text("Pack", WHOLE)
    command = _text("Command", WHOLE)
    step = _text("Step", WHOLE)
    labels = _text("Pack labels", "all of them", "env:prod, az:b")
    text = _text("Text in context", "24 hours back, or since From")
    since = TimeField("From (UTC)")
    until = TimeField("Until (UTC)")

    def clean_labels(self) -> dict[str, str]:
        parts = [part.strip() for part in self.cleaned_data["labels"].split(",")]
        for part in parts:
            name, _, value = (one.strip() for one in part.partition(":"))
            if part and not (name and value):
                raise ValidationError(f"must be pairs such as env:prod, az:b; {part[:40]!r} is none")
        return labels_in(",".join(parts))

    def wanted(self) -> Wanted:
        return Wanted(**self.asked())


class EventFilters(Filters):
    """Filters of events."""

    pack = _text("Pack", WHOLE)
    name = _text("Event", WHOLE)
    since = TimeField("From (UTC)")
    until = TimeField("Until (UTC)")

    def wanted(self) -> WantedEvents:
        return WantedEvents(**self.asked())


class PackFilters(Filters):
    """Filters of packs."""

    text = _text("Name or label", "a part of it", "Slack, env:prod")
    status = forms.ChoiceField(
        label="Status", required=False, choices=[("", "any"), *((status, status) for status in STATUSES)]
    )


def executions_of(pack_name: str, labels: Labels | None = None) -> str:
    """The query by which the list of executions finds what runs with packs of this name, asked for these labels."""
    pairs = [f"{name}:{value}" for name, value in (labels or {}).items()]
    # The filter parts labels at commas, and a name from its value at the first colon; it wants both.
    plain = not any("," in pair or not re.fullmatch(r"\s*[^:\s][^:]*:[^:]*[^:\s]\s*", pair) for pair in pairs)
    asked = {"pack": pack_name, "state": str(ExecutionState.RUNNING), "labels": ", ".join(pairs) if plain else ""}
    return urlencode({name: value for name, value in asked.items() if value})
