"""The Timer pack: sends an event at the times that its configuration names. README.md beside this tells the rest."""

from flyte_client.packs.timer.program import main

__all__ = ["main"]
