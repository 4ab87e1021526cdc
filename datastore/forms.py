"""The form of an item: its text in place where it is one, else a file to put in its stead."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings

from datastore.content import is_content_type
from datastore.lookup import decode
from datastore.models import Item
from datastore.saving import key_fault

# Longer ones are for files: a browser's text area is no place for them.
MAX_TEXT = 256 * 1024
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
SUGGESTED = (JSON, TEXT, "application/octet-stream")


if TYPE_CHECKING:
    OfItem = forms.ModelForm[Item]
else:
    OfItem = forms.ModelForm


class ItemForm(OfItem):
    """An item. A file, if there is one, is put in place of the text."""

    text = forms.CharField(
        label="Value",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18, "class": "code wide", "spellcheck": "false"}),
        help_text="JSON where the content type is a JSON one, which is checked; else any text.",
    )
    file = forms.FileField(label="Or a file", required=False, help_text="Its bytes are kept as they are.")

    class Meta:
        model = Item
        fields = ("key", "content_type", "description")
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        text = text_of(self.instance) if self.instance.pk else ""
        if text is None:
            del self.fields["text"]
        elif self.instance.pk:
            self.initial["text"] = text
        if "content_type" in self.fields:
            self.fields["content_type"].initial = JSON
            self.fields["content_type"].help_text = f"Such as {', '.join(SUGGESTED)}."

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if fault := key_fault(key):
            raise forms.ValidationError(f"The key {fault}.")
        return key

    def clean_content_type(self) -> str:
        content_type: str = self.cleaned_data["content_type"].strip()
        if not is_content_type(content_type):
            raise forms.ValidationError("This is no content type.")
        return content_type

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "content_type" in cleaned and not self.errors:
            cleaned["value"] = self._value(cleaned)
        return cleaned

    def _value(self, cleaned: dict[str, Any]) -> bytes:
        file = cleaned.get("file")
        value: bytes = file.read() if file else self._typed(cleaned)
        most = settings.FLYTE_MAX_DATASTORE_VALUE_BYTES
        if len(value) > most:
            self.add_error("file" if file else "text", f"It has {len(value)} bytes; {most} are taken.")
        elif not value:
            self.add_error("text" if "text" in self.fields else "file", "A value must not be empty.")
        elif not file and "text" in self.fields:
            self._check(value, cleaned["content_type"])
        return value

    def _typed(self, cleaned: dict[str, Any]) -> bytes:
        if "text" not in self.fields:
            return bytes(self.instance.value)
        # Browsers send CRLF for each line break.
        return str(cleaned.get("text", "")).replace("\r\n", "\n").encode()

    def _check(self, value: bytes, content_type: str) -> None:
        try:
            decode(value, content_type)
        except ValueError as error:
            self.add_error("text", f"It can't be read as {content_type}: {error}")


def text_of(item: Item) -> str | None:
    """The item's value as text to edit; None where it is too long, or none."""
    value = bytes(item.value)
    if len(value) > MAX_TEXT or b"\x00" in value:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
