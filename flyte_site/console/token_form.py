"""What somebody says of a token that is to be made."""

from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from flyte_site.auth import tokens
from flyte_site.auth.scopes import SCOPES
from flyte_site.changes import Actor

DAYS = (("7", "in a week"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"), ("", "never"))


class TokenForm(forms.Form):
    """A name, what the token may be or do, and until when."""

    name = forms.CharField(
        max_length=tokens.MAX_NAME, help_text="What it is called in lists and histories, such as slack-prod."
    )
    pack = forms.CharField(
        max_length=tokens.MAX_PATTERN,
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
        choices=[(name, f"{what} ({name})") for name, what in SCOPES.items()],
    )
    expires = forms.ChoiceField(required=False, choices=DAYS, initial="90", label="Expires")

    def clean_labels(self) -> dict[str, str]:
        labels = {}
        for line in filter(None, map(str.strip, self.cleaned_data["labels"].splitlines())):
            key, equals, value = line.partition("=")
            if not key or not equals:
                raise forms.ValidationError(f"{line!r} must be key=value.")
            labels[key] = value
        return labels

    def make(self, actor: Actor) -> str | None:
        """The secret of the token that was made; None, with an error on the form, where none can be."""
        given: dict[str, Any] = self.cleaned_data
        days = given["expires"]
        try:
            _, secret = tokens.create(
                actor,
                given["name"],
                pack=given["pack"],
                labels=given["labels"],
                scopes=given["scopes"],
                expires_at=timezone.now() + timedelta(days=int(days)) if days else None,
            )
        except tokens.TokenError as error:
            self.add_error(None, str(error).capitalize() + ".")
            return None
        return secret
