"""The Ldap pack: flows look people and groups up in a directory. README.md beside this tells the rest."""

from flyte_client.packs.ldap.program import main

__all__ = ["main"]
