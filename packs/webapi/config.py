"""Public name of `packs.hosted.plugin_api.config`; kept for plugins."""

from packs.hosted.plugin_api.config import *  # noqa: F403
