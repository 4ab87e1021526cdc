"""Template tags and filters of the console: states, times, JSON, and buttons with a confirmation."""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from flyte_site.auth.activity_log import label_kind
from flyte_site.core.timestamps import format_rfc3339, humanize_age, humanize_days, humanize_duration

register = template.Library()

MAX_JSON_LENGTH = 200_000
_TOKEN = re.compile(r'("(?:\\.|[^"\\])*")(\s*:)?|(-?\d[\d.eE+-]*)|\b(true|false|null)\b')


@register.simple_tag
def pill(state: str, label: str = "") -> SafeString:
    """Render a state as a colored label; its CSS class is the state in lower case."""
    css_class = re.sub(r"[^a-z-]", "-", str(state).lower())
    return format_html('<span class="pill {}">{}</span>', css_class, label or state)


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """Render a time relative to now, with the time in UTC as a tooltip; – for None.

    `static/times.js` updates it while the page is open.
    """
    if moment is None:
        return "–"
    timestamp, age = format_rfc3339(moment), timezone.now() - moment
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', timestamp, humanize_age(age))


@register.simple_tag
def server_time() -> str:
    """Return the server's time when it renders the page, for `static/times.js`."""
    return format_rfc3339(timezone.now())


@register.filter
def reason(outcome: Mapping[str, Any]) -> str:
    """Return the message of a step's outcome, or '' if it repeats the label.

    The message of false criteria adds information only if it quotes the value of the criteria.
    """
    message, kind = str(outcome.get("message", "")), outcome.get("outcome")
    is_redundant = kind == "labels" or (kind == "criteria" and not {"'", '"'} & set(message))
    return "" if is_redundant else message


@register.filter
def duration(delta: timedelta | None) -> str:
    """Format a duration in its largest two units: `2 d 4 h`, `3 min 20 s`, `1.2 s`, `45 ms`; – for None."""
    return "–" if delta is None else humanize_duration(delta)


register.filter("kind_label", label_kind)


@register.filter
def days(duration: timedelta) -> str:
    """Format a duration for a sentence: `3 days`, or `2 h 30 min` if it is less than a day."""
    return humanize_days(duration)


@register.filter
def as_json(value: Any) -> SafeString:
    """Render a JSON value, indented and colored, in a `<pre>`; a very long value is truncated with a note."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    truncated = text[:MAX_JSON_LENGTH]
    parts = format_html_join("", "{}", ((part,) for part in _highlight(truncated)))
    note = f"\n… and {len(text) - MAX_JSON_LENGTH} more characters" if len(text) > MAX_JSON_LENGTH else ""
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
    """Return the items of a mapping. In a template, `.items` would look up a key of that name."""
    return list(mapping.items()) if mapping else []


@register.inclusion_tag("console/folded.html")
def json_details(label: str, value: Any, opened: bool = False) -> dict[str, Any]:
    """Render JSON collapsed under a label."""
    return {"label": label, "value": value, "opened": opened}


@register.inclusion_tag("console/copyable.html")
def copyable(name: str, text: str) -> dict[str, str]:
    """Render text with a copy button; `name` must be unique on the page."""
    return {"name": name, "text": text}


@register.inclusion_tag("console/confirmed.html", takes_context=True)
def confirm_button(
    context: template.Context,
    name: str,
    url: str,
    label: str,
    obj: str,
    obj_name: str,
    question: str,
    *,
    danger: bool = False,
) -> dict[str, Any]:
    """Render a button that asks for confirmation before it posts to `url`; `name` must be unique on the page.

    The dialog's title names the object: label "Delete", object "flow" and its name make "Delete flow 'date'?".
    """
    return {
        "name": name,
        "url": url,
        "label": label,
        "obj": obj,
        "obj_name": obj_name,
        "question": question,
        "danger": danger,
        "csrf_token": context.get("csrf_token"),
    }
