"""Public name of `packs.hosted.plugins.http_client`; kept for plugins."""

from packs.hosted.plugins.http_client import OutboundClient as Outbound

__all__ = ["Outbound"]
