"""What the console's pages of flows ask for."""

from typing import Any

from django import forms

from flows.definition.validation import normalize_text
from flows.models import MAX_NOTE_LENGTH


class FlowForm(forms.Form):
    """A flow's text, to be saved upon the version that it was read with.

    `expected` is that version ('' for none). Where the document has another name than the flow whose page it is,
    `save_as` must be that name, and `other_version` is what the flow of that name is on.
    """

    text = forms.CharField(required=False, strip=False)
    note = forms.CharField(required=False, max_length=MAX_NOTE_LENGTH)
    expected = forms.CharField(required=False, max_length=24)
    save_as = forms.CharField(required=False, max_length=255)
    other_version = forms.CharField(required=False, max_length=24)

    def clean_text(self) -> str:
        return normalize_text(self.cleaned_data["text"])

    def submitted_value(self, name: str) -> Any:
        """What was sent, also where it is wrong."""
        return self.cleaned_data.get(name, self.data.get(name, ""))
