"""A search for secrets in all logs of the run: those of every server, and of every test in this process.

`tests/site/test_silence.py` sends secrets and payloads to every endpoint and searches for them; this module searches
the logs of all other tests for anything shaped like a token, and for the secrets in the server's settings.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

LINE = re.compile(r"^timestamp=\S+ level=(?:info|warning|error|critical) .*$", re.MULTILINE)
# Tokens of this server, JSON Web Tokens, values of Authorization headers, and passwords within URLs.
SHAPES = {
    "a token": re.compile(r"flyte_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
    "a JSON Web Token": re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"),
    "an authorization": re.compile(r"\b(?:[Bb]earer|[Bb]asic) [\w.~+/=-]{16,}"),
    "a password in an address": re.compile(r"\b[a-z]+://[^/\s:@\"]*:(?!\*+@)[^/\s@\"]+@"),
}
SECRET_VARIABLES = ("FLYTE_SECRET_KEY", "FLYTE_ENCRYPTION_KEYS", "FLYTE_CONSOLE_CLIENT_SECRET")
secrets_found: list[str] = []


def find_secrets(log: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield each secret in a log, with its line."""
    secrets = [(environment or {}).get(name, "") for name in SECRET_VARIABLES]
    for line in LINE.findall(log):
        yield from (f"{what}: {line[:300]}" for what, shape in SHAPES.items() if shape.search(line))
        variables = zip(SECRET_VARIABLES, secrets, strict=True)
        yield from (f"{name}: {line[:300]}" for name, text in variables if text and text in line)


def read(log: str, where: str, environment: Mapping[str, str] | None = None) -> None:
    """Collect the secrets in a log and in the file LOGFILE of its environment; they fail the run at its end."""
    file = Path((environment or {}).get("LOGFILE") or "/nowhere")
    more = file.read_text(errors="replace") if file.is_file() else ""
    secrets_found.extend(f"{where}: {secret}" for secret in find_secrets(log + "\n" + more, environment))
