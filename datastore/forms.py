"""The form of an item: its value as text if possible, otherwise as a file."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.utils.http import parse_header_parameters

from datastore.content_types import is_valid_content_type
from datastore.lookup import decode_value, is_json_media_type
from datastore.models import Item
from datastore.service import MAX_SECRET_BYTES, get_key_error
from flyte_site.core.secrets.encryption import NoEncryptionKeysError, has_keys
from flyte_site.http.input.body import format_size
from flyte_site.http.input.parsing import DocumentError

# Longer values must be uploaded as files: they are too long for a text area.
MAX_EDITABLE_BYTES = 256 * 1024
JSON_CONTENT_TYPE = "application/json"
TEXT_CONTENT_TYPE = "text/plain; charset=utf-8"
NO_ENCRYPTION_KEYS = "Not available: FLYTE_ENCRYPTION_KEYS is not set on the server. Its keys encrypt secret values."
SUGGESTED_CONTENT_TYPES = (JSON_CONTENT_TYPE, TEXT_CONTENT_TYPE, "application/octet-stream")


if TYPE_CHECKING:
    ItemModelForm = forms.ModelForm[Item]
else:
    ItemModelForm = forms.ModelForm


class WriteOnlyTextarea(forms.Textarea):
    """A text area that is always empty in the rendered page."""

    def format_value(self, value: Any) -> str:
        return ""


class ItemForm(ItemModelForm):
    """An item. An uploaded file takes precedence over the text.

    A secret value is never shown, and is kept if no new one is entered: then `value` is None.
    """

    text = forms.CharField(
        label="Value",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18, "class": "code wide", "spellcheck": "false"}),
        help_text="Any text; must be valid JSON if the content type is JSON.",
    )
    file = forms.FileField(label="Or a file", required=False)

    class Meta:
        model = Item
        fields = ("key", "content_type", "description", "secret")
        help_texts = {"secret": "Encrypted. Never shown again; only flow templates can read it."}
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}
        error_messages = {"key": {"unique": "A datastore item with this key already exists."}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        text = get_editable_text(self.instance) if self.instance.pk else ""
        if text is None:
            del self.fields["text"]
        elif self.instance.pk:
            self.initial["text"] = text
        self._describe_file_limit()
        if self.instance.secret:
            self.fields["text"].help_text = "Enter a new value to replace the secret, or leave this empty to keep it."
        if self.instance.secret or self.data.get("secret"):
            self._make_text_write_only()
        if "secret" in self.fields and not self.instance.secret and not has_keys():
            self.fields["secret"].disabled = True
            self.fields["secret"].help_text = NO_ENCRYPTION_KEYS
        if "content_type" in self.fields:
            self.fields["content_type"].initial = JSON_CONTENT_TYPE
            self.fields["content_type"].help_text = f"For example {', '.join(SUGGESTED_CONTENT_TYPES)}."

    def _describe_file_limit(self) -> None:
        """Name the limit. A script rejects a larger file before it is sent: the server would reject the whole form."""
        max_bytes = settings.FLYTE_MAX_DATASTORE_VALUE_BYTES
        field = self.fields["file"]
        field.help_text = (
            f"At most {format_size(max_bytes)}. If you choose a file, it is stored instead of the text above."
        )
        field.widget.attrs |= {"data-max-bytes": max_bytes, "data-max-size": format_size(max_bytes)}

    def _make_text_write_only(self) -> None:
        if "text" in self.fields:
            self.fields["text"].widget = WriteOnlyTextarea(self.fields["text"].widget.attrs)

    def clean_secret(self) -> bool:
        field = self.fields["secret"]
        # Django ignores the value of a disabled field; a request for a secret must not create a readable item.
        is_secret: bool = field.widget.value_from_datadict(self.data, self.files, self.add_prefix("secret"))
        if is_secret and not has_keys():
            raise forms.ValidationError(f"A secret item {NoEncryptionKeysError()}.")
        return is_secret

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if error := get_key_error(key):
            raise forms.ValidationError(f"The key {error}.")
        return key

    def clean_content_type(self) -> str:
        content_type: str = self.cleaned_data["content_type"].strip()
        if not is_valid_content_type(content_type):
            raise forms.ValidationError("Enter a valid content type, such as application/json.")
        return content_type

    def clean(self) -> dict[str, Any]:
        cleaned_data = super().clean() or {}
        if "content_type" in cleaned_data and not self.errors:
            cleaned_data["value"] = self._clean_value(cleaned_data)
        return cleaned_data

    def _clean_value(self, cleaned_data: dict[str, Any]) -> bytes | None:
        file, is_secret = cleaned_data.get("file"), cleaned_data.get("secret", False)
        if self.instance.secret and not file and not cleaned_data.get("text"):
            if not is_secret:
                self.add_error("text", "Enter a new value: a stored secret can't be made readable.")
            return None
        max_bytes = MAX_SECRET_BYTES if is_secret else settings.FLYTE_MAX_DATASTORE_VALUE_BYTES
        limit = f"{'secret ' if is_secret else ''}values can be at most {format_size(max_bytes)}"
        if file and file.size > max_bytes:
            self.add_error("file", f"The file is {format_size(file.size)}; {limit}.")
            return None
        value: bytes = file.read() if file else self._encode_text(cleaned_data)
        if len(value) > max_bytes:
            self.add_error("text", f"The text is {format_size(len(value))}; {limit}.")
        elif not value:
            self.add_error("text" if "text" in self.fields else "file", "The value must not be empty.")
        else:
            self._check_decodable(value, cleaned_data["content_type"], is_secret, is_file=bool(file))
        return value

    def _encode_text(self, cleaned_data: dict[str, Any]) -> bytes:
        if "text" not in self.fields:
            return bytes(self.instance.value)
        # Browsers send CRLF for each line break.
        return str(cleaned_data.get("text", "")).replace("\r\n", "\n").encode()

    def _check_decodable(self, value: bytes, content_type: str, is_secret: bool, *, is_file: bool) -> None:
        """Reject a value that templates could not read. A file of another type than JSON can have any content."""
        is_editable = "text" in self.fields and not is_file
        if not is_editable and not is_json_media_type(parse_header_parameters(content_type)[0]):
            return
        try:
            decode_value(value, content_type, unique_keys=True)
        except ValueError as error:
            # The error of a secret value could quote a part of it.
            message = f"The value is not valid {content_type}." if is_secret else _decoding_error(error, content_type)
            self.add_error("text" if is_editable else "file" if is_file else "content_type", message)


def _decoding_error(error: ValueError, content_type: str) -> str:
    """Build the message of an error in the text, with its position if it is known."""
    if not is_json_media_type(parse_header_parameters(content_type)[0]):
        return f"The value is not valid {content_type}: {error}."
    reason = str(error).removeprefix("invalid JSON: ")
    if isinstance(error, DocumentError) and error.line:
        return f"Invalid JSON at line {error.line}, column {error.column}: {reason}."
    return f"Invalid JSON: {reason}."


def get_editable_text(item: Item) -> str | None:
    """Return the value as text to edit, empty if it is secret; None if it is too long or not text."""
    if item.secret:
        return ""
    value = bytes(item.value)
    if len(value) > MAX_EDITABLE_BYTES or b"\x00" in value:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
