from packs.hosted.plugin_api.errors import *  # noqa: F403
