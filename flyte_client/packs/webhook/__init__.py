"""The Webhook pack: an event for each verified HTTP request. See README.md."""

from flyte_client.packs.webhook.program import main

__all__ = ["main"]
