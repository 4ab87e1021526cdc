"""What the console's pages show again and again: states, times, JSON, buttons that ask first."""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flyte_site.core.timestamps import format_rfc3339, humanize_age, humanize_duration

register = template.Library()

MAX_JSON_LENGTH = 200_000
_TOKEN = re.compile(r'("(?:\\.|[^"\\])*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b')


@register.simple_tag
def pill(state: str, label: str = "") -> SafeString:
    """A state as a coloured word; its class is the state in small letters."""
    css_class = re.sub(r"[^a-z-]", "-", str(state).lower())
    return format_html('<span class="pill {}">{}</span>', css_class, label or state)


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """How long ago a moment was, or in how long it will be, with the moment itself in UTC on hovering; – for none.

    `static/times.js` tells it anew while the page stays open.
    """
    if moment is None:
        return "–"
    timestamp, age = format_rfc3339(moment), timezone.now() - moment
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', timestamp, humanize_age(age))


@register.simple_tag
def server_time() -> str:
    """When the page is made, by this server's clock: `static/times.js` reckons from it."""
    return format_rfc3339(timezone.now())


# What their pills say already.
_REDUNDANT_REASONS = ("the criteria are false", "the pack lacks labels that the step asks for")


@register.filter
def reason(outcome: Mapping[str, Any]) -> str:
    """What is to be said of a step's outcome beside its pill; '' where the pill says it."""
    message = str(outcome.get("message", ""))
    return "" if message in _REDUNDANT_REASONS else message


@register.filter
def duration(delta: timedelta | None) -> str:
    """A length of time in its largest two units: `2 d 4 h`, `3 min 20 s`, `1.2 s`, `45 ms`; – for none."""
    return "–" if delta is None else humanize_duration(delta)


@register.filter
def as_json(value: Any) -> SafeString:
    """A JSON value, indented and coloured, as a `<pre>`; a very long one is cut, and says so."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    truncated = text[:MAX_JSON_LENGTH]
    parts = format_html_join("", "{}", ((part,) for part in _highlight(truncated)))
    note = f"\n… and {len(text) - MAX_JSON_LENGTH} characters more" if len(text) > MAX_JSON_LENGTH else ""
    return format_html('<pre class="json" tabindex="0">{}{}</pre>', parts, note)


def _highlight(text: str) -> Any:
    position = 0
    for match in _TOKEN.finditer(text):
        yield text[position : match.start()]
        string, colon, number, word = match.groups()
        css_class = ("key" if colon else "string") if string else "number" if number else "word"
        yield format_html('<span class="{}">{}</span>{}', css_class, string or number or word, colon or "")
        position = match.end()
    yield text[position:]


@register.filter
def dict_items(mapping: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """A mapping's keys with their values. In a template, `.items` would be the value of a key of that name."""
    return list(mapping.items()) if mapping else []


@register.inclusion_tag("console/folded.html")
def json_details(label: str, value: Any, opened: bool = False) -> dict[str, Any]:
    """JSON behind a line that opens it."""
    return {"label": label, "value": value, "opened": opened}


@register.inclusion_tag("console/copyable.html")
def copyable(name: str, text: str) -> dict[str, str]:
    """Lines to copy, with a button; `name` is unique on the page."""
    return {"name": name, "text": text}


@register.inclusion_tag("console/confirmed.html", takes_context=True)
def confirm_button(
    context: template.Context, name: str, url: str, label: str, question: str, *, danger: bool = False
) -> dict[str, Any]:
    """A button that asks before it posts to `url`; `name` is unique on the page."""
    token = context.get("csrf_token")
    return {"name": name, "url": url, "label": label, "question": question, "danger": danger, "csrf_token": token}
