"""The notice that the server prints on a terminal when it is ready: a box with its addresses and the first account."""

import sys

from django.conf import settings

from flyte_site.console.accounts import FIRST_ADMIN_USERNAME

SETUP_NOTICE = "Setting up the database: creating its tables takes about 10 seconds, and is done only once."
UPGRADE_NOTICE = "Upgrading the database: this can take a moment."
# Top left, top right, bottom left, bottom right, horizontal, vertical; ASCII for terminals that can't display the rest.
BOX_CHARACTERS, ASCII_BOX_CHARACTERS = "╭╮╰╯─│", "++++-|"


def is_on_terminal() -> bool:
    """Return True if standard error is a terminal and the log format is not JSON."""
    return sys.stderr.isatty() and settings.FLYTE_LOG_FORMAT != "json"


def format_start_box(address: str, password: str | None) -> str:
    """Format the box. `password` is the one-time password of the first account, if it has just been created."""
    # The same address as in the guides, which a browser and `curl` on this machine reach as well.
    address = address.replace("//127.0.0.1:", "//localhost:")
    lines = ["Flyte is ready. Press Ctrl-C to stop.", "", f"Console   {address}/admin/", f"API       {address}/v1"]
    if password:
        lines += ["", "First account (shown only once; choose a new password when you sign in):"]
        lines += [f"User      {FIRST_ADMIN_USERNAME}", f"Password  {password}"]
    return "\n".join(_draw_box(lines, _box_characters()))


def _box_characters() -> str:
    try:
        BOX_CHARACTERS.encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII_BOX_CHARACTERS
    return BOX_CHARACTERS


def _draw_box(lines: list[str], characters: str) -> list[str]:
    top_left, top_right, bottom_left, bottom_right, horizontal, vertical = tuple(characters)
    width = max(map(len, lines)) + 4
    return [
        f"{top_left}{horizontal * width}{top_right}",
        *(f"{vertical}  {line:{width - 4}}  {vertical}" for line in lines),
        f"{bottom_left}{horizontal * width}{bottom_right}",
    ]
