"""The Bitbucket pack: events for pull requests, and commands to create, comment on and merge them. See README.md."""

from flyte_client.packs.bitbucket.program import main

__all__ = ["main"]
