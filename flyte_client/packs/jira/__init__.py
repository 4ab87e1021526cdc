"""The Jira pack: commands to create, read, search, comment on, assign and move issues. See README.md."""

from flyte_client.packs.jira.program import main

__all__ = ["main"]
