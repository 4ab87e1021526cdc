"""Filter forms of the console's lists, read from the query string. Lists refuse unknown filters and values."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

EXACT_NAME_HELP = "exact name"
MAX_TEXT_LENGTH = 255
MAX_QUOTED_LENGTH = 40
"""Length of a wrong value in an error message."""


class ChoiceFilter(forms.ChoiceField):
    """A choice of one value, or of any. In a query string, a choice can also have its label."""

    def __init__(self, label: str, choices: Iterable[str] | Mapping[str, str], any_label: str = "any") -> None:
        labels = choices if isinstance(choices, Mapping) else {str(name): str(name) for name in choices}
        super().__init__(label=label, required=False, choices=[("", any_label), *labels.items()])
        self.values_by_label = {text: value for value, text in labels.items()}

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        return self.values_by_label.get(text, text)

    def validate(self, value: Any) -> None:
        if value and not self.valid_value(value):
            quoted = repr(value[:MAX_QUOTED_LENGTH])
            message = f"unknown {str(self.label).lower()} {quoted}: use one of: {', '.join(self.values_by_label)}"
            raise ValidationError(message)


class FilterForm(forms.Form):
    """A filter form: every field is optional. With an invalid or unknown one the page reports it and lists nothing."""

    use_required_attribute = False
    page_parameters: ClassVar[tuple[str, ...]] = ("older_than", "newer_than", "before", "after", "page")

    def active_filters(self) -> dict[str, Any]:
        """Return the valid, non-empty values by field."""
        self.is_valid()
        return {name: value for name, value in self.cleaned_data.items() if value}

    def is_filtered(self) -> bool:
        """Return True if the page does not list everything: a filter is set, or one is invalid."""
        return bool(self.active_filters()) or not self.is_valid()

    def list_errors(self) -> list[str]:
        """Return all errors, each with the label of its field, for pages that don't show the fields of the form."""
        labels = {
            name: f"{field.label}: " for name, field in self.fields.items() if not isinstance(field, ChoiceFilter)
        }
        return [f"{labels.get(name, '')}{error}" for name, errors in self.errors.items() for error in errors]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in self.data:
            if name not in self.fields and name not in self.page_parameters:
                message = f"Unknown filter {name[:MAX_QUOTED_LENGTH]!r}. Filters: {', '.join(self.fields)}."
                self.add_error(None, ValidationError(message))
        return cleaned


class SearchForm(FilterForm):
    """The filters of a list that Django's admin renders: a text to search for."""

    page_parameters = ("p", "o", "all", "e")

    q = forms.CharField(label="Search", required=False, max_length=MAX_TEXT_LENGTH)


def text_filter(
    label: str, help_text: str = "", placeholder: str = "", max_length: int | None = MAX_TEXT_LENGTH
) -> forms.CharField:
    """Return a filter by a text."""
    attributes = {"placeholder": placeholder} if placeholder else {}
    widget = forms.TextInput(attrs={"size": "14", **attributes})
    return forms.CharField(label=label, required=False, max_length=max_length, widget=widget, help_text=help_text)
