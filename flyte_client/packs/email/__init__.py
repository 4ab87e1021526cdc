"""The Email pack: a command to send mail, and an event for each received mail. See README.md."""

from flyte_client.packs.email.program import main

__all__ = ["main"]
