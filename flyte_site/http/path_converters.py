"""Path converter for names with any characters."""

from urllib.parse import quote

from django.urls.converters import StringConverter

from flyte_site.http.links import SEGMENT_SAFE


def unescape_segment(segment: str) -> str:
    """Unescape `%2F` and `%25` in a segment, which `flyte_site.wsgi` keeps escaped."""
    return segment.replace("%2F", "/").replace("%25", "%")


class NameConverter(StringConverter):
    """One path segment: a name of any characters, with `/` sent as `%2F` (see `flyte_site.wsgi`)."""

    def to_python(self, value: str) -> str:
        if "\x00" in value:
            raise ValueError("no name has a NUL")  # Django answers 404; PostgreSQL would fail on it
        return unescape_segment(value)

    def to_url(self, value: str) -> str:
        return quote(value, safe=SEGMENT_SAFE)
