"""Whether everybody who reaches the server may do everything."""

from django.conf import settings

from flyte_site.core.environment import is_loopback


def get_exposure_warning() -> str:
    """What to tell those who run a server that asks nobody who they are, and listens beyond its machine; else ''."""
    if settings.FLYTE_AUTH != "none" or is_loopback(settings.FLYTE_BIND):
        return ""
    return (
        f"everybody who reaches {settings.FLYTE_BIND}:{settings.FLYTE_PORT} may give commands to packs and read what "
        "they did: set FLYTE_AUTH=tokens to change that"
    )
