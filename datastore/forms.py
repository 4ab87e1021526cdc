"""The form of an item: its text in place where it is one, else a file to put in its stead."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings

from datastore.content import is_content_type
from datastore.lookup import decode
from datastore.models import Item
from datastore.saving import MAX_SECRET_BYTES, key_fault
from flyte_site.encryption import NoKeysError, has_keys

# Longer ones are for files: a browser's text area is no place for them.
MAX_TEXT = 256 * 1024
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
NO_KEYS = "Not to be had here: a secret value is encrypted, and FLYTE_ENCRYPTION_KEYS is not set on the server."
SUGGESTED = (JSON, TEXT, "application/octet-stream")


if TYPE_CHECKING:
    OfItem = forms.ModelForm[Item]
else:
    OfItem = forms.ModelForm


class Unshown(forms.Textarea):
    """A text area that never has a text in it when the page comes."""

    def format_value(self, value: Any) -> str:
        return ""


class ItemForm(OfItem):
    """An item. A file, if there is one, is put in place of the text.

    A secret item's value is never shown, and stays as it is where no other is given: then `value` is None.
    """

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
        fields = ("key", "content_type", "description", "secret")
        help_texts = {"secret": "Encrypted, shown to nobody, here neither; only templates read it."}
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        text = text_of(self.instance) if self.instance.pk else ""
        if text is None:
            del self.fields["text"]
        elif self.instance.pk:
            self.initial["text"] = text
        if self.instance.secret:
            self.fields["text"].help_text = "A new value in place of the secret one; leave it empty to keep that."
        if self.instance.secret or self.data.get("secret"):
            self._never_show_text()
        if "secret" in self.fields and not self.instance.secret and not has_keys():
            self.fields["secret"].disabled = True
            self.fields["secret"].help_text = NO_KEYS
        if "content_type" in self.fields:
            self.fields["content_type"].initial = JSON
            self.fields["content_type"].help_text = f"Such as {', '.join(SUGGESTED)}."

    def _never_show_text(self) -> None:
        if "text" in self.fields:
            self.fields["text"].widget = Unshown(self.fields["text"].widget.attrs)

    def clean_secret(self) -> bool:
        field = self.fields["secret"]
        # Of a disabled field Django takes no value; who asks for a secret nonetheless must not get an open item.
        asked: bool = field.widget.value_from_datadict(self.data, self.files, self.add_prefix("secret"))
        if asked and not has_keys():
            raise forms.ValidationError(f"A secret item {NoKeysError()}.")
        return asked

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

    def _value(self, cleaned: dict[str, Any]) -> bytes | None:
        file, secret = cleaned.get("file"), cleaned.get("secret", False)
        if self.instance.secret and not file and not cleaned.get("text"):
            if not secret:
                self.add_error("text", "A value is needed where the item is to be secret no more.")
            return None
        value: bytes = file.read() if file else self._typed(cleaned)
        most = MAX_SECRET_BYTES if secret else settings.FLYTE_MAX_DATASTORE_VALUE_BYTES
        if len(value) > most:
            self.add_error("file" if file else "text", f"It has {len(value)} bytes; {most} are taken.")
        elif not value:
            self.add_error("text" if "text" in self.fields else "file", "A value must not be empty.")
        elif not file and "text" in self.fields:
            self._check(value, cleaned["content_type"], secret)
        return value

    def _typed(self, cleaned: dict[str, Any]) -> bytes:
        if "text" not in self.fields:
            return bytes(self.instance.value)
        # Browsers send CRLF for each line break.
        return str(cleaned.get("text", "")).replace("\r\n", "\n").encode()

    def _check(self, value: bytes, content_type: str, secret: bool) -> None:
        try:
            decode(value, content_type)
        except ValueError as error:
            self.add_error("text", f"It can't be read as {content_type}{'' if secret else f': {error}'}")


def text_of(item: Item) -> str | None:
    """The item's value as text to edit, empty where it is secret; None where it is too long, or no text."""
    if item.secret:
        return ""
    value = bytes(item.value)
    if len(value) > MAX_TEXT or b"\x00" in value:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
