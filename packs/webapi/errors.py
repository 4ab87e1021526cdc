"""Public name of `packs.hosted.plugin_api.errors`; kept for plugins."""

from packs.hosted.plugin_api.errors import *  # noqa: F403
