"""Packs that the server hosts: small plugins that call some web service and wait (docs/reference/webapi.md)."""
