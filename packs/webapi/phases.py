from packs.hosted.plugin_api.phases import *  # noqa: F403
