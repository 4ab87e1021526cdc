"""Configuration documents in YAML or JSON, from a file or from a variable."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flyte_client.errors import SettingsError
from flyte_client.events import Event, encode_event
from flyte_client.packs.common.optional_import import require_extra
from flyte_formats.decoding import decode_text, describe_decode_error
from flyte_formats.json_text import MAX_DEPTH, NestingError
from flyte_time.durations import parse_whole_seconds

MAX_FILE_BYTES = 1024 * 1024
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


class ConfigSection:
    """A mapping in a document, with typed and validated access; `path` is its path in error messages.

    Raises `SettingsError` if the value is not a mapping, or has keys other than `allowed_keys`.
    """

    def __init__(self, path: str, value: object, allowed_keys: Sequence[str]) -> None:
        self.path = path
        if not isinstance(value, dict):
            raise SettingsError(f"{path}: must be a mapping with the keys {', '.join(allowed_keys)}")
        self._values: Mapping[str, Any] = value
        for name in value:
            if name not in allowed_keys:
                raise self.setting_error(str(name), f"unknown key; allowed keys: {', '.join(allowed_keys)}")

    def setting_error(self, name: str, message: str) -> SettingsError:
        return SettingsError(f"{self.path}.{name}: {message}")

    def has_value(self, name: str) -> bool:
        return self._values.get(name) is not None

    def get_text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name, default)
        if not isinstance(value, str) or not value.strip():
            raise self.setting_error(name, "required" if value is None else "must be a non-empty string")
        return value.strip()

    def get_name(self, name: str, default: str | None = None) -> str:
        """Return a text that is safe in addresses and keys."""
        value = self.get_text(name, default)
        if not NAME_PATTERN.match(value):
            raise self.setting_error(
                name, f"invalid value {value[:100]!r}, use at most 64 letters, digits, dots, dashes and underscores"
            )
        return value

    def get_choice(self, name: str, choices: Sequence[str], default: str | None = None) -> str:
        value = self.get_text(name, default)
        if value not in choices:
            raise self.setting_error(name, f"invalid value {value!r}, must be one of {', '.join(choices)}")
        return value

    def get_int(self, name: str, default: int, minimum: int, maximum: int) -> int:
        value = self._values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            raise self.setting_error(name, f"must be a whole number from {minimum} to {maximum}")
        return value

    def get_bool(self, name: str, default: bool) -> bool:
        value = self._values.get(name, default)
        if not isinstance(value, bool):
            raise self.setting_error(name, "must be true or false")
        return value

    def get_seconds(self, name: str, maximum: int) -> int:
        """Return a duration such as `30s`, `1h30m`, or 90, in seconds."""
        try:
            return parse_whole_seconds(self._values.get(name), maximum)
        except ValueError as error:
            raise self.setting_error(name, str(error)) from None

    def get_texts(self, name: str, default: Sequence[str]) -> tuple[str, ...]:
        value = self._values.get(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item for item in value):
            raise self.setting_error(name, "must be a list of strings")
        return tuple(value)

    def get_json(self, name: str) -> Any:
        """Return any JSON value that can be a member of an event's payload."""
        value = self._values.get(name)
        try:
            encode_event(Event("", {name: value}))
        except NestingError:
            raise self.setting_error(name, f"nested too deeply, an event can have {MAX_DEPTH} levels") from None
        except (TypeError, ValueError):
            raise self.setting_error(name, "must be a JSON value; put dates in quotes") from None
        return value

    def get_secret(self, name: str, environment: Mapping[str, str]) -> str:
        """Return the value of the named environment variable, so that the document contains no secret."""
        variable = self.get_text(name)
        secret = environment.get(variable, "").strip()
        if not secret:
            raise self.setting_error(name, f"environment variable {variable} is not set")
        return secret


def read_sections(
    environment: Mapping[str, str], prefix: str, list_name: str, allowed_keys: Sequence[str], maximum: int
) -> list[ConfigSection]:
    """Read the list `list_name`, the only key of the document in the file `PREFIX_FILE`, or in `PREFIX_CONFIG`."""
    source, document = _load_document(environment, prefix)
    entries = document.get(list_name) if isinstance(document, dict) else None
    if not isinstance(entries, list) or not 0 < len(entries) <= maximum or len(document) != 1:
        raise SettingsError(f"{source}: must contain only the list `{list_name}`, with 1 to {maximum} entries")
    return [
        ConfigSection(f"{source}: {list_name}[{index}]", entry, allowed_keys) for index, entry in enumerate(entries)
    ]


def check_unique_names(named_sections: Sequence[tuple[ConfigSection, str]]) -> None:
    """Raise `SettingsError` if two sections have the same name."""
    seen = set()
    for section, name in named_sections:
        if name in seen:
            raise section.setting_error("name", f"duplicate name {name!r}")
        seen.add(name)


def _load_document(environment: Mapping[str, str], prefix: str) -> tuple[str, Any]:
    file, inline = (environment.get(f"{prefix}_{suffix}", "").strip() for suffix in ("FILE", "CONFIG"))
    if bool(file) == bool(inline):
        raise SettingsError(
            f"{prefix}_FILE: set either this variable (a YAML or JSON file) or {prefix}_CONFIG (its content)"
        )
    if inline:
        return f"{prefix}_CONFIG", _parse_document(prefix, f"{prefix}_CONFIG", inline)
    return f"{prefix}_FILE", _parse_document(prefix, f"{prefix}_FILE", _read_file(f"{prefix}_FILE", Path(file)))


def _read_file(variable: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise SettingsError(f"{variable}: {path} is too large, at most {MAX_FILE_BYTES} bytes are allowed")
        return decode_text(content, errors="strict")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else describe_decode_error(error)
        raise SettingsError(f"{variable}: can't read {path} ({reason})") from None


def _parse_document(prefix: str, source: str, text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except RecursionError:
            raise SettingsError(f"{source}: {NestingError()}") from None
        except ValueError:
            pass  # YAML flow style also starts with a brace
    with require_extra(prefix.removeprefix("FLYTE_").lower()):
        import yaml  # noqa: PLC0415
    try:
        return yaml.safe_load(text)
    except RecursionError:
        raise SettingsError(f"{source}: {NestingError()}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{source}: invalid YAML or JSON ({' '.join(str(error).split())[:200]})") from None
