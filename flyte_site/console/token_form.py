"""What somebody says of a token that is to be made."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from flyte_site.auth import tokens
from flyte_site.auth.activity_log import Actor
from flyte_site.auth.scopes import SCOPES

EXPIRY_CHOICES = (("7", "in a week"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"), ("", "never"))


class TokenForm(forms.Form):
    """A name, what the token may be or do, and until when."""

    name = forms.CharField(
        max_length=tokens.MAX_NAME_LENGTH, help_text="What it is called in lists and histories, such as slack-prod."
    )
    pack = forms.CharField(
        max_length=tokens.MAX_PACK_PATTERN_LENGTH,
        required=False,
        label="May be the pack",
        help_text="A pack's name; * is any text, as in Slack*. Empty for a token of a person or a program.",
    )
    labels = forms.CharField(
        max_length=2000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        label="with the labels",
        help_text="One in a line: env=prod. The pack needs at least these.",
    )
    scopes = forms.MultipleChoiceField(
        required=False,
        label="May",
        widget=forms.CheckboxSelectMultiple,
        choices=[(name, f"{description} ({name})") for name, description in SCOPES.items()],
    )
    expires = forms.ChoiceField(required=False, choices=EXPIRY_CHOICES, initial="90", label="Expires")

    def clean_labels(self) -> dict[str, str]:
        labels = {}
        for line in filter(None, map(str.strip, self.cleaned_data["labels"].splitlines())):
            key, equals, value = line.partition("=")
            if not key or not equals:
                raise forms.ValidationError(f"{line!r} must be key=value.")
            labels[key] = value
        return labels

    def create_token(self, actor: Actor) -> str | None:
        """The secret of the token that was made; None, with an error on the form, where none can be."""
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
            self.add_error(None, str(error).capitalize() + ".")
            return None
        return secret
