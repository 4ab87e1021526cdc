"""What the operator sets: environment variables, each parsed and checked in one place.

A bad value never raises here. It is recorded as a `Finding` and the default is used, so that `manage.py check` can tell
every bad variable at once; whatever serves or writes calls `refuse_bad_values` first and stops with one line.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

LEVELS = {
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "WARN": "WARNING",
    "WARNING": "WARNING",
    "ERROR": "ERROR",
    "FATAL": "CRITICAL",
    "CRITICAL": "CRITICAL",
}
TRUE, FALSE = {"1", "t", "true"}, {"0", "f", "false"}


@dataclass(frozen=True)
class Finding:
    """A variable whose value can't be used (or should be looked at): `check_id` is stable, e.g. `flyte.E003`."""

    check_id: str
    variable: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.variable}: {self.message}"


@dataclass
class Environment:
    """Reads variables with a default for everything, and collects what is wrong with them."""

    values: Mapping[str, str] = field(default_factory=lambda: os.environ)
    errors: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)

    def text(self, variable: str, default: str = "") -> str:
        return self.values.get(variable, "").strip() or default

    def integer(self, variable: str, default: int, *, least: int, most: int, check_id: str) -> int:
        def parse(text: str) -> int:
            if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) or not least <= int(text) <= most:
                raise ValueError(f"is {text!r}, but must be a whole number from {least} to {most}")
            return int(text)

        return self._parsed(variable, default, parse, check_id)

    def boolean(self, variable: str, default: bool, *, check_id: str) -> bool:
        def parse(text: str) -> bool:
            if text.lower() not in TRUE | FALSE:
                raise ValueError(f"is {text!r}, but must be true or false")
            return text.lower() in TRUE

        return self._parsed(variable, default, parse, check_id)

    def clock_time(self, variable: str, default: time, *, check_id: str) -> time:
        def parse(text: str) -> time:
            match = re.fullmatch(r"(\d{1,2}):(\d{2})", text, re.ASCII)
            if not match or int(match[1]) > 23 or int(match[2]) > 59:
                raise ValueError(f"is {text!r}, but must be a time of day as HH:MM, from 00:00 to 23:59")
            return time(int(match[1]), int(match[2]))

        return self._parsed(variable, default, parse, check_id)

    def level(self, variable: str, default: str, *, check_id: str) -> str:
        def parse(text: str) -> str:
            if text.upper() not in LEVELS:
                raise ValueError(f"is {text!r}, but must be one of DEBUG, INFO, WARNING, ERROR, FATAL")
            return LEVELS[text.upper()]

        return self._parsed(variable, default, parse, check_id)

    def url(self, variable: str, schemes: tuple[str, ...], *, check_id: str) -> str:
        def parse(text: str) -> str:
            try:
                parts = urlsplit(text)
                _ = parts.port
            except ValueError:
                raise ValueError("is not a URL") from None
            if parts.scheme not in schemes or (not parts.netloc and not parts.path):
                # The value may carry a password: name the form, never the value.
                raise ValueError("must be a URL that starts with " + " or ".join(f"{s}://" for s in schemes))
            return text

        return self._parsed(variable, "", parse, check_id)

    def readable_file(self, variable: str, *, check_id: str) -> str:
        def parse(text: str) -> str:
            if not os.access(text, os.R_OK) or not Path(text).is_file():
                raise ValueError(f"is {text!r}, which is no file that can be read")
            return text

        return self._parsed(variable, "", parse, check_id)

    def writable_file(self, variable: str, *, check_id: str) -> str:
        def parse(text: str) -> str:
            try:
                with open(text, "a", encoding="utf-8"):
                    return text
            except OSError as error:
                raise ValueError(f"is {text!r}, which can't be written to ({error.strerror})") from None

        return self._parsed(variable, "", parse, check_id)

    def error(self, check_id: str, variable: str, message: str, hint: str = "") -> None:
        self.errors.append(Finding(check_id, variable, message, hint))

    def warning(self, check_id: str, variable: str, message: str, hint: str = "") -> None:
        self.warnings.append(Finding(check_id, variable, message, hint))

    def _parsed(self, variable: str, default: T, parse: Callable[[str], T], check_id: str) -> T:
        text = self.text(variable)
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.error(check_id, variable, str(error))
            return default


def refuse_bad_values(environment: Environment) -> None:
    """Stop the process with one line a bad variable, exit code 2; warnings are said and passed over."""
    for finding in environment.warnings:
        print(f"flyte: {finding}", file=sys.stderr)
    if environment.errors:
        print("\n".join(f"flyte: {finding}" for finding in environment.errors), file=sys.stderr)
        sys.exit(2)
