"""The Console pack as a program."""

import argparse
import os
import sys
import threading

from flyte_client.packs.console.chat import Speaker, console_pack, listen, typed_lines
from flyte_client.program import run


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # it is a TextIOWrapper in a program
    pack = console_pack(options.name, sys.stdout)
    speaker = Speaker(options.channel, options.user_id, options.user_name)
    end, ending = os.pipe()
    at_end = (lambda: pack.stop(when_idle=True)) if options.exit_on_eof else (lambda: None)
    listener = threading.Thread(target=listen, args=(pack, typed_lines(sys.stdin.fileno(), end), speaker, at_end))
    listener.start()
    try:
        return run(pack)
    finally:
        os.close(ending)
        listener.join()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    environment = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m flyte_client.packs.console", description="A chat in a terminal.")
    parser.add_argument("--name", default="Console", help="the pack's name (%(default)s)")
    parser.add_argument(
        "--channel",
        default=environment("FLYTE_CONSOLE_CHANNEL") or "console",
        help="id of the channel that is typed in; also FLYTE_CONSOLE_CHANNEL (%(default)s)",
    )
    parser.add_argument(
        "--user-id",
        default=environment("FLYTE_CONSOLE_USER_ID") or "U0CONSOLE",
        help="id of who types; also FLYTE_CONSOLE_USER_ID (%(default)s)",
    )
    parser.add_argument(
        "--user-name",
        default=environment("FLYTE_CONSOLE_USER_NAME") or "Console User",
        help="name of who types; also FLYTE_CONSOLE_USER_NAME (%(default)s)",
    )
    parser.add_argument(
        "--exit-on-eof", action="store_true", help="end when the input has ended and nothing is waiting"
    )
    return parser.parse_args(arguments)
