"""The form to create a token."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from flyte_site.auth import tokens
from flyte_site.auth.activity_log import Actor
from flyte_site.auth.scopes import SCOPES
from flyte_site.core.labels import split_label

EXPIRY_CHOICES = (("7", "in a week"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"), ("", "never"))


class TokenForm(forms.Form):
    """Name, access and expiry of a new token."""

    name = forms.CharField(
        max_length=tokens.MAX_NAME_LENGTH, help_text="A unique name for lists and the activity log, such as slack-prod."
    )
    pack = forms.CharField(
        max_length=tokens.MAX_PACK_PATTERN_LENGTH,
        required=False,
        label="Act as pack",
        help_text="A pack's name; * matches any text, as in Slack*. Leave it empty for a token of a user or a program.",
    )
    labels = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        label="Pack labels",
        help_text="One per line, such as env=prod. The pack must have all of them, and can have more.",
    )
    scopes = forms.MultipleChoiceField(
        required=False,
        label="Scopes",
        widget=forms.CheckboxSelectMultiple,
        choices=[(name, f"{description} ({name})") for name, description in SCOPES.items()],
    )
    expires = forms.ChoiceField(required=False, choices=EXPIRY_CHOICES, initial="90", label="Expires")

    def clean_labels(self) -> dict[str, str]:
        labels = {}
        for line in filter(None, map(str.strip, self.cleaned_data["labels"].splitlines())):
            try:
                name, value = split_label(line)
            except ValueError as error:
                message = str(error)
                raise forms.ValidationError(f"{message[0].upper()}{message[1:]}.") from None
            labels[name] = value
        return labels

    def create_token(self, actor: Actor) -> str | None:
        """Create the token and return its secret; or add an error to the form and return None."""
        data: dict[str, Any] = self.cleaned_data
        days = data["expires"]
        try:
            _, secret = tokens.create_token(
                actor,
                data["name"],
                pack=data["pack"],
                labels=data["labels"],
                scopes=data["scopes"],
                expires_at=timezone.now() + timedelta(days=int(days)) if days else None,
            )
        except tokens.TokenError as error:
            message = str(error)
            self.add_error(None, f"{message[0].upper()}{message[1:]}.")
            return None
        return secret
