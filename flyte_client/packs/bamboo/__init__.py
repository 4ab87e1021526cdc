"""The Bamboo pack: events for finished builds, and commands to start, label and comment on builds. See README.md."""

from flyte_client.packs.bamboo.program import main

__all__ = ["main"]
