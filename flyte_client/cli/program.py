"""The program `flyte`: reads its arguments, does one thing, and tells what went wrong in one line."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from flyte_client import flow_command, settings
from flyte_client.cli import audit, packs, trying
from flyte_client.cli.remote import Remote
from flyte_client.cli.shelf import RemoteShelf
from flyte_client.errors import FlyteError, SettingsError
from flyte_client.flow_files import FilesError
from flyte_client.flow_sync import AT_FAULT, FAILED
from flyte_client.version import __version__

INTERRUPTED, PIPE_CLOSED = 130, 141
TIMEOUT = 30.0
SHELLS = ("bash", "zsh", "tcsh")

Run = Callable[[Remote, Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    """Run what the arguments say; the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        code = _run(asked)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone; Python would fail once more when it closes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except FlyteError as error:
        print(f"flyte: {error}", file=sys.stderr)
        return AT_FAULT if isinstance(error, FilesError | SettingsError) else FAILED
    except (KeyError, TypeError, AttributeError) as error:
        print(f"flyte: the server's answer has not the form that was expected ({error!r})", file=sys.stderr)
        return FAILED


def _run(asked: Namespace) -> int:
    if asked.command == "completion":
        return _complete(asked.shell)
    url = settings.api_url(os.environ, asked.api)
    remote = Remote(url, settings.jwt(os.environ), settings.seconds(os.environ, "FLYTE_API_TIMEOUT", TIMEOUT))
    run: Run = asked.run
    return run(remote, asked)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="flyte",
        description="Work with a Flyte server from afar.",
        epilog="FLYTE_API holds the server's address, FLYTE_JWT the token that is shown to it, if it wants one. Exit "
        "codes: 0 done; 1 the answer is no; 2 something given is at fault; 3 the server was away, or refused.",
    )
    parser.add_argument("--api", metavar="URL", help="the server's address, instead of FLYTE_API")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add(commands, "flows", flow_command.add_commands, _flows, "validate, diff, apply, export flows kept as files")
    _add(commands, "packs", packs.add_packs, packs.packs, "list the packs, or show one")
    _add(commands, "events", packs.add_events, packs.events, "send an event")
    _add(commands, "audit", audit.add, audit.tail, "see what runs")
    _add(commands, "try", trying.add, trying.run, "what a flow would do with an event")
    completion = commands.add_parser("completion", help="print a script that completes commands in a shell")
    completion.add_argument("shell", choices=SHELLS)
    return parser


def _add(commands: Any, name: str, add: Callable[[ArgumentParser], None], run: Run, help_text: str) -> None:
    command = commands.add_parser(name, help=help_text, description=f"{help_text[:1].upper()}{help_text[1:]}.")
    add(command)
    command.set_defaults(run=run)


def _flows(remote: Remote, asked: Namespace) -> int:
    return flow_command.run(RemoteShelf(remote), asked, nullcontext)


def _complete(shell: str) -> int:
    """Print the script. Raises `SettingsError` where the library that writes it is not there."""
    try:
        import shtab
    except ImportError:
        raise SettingsError("completion needs a library: pip install 'flyte-client[completion]'") from None
    print(shtab.complete(_parser(), shell))
    return 0
