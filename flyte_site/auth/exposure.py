"""Warning for a server that anyone on the network can use."""

from django.conf import settings

from flyte_site.core.environment import is_loopback


def get_exposure_warning() -> str:
    """Return the warning of a server that listens on a network without authentication; '' for all others."""
    if settings.FLYTE_AUTH != "none" or is_loopback(settings.FLYTE_BIND):
        return ""
    return (
        f"anyone who can reach {settings.FLYTE_BIND}:{settings.FLYTE_PORT} can send commands to packs and read their "
        "results; to require tokens, set FLYTE_AUTH=tokens"
    )
