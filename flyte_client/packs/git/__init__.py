"""The Git pack: an event for each push to the watched repositories. See README.md."""

from flyte_client.packs.git.program import main

__all__ = ["main"]
