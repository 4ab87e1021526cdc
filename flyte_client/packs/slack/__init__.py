"""The Slack pack: messages and reactions become events, flows send messages. README.md beside this tells the rest."""

from flyte_client.packs.slack.program import main

__all__ = ["main"]
