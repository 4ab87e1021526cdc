"""Content negotiation of REST framework: its renderers and parsers, and the choice among them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from flyte_site.rest.media import JSON, YAML_TYPES, preferred_type, to_yaml


class JSONRenderer(BaseRenderer):
    """Compact JSON in UTF-8."""

    media_type, format, charset = JSON, "json", "utf-8"

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


class JSONBody(BaseParser):
    """Tells the documentation that bodies may be JSON; `flyte_site.rest.bodies` reads them."""

    media_type = JSON


class YAMLBody(BaseParser):
    """Tells the documentation that bodies may be YAML; `flyte_site.rest.bodies` reads them."""

    media_type = YAML_TYPES[0]


class Negotiation(BaseContentNegotiation):
    """JSON unless the caller prefers YAML; whatever else is asked for, the answer is JSON and never a 406."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        wanted = preferred_type(request.headers.get("Accept", "*/*"))
        kind = renderer_of(wanted)
        renderer = next(renderer for renderer in renderers if isinstance(renderer, kind))
        renderer.media_type = wanted
        return renderer, wanted

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        return None  # bodies are read by flyte_site.rest.bodies


def renderer_of(media_type: str) -> type[JSONRenderer] | type[YAMLRenderer]:
    """What writes a media type that `preferred_type` gives."""
    return YAMLRenderer if media_type in YAML_TYPES else JSONRenderer


def rendered(request: HttpRequest, data: Any, headers: dict[str, str] | None = None) -> HttpResponse:
    """An answer with a body in the type that the caller prefers."""
    wanted = preferred_type(request.META.get("HTTP_ACCEPT", "*/*"))
    renderer = renderer_of(wanted)
    content_type = f"{wanted}; charset={renderer.charset}"
    return HttpResponse(renderer().render(data), content_type=content_type, headers=headers)
