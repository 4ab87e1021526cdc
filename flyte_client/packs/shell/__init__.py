"""The Shell pack: a command to run a script and return its output. See README.md."""

from flyte_client.packs.shell.program import main

__all__ = ["main"]
