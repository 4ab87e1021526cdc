"""Bundled packs, each a program: `python -m flyte_client.packs.shell`."""
