"""The Console pack: a chat in a terminal, to try flows with. README.md beside this tells the rest."""

from flyte_client.packs.console.program import main

__all__ = ["main"]
