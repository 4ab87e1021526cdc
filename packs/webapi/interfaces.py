from packs.hosted.plugin_api.interfaces import *  # noqa: F403
