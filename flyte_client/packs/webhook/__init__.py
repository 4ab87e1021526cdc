"""The Webhook pack: an event for each request that a known sender makes. README.md beside this tells the rest."""

from flyte_client.packs.webhook.program import main

__all__ = ["main"]
