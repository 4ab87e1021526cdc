"""Media types of responses: JSON, or YAML if the caller prefers it.

Commands import this module, so it does not import REST framework; `flyte_site.http.output.negotiation` does.
"""

import json
import re
from typing import Any

import yaml
from django.http import HttpRequest, HttpResponse

JSON_TYPE = "application/json"
HTML_TYPE = "text/html"
BODY_CHARSET = "utf-8"
YAML_TYPES = ("application/x-yaml", "application/yaml", "text/yaml")

_CHARSET = re.compile(r";\s*charset\s*=[^;,]*", re.IGNORECASE)


def get_preferred_type(accept: str) -> str:
    """Return the media type of the response to a request with this `Accept` header (RFC 9110, 12.5.1)."""
    if accept in ("*/*", JSON_TYPE):
        return JSON_TYPE
    request = HttpRequest()
    request.META["HTTP_ACCEPT"] = _CHARSET.sub("", accept)
    return request.get_preferred_type([JSON_TYPE, *YAML_TYPES]) or JSON_TYPE


def prefers_html(request: HttpRequest) -> bool:
    """Return True if the `Accept` header prefers HTML, as browsers do."""
    return request.get_preferred_type([JSON_TYPE, HTML_TYPE]) == HTML_TYPE


class _Dumper(yaml.CSafeDumper):
    """A YAML dumper that writes repeated values in full instead of as aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
# Such as members of enumerations.
_Dumper.add_multi_representer(str, lambda dumper, text: _represent_text(dumper, str(text)))


def to_yaml(data: Any) -> str:
    """Convert data to a YAML document, with multi-line text as block scalars."""
    text: str = yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False)
    return text


def empty_response(status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    """Build a response without a body or a content type."""
    response = HttpResponse(status=status, headers=headers)
    del response["Content-Type"]
    return response


def render_body(data: Any, media_type: str) -> bytes:
    """Convert data to a body of a media type from `get_preferred_type`: compact JSON, or YAML with the same keys."""
    if data is None:
        return b""
    text = to_yaml(data) if media_type in YAML_TYPES else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.encode()


def render_response(request: HttpRequest, data: Any, headers: dict[str, str] | None = None) -> HttpResponse:
    """Build a response with a body in the media type that the caller prefers."""
    media_type = get_preferred_type(request.META.get("HTTP_ACCEPT", "*/*"))
    return HttpResponse(
        render_body(data, media_type), content_type=f"{media_type}; charset={BODY_CHARSET}", headers=headers
    )
