"""The Email pack: sends mail for flows, and an event for each mail that comes. README.md beside this tells the rest."""

from flyte_client.packs.email.program import main

__all__ = ["main"]
