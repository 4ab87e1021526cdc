"""Public name of `packs.hosted.plugin_api.phases`; kept for plugins."""

from packs.hosted.plugin_api.phases import *  # noqa: F403
