"""The Git pack: an event for each push to repositories that it looks at. README.md beside this tells the rest."""

from flyte_client.packs.git.program import main

__all__ = ["main"]
