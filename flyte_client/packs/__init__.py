"""Packs that come with Flyte, each a program: `python -m flyte_client.packs.shell`."""
