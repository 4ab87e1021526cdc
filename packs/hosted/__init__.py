"""Hosted packs: plugins in the server that call a web service and wait for it (docs/reference/webapi.md)."""
