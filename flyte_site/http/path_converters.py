"""Path converters: names of packs, flows and items as URL path segments."""

from urllib.parse import quote

from django.urls.converters import StringConverter

from flyte_site.http.links import SEGMENT_SAFE


def unescape_segment(segment: str) -> str:
    """Unescape `%2F` and `%25`, which `flyte_site.wsgi` keeps escaped in paths."""
    return segment.replace("%2F", "/").replace("%25", "%")


class NameConverter(StringConverter):
    """A path segment that holds any name; a `/` in it is sent as `%2F` (see `flyte_site.wsgi`)."""

    def to_python(self, value: str) -> str:
        if "\x00" in value:
            raise ValueError("NUL in a name")  # Django responds with 404; PostgreSQL would raise an error
        return unescape_segment(value)

    def to_url(self, value: str) -> str:
        return quote(value, safe=SEGMENT_SAFE)
