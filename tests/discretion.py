"""No log of the whole run may tell a secret: what every server logged, and every test in this process, is read through.

`tests/site/test_silence.py` sends secrets and payloads by every door and looks for those; here it is what any token
looks like, and what the server was started with, in the logs of all the other tests.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

LINE = re.compile(r"^timestamp=\S+ level=(?:info|warning|error|critical) .*$", re.MULTILINE)
# Tokens of this server, JSON Web Tokens, what stands in an Authorization header, and passwords within addresses.
SHAPES = {
    "a token": re.compile(r"flyte_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),
    "a JSON Web Token": re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"),
    "an authorization": re.compile(r"\b(?:[Bb]earer|[Bb]asic) [\w.~+/=-]{16,}"),
    "a password in an address": re.compile(r"\b[a-z]+://[^/\s:@\"]*:(?!\*+@)[^/\s@\"]+@"),
}
SECRET_VARIABLES = ("FLYTE_SECRET_KEY", "FLYTE_ENCRYPTION_KEYS", "FLYTE_CONSOLE_CLIENT_SECRET")
found: list[str] = []


def told(log: str, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """What the lines of a log tell that they must not, each with its line."""
    secrets = [(environment or {}).get(name, "") for name in SECRET_VARIABLES]
    for line in LINE.findall(log):
        yield from (f"{what}: {line[:300]}" for what, shape in SHAPES.items() if shape.search(line))
        given = zip(SECRET_VARIABLES, secrets, strict=True)
        yield from (f"{name}: {line[:300]}" for name, text in given if text and text in line)


def read(log: str, where: str, environment: Mapping[str, str] | None = None) -> None:
    """Notes what a log tells, and what the file that it names as LOGFILE does. The run fails for it at its end."""
    file = Path((environment or {}).get("LOGFILE") or "/nowhere")
    more = file.read_text(errors="replace") if file.is_file() else ""
    found.extend(f"{where}: {one}" for one in told(log + "\n" + more, environment))
