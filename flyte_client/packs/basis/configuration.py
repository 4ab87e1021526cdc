"""Configuration that is too much for single variables: a YAML or JSON document, in a file or in a variable itself."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flyte_client.errors import SettingsError
from flyte_client.packs.basis.needs import needed

LARGEST_FILE = 1024 * 1024
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
DURATION = re.compile(r"([0-9]{1,7})(s|m|h|d)\Z")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Section:
    """One mapping of a document: gives values of the wanted kind, or says by their path what is wrong with them.

    `where` is that path. Raises `SettingsError` for what is no mapping or has names that are not among `known`.
    """

    def __init__(self, where: str, value: object, known: Sequence[str]) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise SettingsError(f"{where}: must be a mapping with {', '.join(known)}")
        self._values: Mapping[str, Any] = value
        for name in value:
            if name not in known:
                raise self.wrong(str(name), f"is not known here; there are {', '.join(known)}")

    def wrong(self, name: str, message: str) -> SettingsError:
        return SettingsError(f"{self.where}.{name}: {message}")

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name, default)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(name, "is missing" if value is None else "must be a text that is not empty")
        return value.strip()

    def name(self, name: str, default: str | None = None) -> str:
        """A text that can stand in addresses and keys."""
        value = self.text(name, default)
        if not NAME.match(value):
            raise self.wrong(name, "must be of letters, digits, dots, dashes and underscores, 64 at most")
        return value

    def choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise self.wrong(name, f"is {value!r}, but must be one of {', '.join(choices)}")
        return value

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.wrong(name, f"must be a whole number from {least} to {most}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "must be true or false")
        return value

    def seconds(self, name: str, most: int) -> int:
        """A duration such as `30s`, `5m`, `2h` or `1d`, in seconds."""
        found = DURATION.match(self.text(name))
        seconds = int(found[1]) * UNITS[found[2]] if found else 0
        if not 1 <= seconds <= most:
            raise self.wrong(name, f"must be a duration such as 30s, 5m or 2h, from 1s to {most}s")
        return seconds

    def texts(self, name: str, default: Sequence[str]) -> tuple[str, ...]:
        value = self._values.get(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one for one in value):
            raise self.wrong(name, "must be a list of texts")
        return tuple(value)

    def data(self, name: str) -> Any:
        """Any value that JSON can hold."""
        value = self._values.get(name)
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise self.wrong(name, "must be what JSON can hold (dates in quotes)") from None
        return value

    def secret(self, name: str, environment: Mapping[str, str]) -> str:
        """What the variable holds whose name stands here: so no secret stands in the document."""
        variable = self.text(name)
        secret = environment.get(variable, "").strip()
        if not secret:
            raise self.wrong(name, f"names the variable {variable}, which is not set")
        return secret


def sections(environment: Mapping[str, str], prefix: str, kind: str, known: Sequence[str], most: int) -> list[Section]:
    """The entries of the list `kind`: all that the document in the file `PREFIX_FILE`, or in `PREFIX_CONFIG`, holds."""
    source, document = _document(environment, prefix)
    given = document.get(kind) if isinstance(document, dict) else None
    if not isinstance(given, list) or not 0 < len(given) <= most or len(document) != 1:
        raise SettingsError(f"{source}: must hold the list `{kind}`, with 1 to {most} entries, and nothing else")
    return [Section(f"{source}: {kind}[{index}]", one, known) for index, one in enumerate(given)]


def check_unique(found: Sequence[tuple[Section, str]]) -> None:
    """Raises `SettingsError` where two sections have one name."""
    seen = set()
    for section, name in found:
        if name in seen:
            raise section.wrong("name", f"{name!r} stands twice")
        seen.add(name)


def _document(environment: Mapping[str, str], prefix: str) -> tuple[str, Any]:
    file, inline = (environment.get(f"{prefix}_{end}", "").strip() for end in ("FILE", "CONFIG"))
    if bool(file) == bool(inline):
        raise SettingsError(f"{prefix}_FILE: set either it, to a file of YAML or JSON, or {prefix}_CONFIG, to its text")
    if inline:
        return f"{prefix}_CONFIG", _parsed(prefix, f"{prefix}_CONFIG", inline)
    return f"{prefix}_FILE", _parsed(prefix, f"{prefix}_FILE", _read(f"{prefix}_FILE", Path(file)))


def _read(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise SettingsError(f"{variable}: {path} is larger than {LARGEST_FILE} bytes")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(f"{variable}: {path} can't be read ({reason})") from None


def _parsed(prefix: str, source: str, text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass  # YAML has a form with braces, too
    with needed(prefix.removeprefix("FLYTE_").lower()):
        import yaml
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{source}: is neither YAML nor JSON ({' '.join(str(error).split())[:200]})") from None
