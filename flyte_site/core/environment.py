"""Environment variables of the server: parsing and checks.

An invalid value never raises here. It is recorded as an `EnvironmentFinding` and the default is used, so that
`manage.py check` can report all invalid variables at once; other commands first call `exit_on_errors`.
"""

import difflib
import ipaddress
import os
import re
import ssl
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, time, tzinfo
from pathlib import Path
from typing import TypeVar
from urllib.parse import SplitResult, unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal import get_localzone

T = TypeVar("T")

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?")
_LOOKS_LIKE_IPV4 = re.compile(r"[0-9.]+")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOG_LEVELS = {
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "WARN": "WARNING",
    "WARNING": "WARNING",
    "ERROR": "ERROR",
    "FATAL": "CRITICAL",
    "CRITICAL": "CRITICAL",
}
VARIABLE_PREFIX = "FLYTE_"
# Packs have variables with the same prefix: a name that is less similar than this can be one of theirs.
MIN_SIMILARITY = 0.9
TRUE_WORDS, FALSE_WORDS = {"1", "t", "true"}, {"0", "f", "false"}


@dataclass(frozen=True)
class EnvironmentFinding:
    """An invalid or suspicious variable. `check_id` is stable, for example `flyte.E003`."""

    check_id: str
    variable: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.variable}: {self.message}"


@dataclass
class Environment:
    """A reader of variables, each with a default, that collects errors and warnings."""

    values: Mapping[str, str] = field(default_factory=lambda: os.environ)
    errors: list[EnvironmentFinding] = field(default_factory=list)
    warnings: list[EnvironmentFinding] = field(default_factory=list)
    warnings_printed: bool = False
    """True if the warnings have been printed; once is enough."""

    read_variables: set[str] = field(default_factory=set)
    """The variables that were read, including those that are not set."""

    def text(self, variable: str, default: str = "") -> str:
        self.read_variables.add(variable)
        return self.values.get(variable, "").strip() or default

    def integer(self, variable: str, default: int, *, minimum: int, maximum: int, check_id: str) -> int:
        def parse(text: str) -> int:
            if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) or not minimum <= int(text) <= maximum:
                raise ValueError(f"is {text!r}, but must be a whole number from {minimum} to {maximum}")
            return int(text)

        return self._parse_variable(variable, default, parse, check_id)

    def boolean(self, variable: str, default: bool, *, check_id: str) -> bool:
        def parse(text: str) -> bool:
            if text.lower() not in TRUE_WORDS | FALSE_WORDS:
                raise ValueError(f"is {text!r}, but must be true or false")
            return text.lower() in TRUE_WORDS

        return self._parse_variable(variable, default, parse, check_id)

    def clock_time(self, variable: str, default: time, *, check_id: str) -> time:
        def parse(text: str) -> time:
            match = re.fullmatch(r"(\d{1,2}):(\d{2})", text, re.ASCII)
            if not match or int(match[1]) > 23 or int(match[2]) > 59:
                raise ValueError(f"is {text!r}, but must be a time of day as HH:MM, from 00:00 to 23:59")
            return time(int(match[1]), int(match[2]))

        return self._parse_variable(variable, default, parse, check_id)

    def time_zone(self, variable: str, *, check_id: str) -> tzinfo:
        """Read a time zone by its name, such as `Europe/Berlin`; the default is the machine's."""

        def parse(text: str) -> tzinfo:
            try:
                return ZoneInfo(text.removeprefix(":"))
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError(f"is {text!r}, but must be the name of a time zone, such as Europe/Berlin") from None

        return self._parse_variable(variable, get_machine_time_zone(), parse, check_id)

    def log_level(self, variable: str, default: str, *, check_id: str) -> str:
        def parse(text: str) -> str:
            if text.upper() not in LOG_LEVELS:
                raise ValueError(f"is {text!r}, but must be one of DEBUG, INFO, WARNING, ERROR, FATAL")
            return LOG_LEVELS[text.upper()]

        return self._parse_variable(variable, default, parse, check_id)

    def url(self, variable: str, schemes: tuple[str, ...], *, check_id: str) -> str:
        def parse(text: str) -> str:
            parse_url(text, schemes)
            return text

        return self._parse_variable(variable, "", parse, check_id)

    def database_url(self, variable: str, *, check_id: str) -> str:
        """Read `sqlite:////absolute/path` (three slashes: relative to the working folder) or `postgresql://host/name`."""

        def parse(text: str) -> str:
            parts = parse_url(text, ("sqlite", "postgresql", "postgres"))
            if parts.scheme == "sqlite" and (parts.netloc or len(parts.path) < 2):
                raise ValueError("must contain a file, as in sqlite:////var/lib/flyte/flyte.sqlite3")
            if parts.scheme == "sqlite" and not Path(unquote(parts.path[1:])).parent.is_dir():
                raise ValueError("is a SQLite file in a folder that does not exist: create the folder first")
            if parts.scheme != "sqlite" and len(parts.path) < 2:
                raise ValueError("must contain a database name, as in postgresql://user@host/flyte")
            return text

        return self._parse_variable(variable, "", parse, check_id)

    def address(self, variable: str, default: str, *, check_id: str) -> str:
        """Read a host name or an IP address; return IPv6 addresses in brackets, as before a port."""

        def parse(text: str) -> str:
            try:
                address = ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
            except ValueError:
                if not _HOST_NAME.fullmatch(text) or _LOOKS_LIKE_IPV4.fullmatch(text):
                    raise ValueError(f"is {text!r}, but must be a host name or an IP address, without a port") from None
                return text
            return f"[{address}]" if address.version == 6 else str(address)

        return self._parse_variable(variable, default, parse, check_id)

    def choice(self, variable: str, default: str, choices: tuple[str, ...], *, check_id: str) -> str:
        def parse(text: str) -> str:
            if text.lower() not in choices:
                raise ValueError(f"is {text!r}, but must be one of {', '.join(choices)}")
            return text.lower()

        return self._parse_variable(variable, default, parse, check_id)

    def hosts(self, variable: str, *, check_id: str) -> tuple[str, ...]:
        """Read comma-separated host names without ports, in lower case.

        `.example.org` matches the domain and its subdomains, `*` all hosts.
        """

        def parse(text: str) -> tuple[str, ...]:
            names = tuple(name.strip().lower() for name in text.split(","))
            for name in names:
                if name != "*" and not is_ip_address(name) and not _HOST_NAME.fullmatch(name.removeprefix(".")):
                    raise ValueError(f"contains {name!r}, but must be comma-separated host names without ports")
            return names

        return self._parse_variable(variable, (), parse, check_id)

    def networks(self, variable: str, default: str, *, check_id: str) -> tuple[Network, ...]:
        """Read IP addresses and networks, separated by commas, or `none`."""

        def parse(text: str) -> tuple[Network, ...]:
            if text.lower() == "none":
                return ()
            try:
                return tuple(ipaddress.ip_network(part.strip()) for part in text.split(","))
            except ValueError:
                message = f"is {text!r}, but must be comma-separated IP addresses and networks, such as 10.1.0.0/16"
                raise ValueError(message) from None

        return self._parse_variable(variable, parse(default), parse, check_id)

    def readable_file(self, variable: str, *, check_id: str) -> str:
        def parse(text: str) -> str:
            if not os.access(text, os.R_OK) or not Path(text).is_file():
                raise ValueError(f"is {text!r}, which is not a readable file")
            return text

        return self._parse_variable(variable, "", parse, check_id)

    def assignment_lines(self, variable: str, *, check_id: str) -> str:
        """Read lines `name=value`, from the variable or from the file that it names."""

        def parse(text: str) -> str:
            if "=" not in text:
                try:
                    text = Path(text).read_text(encoding="utf-8")
                except (OSError, ValueError):
                    raise ValueError(f"is {text!r}, which is neither name=value nor a readable file") from None
            for number, line in enumerate(text.splitlines(), start=1):
                if line.strip() and not line.strip().startswith("#") and "=" not in line:
                    raise ValueError(f"has an invalid line {number}, {line.strip()[:80]!r}: must be name=value")
            return text

        return self._parse_variable(variable, "", parse, check_id)

    def readable_folder(self, variable: str, *, check_id: str) -> str:
        def parse(text: str) -> str:
            if not Path(text).is_dir() or not os.access(text, os.R_OK | os.X_OK):
                raise ValueError(f"is {text!r}, which is not a readable folder")
            return text

        return self._parse_variable(variable, "", parse, check_id)

    def writable_folder(self, variable: str, *, check_id: str) -> str:
        def parse(text: str) -> str:
            if not Path(text).is_dir() or not os.access(text, os.R_OK | os.W_OK | os.X_OK):
                raise ValueError(f"is {text!r}, which is not a writable folder")
            return text

        return self._parse_variable(variable, "", parse, check_id)

    def writable_file(self, variable: str, *, check_id: str) -> str:
        def parse(text: str) -> str:
            try:
                os.close(os.open(text, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600))
                return text
            except OSError as error:
                raise ValueError(f"is {text!r}, which is not a writable file ({error.strerror})") from None

        return self._parse_variable(variable, "", parse, check_id)

    def words(self, variable: str, default: str, required_word: str, *, check_id: str) -> str:
        """Read words separated by spaces; `required_word` must be one of them."""

        def parse(text: str) -> str:
            if required_word not in text.split():
                raise ValueError(f"is {text!r}, but must include the word {required_word}")
            return text

        return self._parse_variable(variable, default, parse, check_id)

    def parsed(self, variable: str, default: T, parse: Callable[[str], T], *, check_id: str) -> T:
        """Read a variable with `parse`, which raises `ValueError` with a message to print after the variable's name."""
        return self._parse_variable(variable, default, parse, check_id)

    def error(self, check_id: str, variable: str, message: str, hint: str = "") -> None:
        self.errors.append(EnvironmentFinding(check_id, variable, message, hint))

    def warning(self, check_id: str, variable: str, message: str, hint: str = "") -> None:
        self.warnings.append(EnvironmentFinding(check_id, variable, message, hint))

    def warn_about_misspellings(self, check_id: str) -> None:
        """Warn about each unread variable whose name is similar to one that was read; call it last."""
        for variable in sorted(self.values):
            if (
                variable.startswith(VARIABLE_PREFIX)
                and variable not in self.read_variables
                and (suggestion := self._suggest_variable(variable))
            ):
                self.warning(
                    check_id, variable, f"is not a known variable and has no effect; did you mean {suggestion}?"
                )

    def _suggest_variable(self, variable: str) -> str:
        if variable.removeprefix(VARIABLE_PREFIX) in self.read_variables:
            return variable.removeprefix(VARIABLE_PREFIX)
        extensions = [name for name in sorted(self.read_variables) if name.startswith(f"{variable}_")]
        similar = difflib.get_close_matches(variable, sorted(self.read_variables), n=1, cutoff=MIN_SIMILARITY)
        return (similar or (extensions if len(extensions) == 1 else []) or [""])[0]

    def _parse_variable(self, variable: str, default: T, parse: Callable[[str], T], check_id: str) -> T:
        text = self.text(variable)
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as error:
            self.error(check_id, variable, str(error))
            return default


def is_ip_address(host: str) -> bool:
    """Return True for an IP address; an IPv6 address can be in brackets."""
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Return True for a loopback name or address, IPv6 also in brackets (RFC 6761, 6.3)."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    bare = name.removeprefix("[").removesuffix("]")
    return is_ip_address(bare) and ipaddress.ip_address(bare).is_loopback


def get_machine_time_zone() -> tzinfo:
    """Return the machine's time zone; UTC if it is unknown."""
    with warnings.catch_warnings(action="ignore"):
        try:
            return get_localzone()
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return UTC


def parse_url(text: str, schemes: tuple[str, ...]) -> SplitResult:
    """Parse a URL with one of these schemes. Raise `ValueError`; its message omits the value, a possible secret."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError(
            "is not a valid URL (special characters in a password must be percent-encoded, such as %40 for @)"
        ) from None
    if parts.scheme not in schemes or "://" not in text:
        raise ValueError("must be a URL that starts with one of: " + ", ".join(f"{scheme}://" for scheme in schemes))
    if parts.scheme in ("http", "https", "redis", "rediss") and not parts.hostname:
        raise ValueError("must contain a host")
    return parts


def find_certificate_error(certificate_path: str, key_path: str) -> str:
    """Return an error if the certificate or key is not usable, else ''."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password, OpenSSL would prompt for one on the terminal if the key is encrypted.
        context.load_cert_chain(certificate_path, key_path, password="")
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or str(error)
        requirement = "must be a PEM certificate that matches the unencrypted key in FLYTE_TLS_KEY_PATH"
        return f"is {certificate_path!r}, but {requirement} ({reason})"
    return ""


def exit_on_errors(environment: Environment) -> None:
    """Exit with code 2 and one line per invalid variable; print warnings once and continue."""
    if not environment.warnings_printed:
        environment.warnings_printed = True
        for finding in environment.warnings:
            print(f"flyte: {finding}", file=sys.stderr)
    if environment.errors:
        print("\n".join(f"flyte: {finding}" for finding in environment.errors), file=sys.stderr)
        sys.exit(2)
