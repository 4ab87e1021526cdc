"""The Ldap pack: commands to look up people and groups in a directory. See README.md."""

from flyte_client.packs.ldap.program import main

__all__ = ["main"]
