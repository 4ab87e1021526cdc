"""The Jira pack: flows create, read, find, comment on and move issues. README.md beside this tells the rest."""

from flyte_client.packs.jira.program import main

__all__ = ["main"]
