"""The program `flyte`: runs one command against a server, and reports an error in one line."""

import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from typing import Any

from flow_files import command_line
from flow_files.errors import FlowFilesError, FlowStoreError
from flow_files.sync import EXIT_FAILED, EXIT_INVALID
from flyte_client import settings
from flyte_client.cli import audit, datastore, dry_run, packs
from flyte_client.cli.flow_store import RemoteFlowStore
from flyte_client.cli.server_api import ServerApi
from flyte_client.errors import FlyteError, SettingsError
from flyte_client.version import __version__
from flyte_formats.output import tolerate_output_encoding

EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 130, 141
DEFAULT_TIMEOUT = 30.0
SHELLS = ("bash", "zsh", "tcsh")

RunCommand = Callable[[ServerApi, Namespace], int]


def main(arguments: list[str] | None = None) -> int:
    """Run the command in the arguments; return the exit code."""
    tolerate_output_encoding()
    options = _build_parser().parse_args(arguments)
    try:
        code = _run_command(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of the output is gone; without this, Python fails again when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except (FlyteError, FlowFilesError, FlowStoreError) as error:
        print(f"flyte: {error}", file=sys.stderr)
        return EXIT_INVALID if isinstance(error, FlowFilesError | SettingsError) else EXIT_FAILED
    except (KeyError, TypeError, AttributeError) as error:
        print(f"flyte: unexpected response from the server ({error!r})", file=sys.stderr)
        return EXIT_FAILED


def _run_command(options: Namespace) -> int:
    if options.command == "completion":
        return _print_completion(options.shell)
    url = settings.read_api_url(os.environ, options.api)
    api = ServerApi(
        url, settings.read_token(os.environ), settings.read_seconds(os.environ, "FLYTE_API_TIMEOUT", DEFAULT_TIMEOUT)
    )
    run: RunCommand = options.run
    return run(api, options)


def _build_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="flyte",
        description="Work with a Flyte server.",
        epilog="Set FLYTE_API to the server's address, and FLYTE_JWT to a token if the server requires one. Exit "
        "codes: 0 done; 1 negative result; 2 invalid input; 3 server unreachable or request refused.",
    )
    parser.add_argument("--api", metavar="URL", help="the server's address, instead of FLYTE_API")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_command(
        commands, "flows", command_line.add_subcommands, _run_flows, "validate, diff, apply or export flows as files"
    )
    _add_command(
        commands, "packs", packs.add_pack_arguments, packs.show_packs, "list the registered packs, or show one pack"
    )
    _add_command(commands, "events", packs.add_event_arguments, packs.send_event, "send an event")
    _add_command(commands, "datastore", datastore.add_arguments, datastore.run, "list, read or change datastore items")
    _add_command(commands, "audit", audit.add_arguments, audit.tail_changes, "show state changes of actions")
    _add_command(commands, "try", dry_run.add_arguments, dry_run.run_dry_run, "dry-run a flow with an event")
    completion = commands.add_parser("completion", help="print a shell completion script")
    completion.add_argument("shell", choices=SHELLS)
    return parser


def _add_command(
    commands: Any, name: str, add_arguments: Callable[[ArgumentParser], None], run: RunCommand, help_text: str
) -> None:
    command = commands.add_parser(name, help=help_text, description=f"{help_text[:1].upper()}{help_text[1:]}.")
    add_arguments(command)
    command.set_defaults(run=run)


def _run_flows(api: ServerApi, options: Namespace) -> int:
    return command_line.run_command(RemoteFlowStore(api), options, atomic=None)


def _print_completion(shell: str) -> int:
    """Print the completion script. Raises `SettingsError` if the library for it is not installed."""
    try:
        import shtab
    except ImportError:
        raise SettingsError("shtab is not installed: run pip install 'flyte-client[completion]'") from None
    print(shtab.complete(_build_parser(), shell))
    return 0
