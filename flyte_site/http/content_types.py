"""Media types of answers: JSON, or YAML where the caller asks for it.

Commands import this too, so it imports nothing of REST framework: that is in `flyte_site.rest.negotiation`.
"""

import re
from typing import Any

import yaml
from django.http import HttpRequest, HttpResponse

JSON_TYPE = "application/json"
HTML_TYPE = "text/html"
YAML_TYPES = ("application/x-yaml", "application/yaml", "text/yaml")

_CHARSET = re.compile(r";\s*charset\s*=[^;,]*", re.IGNORECASE)


class JSONRenderer(BaseRenderer):
    """Compact JSON in UTF-8."""

    media_type, format, charset = JSON_TYPE, "json", "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


class YAMLRenderer(BaseRenderer):
    """YAML in UTF-8, keys in the order that JSON has them in."""

    media_type, format, charset = YAML_TYPES[0], "yaml", "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else to_yaml(data).encode()


class JSONBodyParser(BaseParser):
    """Tells the documentation that bodies may be JSON; `flyte_site.http.request_body` reads them."""

    media_type = JSON_TYPE


class YAMLBodyParser(BaseParser):
    """Tells the documentation that bodies may be YAML; `flyte_site.http.request_body` reads them."""

    media_type = YAML_TYPES[0]


class ContentNegotiation(BaseContentNegotiation):
    """JSON unless the caller prefers YAML; whatever else is asked for, the answer is JSON and never a 406."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        media_type = get_preferred_type(request.headers.get("Accept", "*/*"))
        renderer_class = get_renderer_class(media_type)
        renderer = next(renderer for renderer in renderers if isinstance(renderer, renderer_class))
        renderer.media_type = media_type
        return renderer, media_type

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        return None  # bodies are read by flyte_site.http.request_body


def get_preferred_type(accept: str) -> str:
    """The media type to answer in, by the rules of HTTP for an `Accept` header (RFC 9110, 12.5.1)."""
    if accept in ("*/*", JSON_TYPE):
        return JSON_TYPE
    request = HttpRequest()
    request.META["HTTP_ACCEPT"] = _CHARSET.sub("", accept)
    return request.get_preferred_type([JSON_TYPE, *YAML_TYPES]) or JSON_TYPE


def get_renderer_class(media_type: str) -> type[JSONRenderer] | type[YAMLRenderer]:
    """What writes a media type that `preferred_type` gives."""
    return YAMLRenderer if media_type in YAML_TYPES else JSONRenderer


def prefers_html(request: HttpRequest) -> bool:
    """Whether a browser asks, as far as its `Accept` tells."""
    return request.get_preferred_type([JSON_TYPE, HTML_TYPE]) == HTML_TYPE


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(data: Any) -> str:
    """A YAML document, text of several lines as blocks."""
    text: str = yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False)
    return text


def render_response(request: HttpRequest, data: Any, headers: dict[str, str] | None = None) -> HttpResponse:
    """An answer with a body in the type that the caller prefers."""
    media_type = get_preferred_type(request.META.get("HTTP_ACCEPT", "*/*"))
    renderer_class = get_renderer_class(media_type)
    content_type = f"{media_type}; charset={renderer_class.charset}"
    return HttpResponse(renderer_class().render(data), content_type=content_type, headers=headers)


def empty_response(status: int, headers: dict[str, str] | None = None) -> HttpResponse:
    """An answer without a body, and so without a content type."""
    response = HttpResponse(status=status, headers=headers)
    del response["Content-Type"]
    return response
