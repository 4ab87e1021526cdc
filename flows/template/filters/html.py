"""Filters for HTML and URLs."""

import re
from collections.abc import Callable
from urllib.parse import quote_plus

import re2  # type: ignore[import-untyped]

from flows.template.errors import OperationError
from flows.template.filters.base import Filter
from flows.template.filters.flyte import replace_surrogates
from flows.template.runtime.numbers import read_int
from flows.template.runtime.render_context import RenderContext
from flows.template.runtime.values import SafeText, to_text

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_TAG_PATTERN = re2.compile(r"<[^>]*>")
_UNSAFE_IN_SCRIPT = re.compile(r"\\[rn]|[^A-Za-z /]")
_UNSAFE_IN_IRI = re.compile(r"[^/#%\[\]=:;$&()+,!?*@'~]")
_LINK_PATTERN = re2.compile(r"(?:https?://|www\.|(?:^|[ ])[0-9A-Za-z_-]+\.(?:com|net|org|info|biz|de)).*?(?:[ ]+|$)")
_EMAIL_PATTERN = re2.compile(r"\w+@\w+\.\w{2,4}")
_WORD_ENDS = " .,;"
MAX_OPEN_TAGS = 100
# A longer name would be a pattern too large for re2, which prints a separate error.
MAX_TAG_NAME_LENGTH = 1000


def escape_html(value: str) -> str:
    """Escape for HTML, as `autoescape on` does."""
    return value.translate(_ESCAPES)


def _escape(value: object, argument: object, render_context: RenderContext) -> object:
    return escape_html(to_text(value))


def _escapejs(value: object, argument: object, render_context: RenderContext) -> object:
    def encode(match: "re.Match[str]") -> str:
        matched = match.group()
        char = {"\\r": "\r", "\\n": "\n"}.get(matched, matched[0])
        units = char.encode("utf-16-be", "surrogatepass").hex().upper()
        return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))

    return _UNSAFE_IN_SCRIPT.sub(encode, to_text(value))


def _striptags(value: object, argument: object, render_context: RenderContext) -> object:
    return _TAG_PATTERN.sub("", replace_surrogates(to_text(value))).strip()


def _removetags(value: object, argument: object, render_context: RenderContext) -> object:
    source = replace_surrogates(to_text(value))
    tags = to_text(argument).split(",")
    if (longest := max(map(len, tags))) > MAX_TAG_NAME_LENGTH:
        raise OperationError(f"tag name of {longest} characters exceeds the limit of {MAX_TAG_NAME_LENGTH}")
    render_context.charge(len(tags) * (20 + (len(source) >> 6)))
    for tag in tags:
        source = re2.sub(f"</?{re2.escape(replace_surrogates(tag))}/?>", "", source)
    return source.strip()


def _percent_encode(value: str) -> str:
    return quote_plus(value, errors="replace")


def _urlencode(value: object, argument: object, render_context: RenderContext) -> object:
    return _percent_encode(to_text(value))


def encode_iri(value: str) -> str:
    """Percent-encode characters that are not allowed in an IRI; a blank becomes a plus."""
    return _UNSAFE_IN_IRI.sub(lambda match: _percent_encode(match.group()), value)


def _iriencode(value: object, argument: object, render_context: RenderContext) -> object:
    return encode_iri(to_text(value))


def _linebreaksbr(value: object, argument: object, render_context: RenderContext) -> object:
    return to_text(value).replace("\n", "<br />")


def _linebreaks(value: object, argument: object, render_context: RenderContext) -> object:
    source = to_text(value)
    if not isinstance(value, str) or not source:
        return value
    lines, output, is_open = source.split("\n"), [], False
    for index, line in enumerate(lines):
        output.append(line if is_open else "<p>" + line)
        is_open = True
        if index + 1 < len(lines) and line.strip():
            is_open = bool(lines[index + 1].strip())
            output.append("<br />" if is_open else "</p>")
    return "".join(output) + ("</p>" if is_open else "")


def _truncate_title(title: str, max_length: int) -> str:
    return title[: max_length - 3] + "..." if 3 < max_length < len(title) else title


def _link_urls(source: str, escapes_title: bool, max_title_length: int) -> str:
    def replace_url(match: "re2._Match[str]") -> str:
        matched = match.group()
        address = matched.strip()
        url = encode_iri(address)
        if not url.startswith("http"):
            url = "http://" + url
        title = _truncate_title(address, max_title_length)
        title = escape_html(title) if escapes_title else title
        leading_space, trailing_space = " " * matched.startswith(" "), " " * matched.endswith(" ")
        # `encode_iri` leaves no character that could end the attribute.
        return f'{leading_space}<a href="{url}" rel="nofollow">{title}</a>{trailing_space}'

    def replace_email(match: "re2._Match[str]") -> str:
        return f'<a href="mailto:{match.group()}">{_truncate_title(match.group(), max_title_length)}</a>'

    return str(_EMAIL_PATTERN.sub(replace_email, _LINK_PATTERN.sub(replace_url, replace_surrogates(source))))


def _urlize(value: object, argument: object, render_context: RenderContext) -> object:
    return _link_urls(to_text(value), argument is not False, -1)


def _urlizetrunc(value: object, argument: object, render_context: RenderContext) -> object:
    return _link_urls(to_text(value), True, read_int(argument, render_context))


class _HTMLTruncator:
    """A copy of HTML up to a limit, with open tags closed at the end."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.output: list[str] = []
        self.open_tags: list[str] = []
        self.position = 0

    def copy_until(self, is_done: Callable[[], bool], advance: Callable[[int], int]) -> None:
        """Copy until `is_done`. `advance` counts the text at a position and returns the position after it."""
        while self.position < len(self.source) and not is_done():
            if self.source[self.position] == "<":
                self._copy_tag()
                continue
            end = advance(self.position)
            self.output.append(self.source[self.position : end])
            self.position = end

    def _copy_tag(self) -> None:
        end = self.source.find(">", self.position)
        end = len(self.source) if end < 0 else end + 1
        tag = self.source[self.position : end]
        self.output.append(tag)
        self.position = end
        name = tag.strip("<>").partition(" ")[0]
        if not name.startswith("/"):
            self.open_tags.append(name)
            if len(self.open_tags) > MAX_OPEN_TAGS:
                raise OperationError(f"too many open HTML tags (more than {MAX_OPEN_TAGS})")
        elif name[1:] in self.open_tags:
            self.open_tags.reverse()
            self.open_tags.remove(name[1:])
            self.open_tags.reverse()

    def finish(self, is_truncated: bool) -> SafeText:
        """Return the text, with `...` if it was truncated."""
        closing_tags = [f"</{name}>" for name in reversed(self.open_tags)]
        return SafeText("".join([*self.output, "..." if is_truncated else "", *closing_tags]))


def _truncatechars_html(value: object, argument: object, render_context: RenderContext) -> object:
    source, max_length = to_text(value), max(read_int(argument, render_context) - 3, 0)
    truncator, copied_count = _HTMLTruncator(source), 0

    def advance(start: int) -> int:
        nonlocal copied_count
        end = source.find("<", start)
        count = min(max_length - copied_count, (len(source) if end < 0 else end) - start)
        copied_count += count
        return start + count

    truncator.copy_until(lambda: copied_count >= max_length, advance)
    return truncator.finish(copied_count >= max_length and copied_count < len(source))


def _truncatewords_html(value: object, argument: object, render_context: RenderContext) -> object:
    source, max_words = to_text(value), max(read_int(argument, render_context), 0)
    truncator, word_count = _HTMLTruncator(source), 0

    def advance(start: int) -> int:
        nonlocal word_count
        end = start
        while end < len(source) and source[end] not in "<" + _WORD_ENDS:
            end += 1
        word_count += end > start
        return end + 1 if end < len(source) and source[end] != "<" else end

    truncator.copy_until(lambda: word_count >= max_words, advance)
    return truncator.finish(word_count >= max_words)


HTML_FILTERS = (
    Filter("escape", _escape),
    Filter("escapejs", _escapejs, is_per_character=True),
    Filter("striptags", _striptags),
    Filter("removetags", _removetags),
    Filter("urlencode", _urlencode),
    Filter("iriencode", _iriencode, is_per_character=True),
    Filter("linebreaks", _linebreaks),
    Filter("linebreaksbr", _linebreaksbr),
    Filter("urlize", _urlize, is_per_character=True),
    Filter("urlizetrunc", _urlizetrunc, is_per_character=True),
    Filter("truncatechars_html", _truncatechars_html, is_per_character=True),
    Filter("truncatewords_html", _truncatewords_html, is_per_character=True),
)
