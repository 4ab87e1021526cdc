"""Forms of the flow pages."""

from typing import Any

from django import forms

from flows.definition.editor.report import normalize_text
from flows.models import MAX_NOTE_LENGTH


class FlowForm(forms.Form):
    """A flow's text, to be saved on the version that it was read with.

    `expected` is that version ('' for a new flow). If the document's name differs from the flow of the page, `save_as`
    must be that name, and `other_version` the current version of the flow with that name.
    """

    text = forms.CharField(required=False, strip=False)
    note = forms.CharField(required=False, max_length=MAX_NOTE_LENGTH)
    expected = forms.CharField(required=False, max_length=24)
    save_as = forms.CharField(required=False, max_length=255)
    other_version = forms.CharField(required=False, max_length=24)

    def clean_text(self) -> str:
        return normalize_text(self.cleaned_data["text"])

    def submitted_value(self, name: str) -> Any:
        """Return the submitted value, even if it is invalid."""
        return self.cleaned_data.get(name, self.data.get(name, ""))
