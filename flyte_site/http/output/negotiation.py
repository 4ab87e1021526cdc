"""Content negotiation: renderers and parsers of REST framework for JSON and YAML."""

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from flyte_site.http.content_types import JSON_TYPE, YAML_TYPES, get_preferred_type, render_body


class JSONRenderer(BaseRenderer):
    """Compact JSON in UTF-8."""

    media_type, format, charset = JSON_TYPE, "json", "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return render_body(data, self.media_type)


class YAMLRenderer(BaseRenderer):
    """YAML in UTF-8, with keys in the same order as in JSON."""

    media_type, format, charset = YAML_TYPES[0], "yaml", "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return render_body(data, self.media_type)


class JSONBodyParser(BaseParser):
    """A declaration for the OpenAPI description that bodies can be JSON; `flyte_site.http.input.body` parses them."""

    media_type = JSON_TYPE


class YAMLBodyParser(BaseParser):
    """A declaration for the OpenAPI description that bodies can be YAML; `flyte_site.http.input.body` parses them."""

    media_type = YAML_TYPES[0]


class ContentNegotiation(BaseContentNegotiation):
    """Content negotiation that selects JSON unless the caller prefers YAML, and never returns 406."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        media_type = get_preferred_type(request.headers.get("Accept", "*/*"))
        renderer_class = YAMLRenderer if media_type in YAML_TYPES else JSONRenderer
        renderer = next(renderer for renderer in renderers if isinstance(renderer, renderer_class))
        renderer.media_type = media_type
        return renderer, media_type

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> Any:
        return None  # flyte_site.http.input.body parses bodies
