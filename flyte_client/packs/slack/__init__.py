"""The Slack pack: events for messages and reactions, and commands to send messages. See README.md."""

from flyte_client.packs.slack.program import main

__all__ = ["main"]
