"""The Console pack: a chat in a terminal, for trying out flows. See README.md."""

from flyte_client.packs.console.program import main

__all__ = ["main"]
