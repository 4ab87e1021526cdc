"""The Console pack as a program."""

import argparse
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext, redirect_stderr
from typing import TextIO, cast

from flyte_client.packs.console.chat import ChatUser, build_console_pack, read_lines, send_lines
from flyte_client.packs.console.terminal import OutputStream, PromptTerminal
from flyte_client.program import run


def main(arguments: list[str] | None = None) -> int:
    options = _parse_options(arguments)
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # it is a TextIOWrapper in a program
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return _run_chat(options, sys.stdout, iter)
    print("Type a message and press Enter. Press Ctrl-C to stop.")
    terminal = PromptTerminal(sys.stdout, f"{options.channel}> ")
    with redirect_stderr(cast("TextIO", terminal.wrap(sys.stderr))) if sys.stderr.isatty() else nullcontext():
        return _run_chat(options, terminal.wrap(sys.stdout), terminal.iter_lines)


def _run_chat(
    options: argparse.Namespace, output: OutputStream, prompt_lines: Callable[[Iterator[str]], Iterator[str]]
) -> int:
    pack = build_console_pack(options.name, output)
    user = ChatUser(options.channel, options.user_id, options.user_name)
    stop_reader, stop_writer = os.pipe()
    on_eof = (lambda: pack.stop(when_idle=True)) if options.exit_on_eof else (lambda: None)
    lines = prompt_lines(read_lines(sys.stdin.fileno(), stop_reader))
    listener = threading.Thread(target=send_lines, args=(pack, lines, user, on_eof))
    listener.start()
    try:
        return run(pack)
    finally:
        os.close(stop_writer)
        listener.join()


def _parse_options(arguments: list[str] | None) -> argparse.Namespace:
    get_variable = os.environ.get
    parser = argparse.ArgumentParser(prog="python -m flyte_client.packs.console", description="A chat in a terminal.")
    parser.add_argument("--name", default="Console", help="the pack's name (%(default)s)")
    parser.add_argument(
        "--channel",
        default=get_variable("FLYTE_CONSOLE_CHANNEL") or "console",
        help="id of the channel; also FLYTE_CONSOLE_CHANNEL (%(default)s)",
    )
    parser.add_argument(
        "--user-id",
        default=get_variable("FLYTE_CONSOLE_USER_ID") or "U0CONSOLE",
        help="id of the user who types; also FLYTE_CONSOLE_USER_ID (%(default)s)",
    )
    parser.add_argument(
        "--user-name",
        default=get_variable("FLYTE_CONSOLE_USER_NAME") or "Console User",
        help="name of the user who types; also FLYTE_CONSOLE_USER_NAME (%(default)s)",
    )
    parser.add_argument(
        "--exit-on-eof", action="store_true", help="exit after the end of the input when no action is queued"
    )
    return parser.parse_args(arguments)
