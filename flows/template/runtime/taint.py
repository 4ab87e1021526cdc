"""What nobody is to be shown: values that the datastore keeps secret, and every text that is drawn from one."""

from collections.abc import Iterator, Mapping


class Secret:
    """A secret value. sources: texts that it is, has in it, or was drawn from; wherever they turn up, it leaks.

    It is no text, and prints as nothing of itself, so that nobody shows it by mistake.
    """

    __slots__ = ("sources", "value")

    def __init__(self, value: object, sources: tuple[str, ...]) -> None:
        self.value = value
        self.sources = sources

    def __repr__(self) -> str:
        return "Secret()"


def make_secret(value: object) -> Secret:
    """A JSON value of the datastore as a secret; its sources are the texts and numbers in it."""
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
    """What the template that is being rendered has drawn from secrets: anything, and of which sources; and whether any
    of the evaluation's ever did."""

    __slots__ = ("is_tainted", "sources", "was_ever_tainted")

    def __init__(self) -> None:
        self.is_tainted = self.was_ever_tainted = False
        self.sources: Mapping[str, None] = NO_SOURCES

    def add(self, secret: Secret) -> None:
        """The template reads the secret: whatever comes of it from now on may have some of it."""
        if not self.is_tainted:
            self.is_tainted = self.was_ever_tainted = True
            self.sources = NO_SOURCES
        self.sources = {**self.sources, **dict.fromkeys(secret.sources)}

    def wrap(self, text: str) -> str | Secret:
        """What the template has printed: a secret if it has read one."""
        return Secret(text, tuple({**self.sources, text: None})) if self.is_tainted else text
