"""Filters for HTML and URLs."""

import re
from collections.abc import Callable
from urllib.parse import quote_plus

import re2  # type: ignore[import-untyped]

from flows.lang.errors import RefusedError
from flows.lang.evaluation import Evaluation
from flows.lang.filters.base import Filter
from flows.lang.filters.flyte import encodable
from flows.lang.values import Safe, text, whole

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_TAG = re2.compile(r"<[^>]*>")
_NOT_SCRIPT_SAFE = re.compile(r"\\[rn]|[^A-Za-z /]")
_NOT_IRI = re.compile(r"[^/#%\[\]=:;$&()+,!?*@'~]")
_LINK = re2.compile(r"(?:https?://|www\.|(?:^|[ ])[0-9A-Za-z_-]+\.(?:com|net|org|info|biz|de)).*?(?:[ ]+|$)")
_ADDRESS = re2.compile(r"\w+@\w+\.\w{2,4}")
_WORD_ENDS = " .,;"
MAX_OPEN_TAGS = 100


def escape(value: str) -> str:
    """For HTML, as `autoescape on` prints."""
    return value.translate(_ESCAPES)


def _escape(value: object, argument: object, evaluation: Evaluation) -> object:
    return escape(text(value))


def _escapejs(value: object, argument: object, evaluation: Evaluation) -> object:
    def encode(match: "re.Match[str]") -> str:
        found = match.group()
        char = {"\\r": "\r", "\\n": "\n"}.get(found, found[0])
        return f"\\u{ord(char):04X}"

    return _NOT_SCRIPT_SAFE.sub(encode, text(value))


def _striptags(value: object, argument: object, evaluation: Evaluation) -> object:
    return _TAG.sub("", encodable(text(value))).strip()


def _removetags(value: object, argument: object, evaluation: Evaluation) -> object:
    source = encodable(text(value))
    tags = text(argument).split(",")
    evaluation.spend(len(tags) * (20 + (len(source) >> 6)))
    for tag in tags:
        source = re2.sub(f"</?{re2.escape(encodable(tag))}/?>", "", source)
    return source.strip()


def _quote(value: str) -> str:
    return quote_plus(value, errors="replace")


def _urlencode(value: object, argument: object, evaluation: Evaluation) -> object:
    return _quote(text(value))


def iri_encode(value: str) -> str:
    """Percent-encodes what may not stand in an IRI's text; a blank becomes a plus."""
    return _NOT_IRI.sub(lambda match: _quote(match.group()), value)


def _iriencode(value: object, argument: object, evaluation: Evaluation) -> object:
    return iri_encode(text(value))


def _linebreaksbr(value: object, argument: object, evaluation: Evaluation) -> object:
    return text(value).replace("\n", "<br />")


def _linebreaks(value: object, argument: object, evaluation: Evaluation) -> object:
    source = text(value)
    if not isinstance(value, str) or not source:
        return value
    lines, out, opened = source.split("\n"), [], False
    for index, line in enumerate(lines):
        out.append(line if opened else "<p>" + line)
        opened = True
        if index + 1 < len(lines) and line.strip():
            opened = bool(lines[index + 1].strip())
            out.append("<br />" if opened else "</p>")
    return "".join(out) + ("</p>" if opened else "")


def _shortened(title: str, size: int) -> str:
    return title[: size - 3] + "..." if 3 < size < len(title) else title


def _links(source: str, escaped: bool, size: int) -> str:
    def link(match: "re2._Match[str]") -> str:
        found = match.group()
        address = found.strip()
        url = iri_encode(address)
        if not url.startswith("http"):
            url = "http://" + url
        title = _shortened(address, size)
        title = escape(title) if escaped else title
        before, after = " " * found.startswith(" "), " " * found.endswith(" ")
        # What `iri_encode` leaves cannot end the attribute.
        return f'{before}<a href="{url}" rel="nofollow">{title}</a>{after}'

    def mail(match: "re2._Match[str]") -> str:
        return f'<a href="mailto:{match.group()}">{_shortened(match.group(), size)}</a>'

    return str(_ADDRESS.sub(mail, _LINK.sub(link, encodable(source))))


def _urlize(value: object, argument: object, evaluation: Evaluation) -> object:
    return _links(text(value), argument is not False, -1)


def _urlizetrunc(value: object, argument: object, evaluation: Evaluation) -> object:
    return _links(text(value), True, whole(argument))


class _Truncation:
    """Walks over HTML, copies it until enough text was seen, and closes the tags that are open then."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.out: list[str] = []
        self.open: list[str] = []
        self.place = 0

    def copy(self, enough: Callable[[], bool], take: Callable[[int], int]) -> None:
        """take: given a place in the text, says where to go on, having counted."""
        while self.place < len(self.source) and not enough():
            if self.source[self.place] == "<":
                self._tag()
                continue
            end = take(self.place)
            self.out.append(self.source[self.place : end])
            self.place = end

    def _tag(self) -> None:
        end = self.source.find(">", self.place)
        end = len(self.source) if end < 0 else end + 1
        tag = self.source[self.place : end]
        self.out.append(tag)
        self.place = end
        name = tag.strip("<>").partition(" ")[0]
        if not name.startswith("/"):
            self.open.append(name)
            if len(self.open) > MAX_OPEN_TAGS:
                raise RefusedError(f"too many HTML tags are open (more than {MAX_OPEN_TAGS})")
        elif name[1:] in self.open:
            self.open.reverse()
            self.open.remove(name[1:])
            self.open.reverse()

    def finished(self, cut: bool) -> Safe:
        """The text, with `...` where something was cut off."""
        closing = [f"</{name}>" for name in reversed(self.open)]
        return Safe("".join([*self.out, "..." if cut else "", *closing]))


def _truncatechars_html(value: object, argument: object, evaluation: Evaluation) -> object:
    source, size = text(value), max(whole(argument) - 3, 0)
    walk, seen = _Truncation(source), 0

    def take(place: int) -> int:
        nonlocal seen
        end = source.find("<", place)
        count = min(size - seen, (len(source) if end < 0 else end) - place)
        seen += count
        return place + count

    walk.copy(lambda: seen >= size, take)
    return walk.finished(seen >= size and seen < len(source))


def _truncatewords_html(value: object, argument: object, evaluation: Evaluation) -> object:
    source, size = text(value), max(whole(argument), 0)
    walk, seen = _Truncation(source), 0

    def take(place: int) -> int:
        nonlocal seen
        end = place
        while end < len(source) and source[end] not in "<" + _WORD_ENDS:
            end += 1
        seen += end > place
        return end + 1 if end < len(source) and source[end] != "<" else end

    walk.copy(lambda: seen >= size, take)
    return walk.finished(seen >= size)


HTML_FILTERS = (
    Filter("escape", _escape),
    Filter("escapejs", _escapejs, slow=True),
    Filter("striptags", _striptags),
    Filter("removetags", _removetags),
    Filter("urlencode", _urlencode),
    Filter("iriencode", _iriencode, slow=True),
    Filter("linebreaks", _linebreaks),
    Filter("linebreaksbr", _linebreaksbr),
    Filter("urlize", _urlize, slow=True),
    Filter("urlizetrunc", _urlizetrunc, slow=True),
    Filter("truncatechars_html", _truncatechars_html, slow=True),
    Filter("truncatewords_html", _truncatewords_html, slow=True),
)
