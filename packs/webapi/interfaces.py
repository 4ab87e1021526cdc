"""Public name of `packs.hosted.plugin_api.interfaces`; kept for plugins."""

from packs.hosted.plugin_api.interfaces import *  # noqa: F403
