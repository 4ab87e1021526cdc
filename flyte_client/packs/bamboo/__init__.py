"""The Bamboo pack: builds that end become events, flows start and label builds. README.md beside this tells more."""

from flyte_client.packs.bamboo.program import main

__all__ = ["main"]
