"""The Timer pack: events at configured times. See README.md."""

from flyte_client.packs.timer.program import main

__all__ = ["main"]
