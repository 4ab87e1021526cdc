"""The Shell pack: runs a script for a flow and tells what came out of it. README.md beside this tells the rest."""

from flyte_client.packs.shell.program import main

__all__ = ["main"]
