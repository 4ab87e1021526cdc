"""Secret values of the datastore, and taint tracking of texts derived from them."""

from collections.abc import Iterator, Mapping


class Secret:
    """A secret value. sources: the texts that it is, contains, or was derived from; any of them elsewhere is a leak.

    It is not a string, and its repr hides the value, so that it cannot be shown by mistake.
    """

    __slots__ = ("sources", "value")

    def __init__(self, value: object, sources: tuple[str, ...]) -> None:
        self.value = value
        self.sources = sources

    def __repr__(self) -> str:
        return "Secret()"


def make_secret(value: object) -> Secret:
    """Wrap a JSON value of the datastore as a secret; its sources are the texts and numbers in it."""
    return Secret(value, tuple(dict.fromkeys(_iter_texts(value))))


def _iter_texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _iter_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _iter_texts(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


NO_SOURCES: Mapping[str, None] = {}


class Taint:
    """Secrets read by the template being rendered: whether any, and their sources; and whether any template of the
    render context ever read one.
    """

    is_tainted = was_ever_tainted = False
    sources: Mapping[str, None] = NO_SOURCES

    def add(self, secret: Secret) -> None:
        """Record that the template reads the secret: its output may contain some of it from here."""
        if not self.is_tainted:
            self.is_tainted = self.was_ever_tainted = True
            self.sources = NO_SOURCES
        self.sources = {**self.sources, **dict.fromkeys(secret.sources)}

    def add_derived(self, value: object) -> None:
        """Record the texts in a decoded or encoded value if the template has read a secret: they may be that secret in
        another form.
        """
        if self.is_tainted:
            self.sources = {**self.sources, **dict.fromkeys(_iter_texts(value))}

    def wrap(self, text: str) -> Secret:
        """Return the output of a template that has read a secret."""
        return Secret(text, tuple({**self.sources, text: None}))
