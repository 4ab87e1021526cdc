from packs.hosted.plugins.http_client import OutboundClient as Outbound

__all__ = ["Outbound"]
