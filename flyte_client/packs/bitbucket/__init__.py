"""The Bitbucket pack: pull requests become events, flows make and merge them. README.md beside this tells more."""

from flyte_client.packs.bitbucket.program import main

__all__ = ["main"]
